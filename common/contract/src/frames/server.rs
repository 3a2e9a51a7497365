//! The frames that an edge writes itself: greetings, answers, presence and typing.

use std::collections::BTreeMap;

use domain::{Epoch, MessageId, RoomId, Seq, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A frame that the edge writes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first frame of a socket.
    Connection {
        /// The socket's id.
        connection_id: &'a str,
        /// The user.
        user_id: UserId,
        /// Their e-mail address.
        user_email: &'a str,
        /// The room, on a room's own socket.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
        /// The room's last event, on a room's own socket; 0 before the first.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<i64>, minimum = 0)]
        last_seq: Option<Seq>,
        /// The history that the numbers belong to; opaque. On a room's own socket.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        epoch: Option<Epoch>,
    },
    /// A subscription has begun; the replay, if any, follows.
    Subscribed {
        /// The room.
        room: RoomId,
        /// The room's last event; 0 before the first.
        #[schema(value_type = i64, minimum = 0)]
        last_seq: Seq,
        /// The history that the numbers belong to; opaque.
        #[schema(value_type = String)]
        epoch: Epoch,
    },
    /// No frame of the room follows.
    Unsubscribed {
        /// The room.
        room: RoomId,
    },
    /// What the client has of a room is not continued.
    Resync {
        /// The room.
        room: RoomId,
        /// The first event that is kept.
        #[schema(value_type = i64, minimum = 0)]
        first_seq: Seq,
        /// The event after which live events follow; 0 before the first.
        #[schema(value_type = i64, minimum = 0)]
        last_seq: Seq,
        /// The history that the numbers belong to; opaque.
        #[schema(value_type = String)]
        epoch: Epoch,
    },
    /// A sent message is on disk.
    Ack {
        /// The nonce of the send.
        nonce: &'a str,
        /// The message's id.
        id: MessageId,
        /// The message's place in the room's log.
        seq: Seq,
        /// Set when an earlier send with this nonce had created the message.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        #[schema(schema_with = only_true)]
        replayed: bool,
    },
    /// Someone types in a room, or has stopped.
    Typing {
        /// The room.
        room: RoomId,
        /// Who.
        user_id: UserId,
        /// Their e-mail address.
        user_email: &'a str,
        /// Whether they type.
        is_typing: bool,
    },
    /// A member of a room came online or went offline.
    Presence {
        /// The room.
        room: RoomId,
        /// Who.
        user_id: UserId,
        /// What they are now.
        status: PresenceStatus,
    },
    /// Who of a room is online.
    #[serde(rename = "presence.snapshot")]
    PresenceSnapshot {
        /// The room.
        room: RoomId,
        /// The members who are online.
        online: &'a [UserId],
    },
    /// A new access token was accepted.
    Authenticated {
        /// When it expires.
        expires_at: Timestamp,
    },
    /// The answer to `ping`.
    Pong,
    /// The socket is close to a limit or to its end.
    Warning {
        /// What it is about.
        code: WarningCode,
        /// Milliseconds after which the limit has room again; with `rate_limit_near`.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// When the token expires; with `token_expiring`.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// Something that the client asked for was refused.
    Error {
        /// A stable word for programs.
        code: &'a str,
        /// A sentence for people.
        detail: &'a str,
        /// The nonce of the refused frame.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<&'a str>,
        /// The room of the refused frame.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
        /// Faults by field.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
        errors: Option<&'a BTreeMap<String, Vec<String>>>,
        /// Milliseconds after which the client may try again; with `rate_limited`.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl ServerFrame<'_> {
    /// The frame's text.
    pub fn text(&self) -> String {
        crate::text(self)
    }
}

/// Whether someone is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceStatus {
    /// They have an open socket.
    Online,
    /// They have none.
    Offline,
}

/// What a `warning` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// Few frames are left before frames are dropped.
    RateLimitNear,
    /// The access token expires within a minute.
    TokenExpiring,
}

/// The schema of a field that is absent unless it is true.
fn only_true() -> Object {
    let description = "Set when an earlier send with this nonce had created the message.";
    ObjectBuilder::new()
        .description(Some(description))
        .schema_type(Type::Boolean)
        .enum_values(Some([true]))
        .build()
}
