//! What happens in a room, as its log keeps it.

use crate::ids::{RoomId, Seq, UserId};
use crate::message::Message;
use crate::room::RoomChange;
use crate::timestamp::Timestamp;

/// A person as events and rosters name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their first name.
    pub first_name: String,
    /// Their last name.
    pub last_name: String,
}

/// One durable event of a room: one place in its log.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// The room.
    pub room: RoomId,
    /// Its place.
    pub seq: Seq,
    /// When it was committed.
    pub at: Timestamp,
    /// Who did it; for a member event, who joined or left.
    pub user: UserId,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A message was sent.
    Message(Box<Message>),
    /// A message was edited or reacted to; the message as it is now.
    MessageUpdated(Box<Message>),
    /// A message was deleted; the message as it is now, without its text.
    MessageDeleted(Box<Message>),
    /// Someone came.
    MemberJoined(Person),
    /// Someone went.
    MemberLeft(Person),
    /// The room was changed.
    RoomUpdated(RoomChange),
}

/// The kinds of [`What`], as words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `message`
    Message,
    /// `message.updated`
    MessageUpdated,
    /// `message.deleted`
    MessageDeleted,
    /// `member.joined`
    MemberJoined,
    /// `member.left`
    MemberLeft,
    /// `room.updated`
    RoomUpdated,
}

impl EventKind {
    /// The word of the contract: a frame's `type`, and the `kind` in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::MessageUpdated => "message.updated",
            Self::MessageDeleted => "message.deleted",
            Self::MemberJoined => "member.joined",
            Self::MemberLeft => "member.left",
            Self::RoomUpdated => "room.updated",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Message,
            Self::MessageUpdated,
            Self::MessageDeleted,
            Self::MemberJoined,
            Self::MemberLeft,
            Self::RoomUpdated,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

impl LogEvent {
    /// The event's kind.
    pub fn kind(&self) -> EventKind {
        match self.what {
            What::Message(_) => EventKind::Message,
            What::MessageUpdated(_) => EventKind::MessageUpdated,
            What::MessageDeleted(_) => EventKind::MessageDeleted,
            What::MemberJoined(_) => EventKind::MemberJoined,
            What::MemberLeft(_) => EventKind::MemberLeft,
            What::RoomUpdated(_) => EventKind::RoomUpdated,
        }
    }

    /// The `seq` of the message that the event is about, where it is about one.
    pub fn message_seq(&self) -> Option<Seq> {
        match &self.what {
            What::Message(message)
            | What::MessageUpdated(message)
            | What::MessageDeleted(message) => Some(message.seq),
            _ => None,
        }
    }
}
