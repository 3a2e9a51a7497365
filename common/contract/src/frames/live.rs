//! Frames without a place in a log: what is pushed to people, and hints to rooms.

use domain::{MessageId, RoomId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::notifications::NotificationView;
use crate::rooms::{RoomSettingsView, RoomView};

/// A frame that the api makes for one user's sockets or for a room, and that takes no `seq`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub enum LiveFrame<'a> {
    /// Someone read up to a message.
    #[serde(rename = "read")]
    Read {
        /// The room.
        room: RoomId,
        /// The reader.
        user_id: UserId,
        /// The last message they marked as read.
        last_read_msg_id: MessageId,
        /// What they have not read: in their own copies alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_count: Option<i64>,
    },
    /// The user is in another room now: by what someone else did, or they themselves elsewhere.
    #[serde(rename = "room.added")]
    RoomAdded {
        /// The room's id.
        room_id: RoomId,
        /// The room.
        room: RoomView,
    },
    /// The user is no longer in a room.
    #[serde(rename = "room.removed")]
    RoomRemoved {
        /// The room's id.
        room_id: RoomId,
    },
    /// The user changed their own settings of a room.
    #[serde(rename = "room.settings")]
    RoomSettings {
        /// The room's id.
        room_id: RoomId,
        /// The settings.
        #[serde(flatten)]
        settings: &'a RoomSettingsView,
    },
    /// The user has a new notification.
    #[serde(rename = "notification")]
    Notification {
        /// The notification.
        notification: NotificationView,
    },
    /// The room is gone.
    #[serde(rename = "room.deleted")]
    RoomDeleted {
        /// The room.
        room: RoomId,
    },
}

impl LiveFrame<'_> {
    /// The frame's `type`, which also travels as a header.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::RoomAdded { .. } => "room.added",
            Self::RoomRemoved { .. } => "room.removed",
            Self::RoomSettings { .. } => "room.settings",
            Self::Notification { .. } => "notification",
            Self::RoomDeleted { .. } => "room.deleted",
        }
    }
}
