//! The frames that clients send, as the contract describes them.
//!
//! An edge reads a frame field by field, so that one bad field hides neither the frame's `nonce`
//! nor its `room`; these types say what a good one looks like.

use domain::{MessageId, RoomId, UploadId};
use serde::Serialize;
use utoipa::ToSchema;

/// A frame that a client sends.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Follows one room, or several.
    Subscribe {
        /// The room; either this or `rooms`.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
        /// Replays every durable event with a greater `seq` first; 0 is everything kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 0)]
        after: Option<i64>,
        /// The epoch that each `after` belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
        /// Several rooms at once; each is answered by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(min_items = 1, max_items = 200)]
        rooms: Option<Vec<SubscribeItem>>,
    },
    /// Follows a room no longer.
    Unsubscribe {
        /// The room.
        room: RoomId,
    },
    /// Sends a message.
    Message {
        /// The client's own id for this send: a retry with the same nonce never sends twice.
        #[schema(min_length = 1, max_length = 64)]
        nonce: String,
        /// The room; on a room's own socket it may be left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
        /// `CommonMark`; a message has a body or a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(max_length = 10_000)]
        body: Option<String>,
        /// An http or https address.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(max_length = 2_000)]
        file_url: Option<String>,
        /// A completed upload of the sender.
        #[serde(skip_serializing_if = "Option::is_none")]
        upload_id: Option<UploadId>,
        /// The message of this room that it answers.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
    },
    /// The user types, or has stopped.
    Typing {
        /// Whether they type.
        is_typing: bool,
        /// The room; on a room's own socket it may be left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
    },
    /// The user has read up to a message.
    Read {
        /// The last message they have read.
        msg_id: MessageId,
        /// The room; on a room's own socket it may be left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
    },
    /// Presents a new access token of the same user.
    Auth {
        /// The token.
        token: String,
    },
    /// Asks for a `pong`.
    Ping,
}

/// One room of a `subscribe` that names several.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubscribeItem {
    /// The room.
    pub room: RoomId,
    /// Replays every durable event with a greater `seq` first; 0 is everything kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub after: Option<i64>,
}

/// The `type` of a [`ClientFrame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFrameKind {
    /// `subscribe`
    Subscribe,
    /// `unsubscribe`
    Unsubscribe,
    /// `message`
    Message,
    /// `typing`
    Typing,
    /// `read`
    Read,
    /// `auth`
    Auth,
    /// `ping`
    Ping,
}

impl ClientFrameKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Message,
        Self::Typing,
        Self::Read,
        Self::Auth,
        Self::Ping,
    ];

    /// The text of `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Message => "message",
            Self::Typing => "typing",
            Self::Read => "read",
            Self::Auth => "auth",
            Self::Ping => "ping",
        }
    }

    /// Reads the text of `type`; `None` for an unknown one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
