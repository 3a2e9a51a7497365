//! Frames of durable events: a socket receives exactly what REST lists.

use domain::{LogEvent, Message, Person, RoomId, Seq, Timestamp, UserId, What};
use serde::Serialize;
use utoipa::ToSchema;

use crate::messages::MessageView;
use crate::rooms::RoomChangesView;

/// A durable event's frame: exactly what a socket gets, and an item of `/rooms/{id}/events/`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = RoomEvent)]
pub enum EventFrame {
    /// A message was sent.
    #[serde(rename = "message")]
    Message(MessageView),
    /// A message was edited or reacted to.
    #[serde(rename = "message.updated")]
    MessageUpdated(MessageChangeFrame),
    /// A message was deleted.
    #[serde(rename = "message.deleted")]
    MessageDeleted(MessageChangeFrame),
    /// Someone came.
    #[serde(rename = "member.joined")]
    MemberJoined(MemberFrame),
    /// Someone went.
    #[serde(rename = "member.left")]
    MemberLeft(MemberFrame),
    /// The room was changed.
    #[serde(rename = "room.updated")]
    RoomUpdated(RoomUpdatedFrame),
}

impl From<&LogEvent> for EventFrame {
    fn from(event: &LogEvent) -> Self {
        let change = |message: &Message| MessageChangeFrame {
            message_seq: message.seq,
            message: MessageView { seq: event.seq, ..MessageView::from(message) },
        };
        let member = |person: &Person| MemberFrame {
            room: event.room,
            seq: event.seq,
            user_id: person.id,
            user_email: person.email.clone(),
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            created_at: event.at,
        };
        match &event.what {
            What::Message(message) => Self::Message(MessageView::from(message.as_ref())),
            What::MessageUpdated(message) => Self::MessageUpdated(change(message)),
            What::MessageDeleted(message) => Self::MessageDeleted(change(message)),
            What::MemberJoined(person) => Self::MemberJoined(member(person)),
            What::MemberLeft(person) => Self::MemberLeft(member(person)),
            What::RoomUpdated(changed) => Self::RoomUpdated(RoomUpdatedFrame {
                room: event.room,
                seq: event.seq,
                changes: changed.into(),
                user_id: event.user,
                created_at: event.at,
            }),
        }
    }
}

/// A message after a change: `seq` is that of the change.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MessageChange)]
pub struct MessageChangeFrame {
    /// The place of the message's creation.
    pub message_seq: Seq,
    /// The message as it is now, `seq` being that of the change.
    #[serde(flatten)]
    pub message: MessageView,
}

/// Someone who joined or left.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MemberEvent)]
pub struct MemberFrame {
    /// The room.
    pub room: RoomId,
    /// The event's place.
    pub seq: Seq,
    /// Who.
    pub user_id: UserId,
    /// Their address.
    pub user_email: String,
    /// Their first name.
    pub first_name: String,
    /// Their last name.
    pub last_name: String,
    /// When.
    pub created_at: Timestamp,
}

/// A change of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoomUpdated)]
pub struct RoomUpdatedFrame {
    /// The room.
    pub room: RoomId,
    /// The event's place.
    pub seq: Seq,
    /// What changed.
    pub changes: RoomChangesView,
    /// Who changed it.
    pub user_id: UserId,
    /// When.
    pub created_at: Timestamp,
}
