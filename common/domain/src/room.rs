//! Rooms, direct messages included.

use crate::access::{AccessLevel, Role};
use crate::event::Person;
use crate::ids::{MessageId, OrgId, RoomId, RoomMemberId, Seq, UserId};
use crate::limits;
use crate::text;
use crate::timestamp::Timestamp;

/// A room.
#[derive(Clone, Debug)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its organization.
    pub org: OrgId,
    /// Its name; empty for a direct message.
    pub name: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// The people of a direct message, by id; `None` for other rooms.
    pub dm_users: Option<Vec<Person>>,
    /// Who may be in it.
    pub access_level: AccessLevel,
    /// Whether everyone whom the level admits becomes a member.
    pub auto_join: bool,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many people are in it.
    pub members_count: i64,
    /// The first event that is kept.
    pub first_seq: Seq,
    /// The last event; 0 before the first.
    pub last_seq: Seq,
    /// When the last message was sent.
    pub last_message_at: Option<Timestamp>,
    /// How the person whom it was read for has set it; `None` where they are no member of it, and
    /// where it was read for nobody.
    pub settings: Option<RoomSettings>,
}

/// A valid new room.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Its organization.
    pub org: OrgId,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub topic: String,
    /// Who may be in it.
    pub access_level: AccessLevel,
    /// Whether everyone whom the level admits becomes a member.
    pub auto_join: bool,
}

/// A change of a room: what a `room.updated` event says. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// New name.
    pub name: Option<String>,
    /// New topic.
    pub topic: Option<String>,
    /// New access level.
    pub access_level: Option<AccessLevel>,
    /// New auto-join.
    pub auto_join: Option<bool>,
}

impl RoomChange {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This change without what `room` already is.
    #[must_use]
    pub fn against(mut self, room: &Room) -> Self {
        self.name = self.name.filter(|name| *name != room.name);
        self.topic = self.topic.filter(|topic| *topic != room.topic);
        self.access_level = self.access_level.filter(|level| *level != room.access_level);
        self.auto_join = self.auto_join.filter(|auto_join| *auto_join != room.auto_join);
        self
    }
}

/// A member of a room.
#[derive(Clone, Debug)]
pub struct RoomMember {
    /// The membership's id.
    pub id: RoomMemberId,
    /// The room.
    pub room: RoomId,
    /// The person.
    pub person: Person,
    /// Their role in the organization.
    pub org_role: Role,
    /// The last message they marked as read.
    pub last_read_msg_id: Option<MessageId>,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Which messages of a room notify a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Notify {
    /// All.
    #[default]
    All,
    /// Mentions only.
    Mentions,
    /// None.
    None,
}

impl Notify {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::All, Self::Mentions, Self::None];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mentions => "mentions",
            Self::None => "none",
        }
    }

    /// Reads the word of the contract.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A member's own settings of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// What notifies them.
    pub notify: Notify,
    /// The section they file it under.
    pub section: Option<String>,
    /// Whether they starred it.
    pub starred: bool,
}

/// What a member changes of their settings. `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct RoomSettingsChange {
    /// What notifies them from now on.
    pub notify: Option<Notify>,
    /// The section they file it under; `Some(None)` takes it out of one.
    pub section: Option<Option<String>>,
    /// Whether they star it.
    pub starred: Option<bool>,
}

/// How much of a room its reader has not read.
#[derive(Clone, Debug)]
pub struct Unread {
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub room_name: String,
    /// Messages of others after the marker that are not deleted, at most 1,000.
    pub unread_count: i64,
    /// Whether there are more.
    pub unread_capped: bool,
    /// Those that mention the reader, at most 1,000.
    pub mention_count: i64,
    /// The last message marked as read.
    pub last_read_msg_id: Option<MessageId>,
    /// The last event that was there when it was counted.
    pub last_seq: Seq,
}

/// Takes a room's name: 1..80 characters.
///
/// # Errors
/// A sentence for the client.
pub fn room_name(text: &str) -> Result<String, String> {
    text::label(text, 1, limits::ROOM_NAME_CHARS_MAX)
}

/// Takes a topic: at most 250 characters.
///
/// # Errors
/// A sentence for the client.
pub fn topic(text: &str) -> Result<String, String> {
    text::label(text, 0, limits::TOPIC_CHARS_MAX)
}

/// Takes the name of a section: 1..80 characters.
///
/// # Errors
/// A sentence for the client.
pub fn section(text: &str) -> Result<String, String> {
    text::label(text, 1, limits::SECTION_CHARS_MAX)
}
