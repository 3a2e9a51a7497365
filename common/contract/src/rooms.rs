//! Rooms, the people in them, and a member's own settings.

use domain::room::{Room, RoomChange, RoomSettings};
use domain::{OrgId, Person, RoomId, Seq, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// A room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Room)]
pub struct RoomView {
    /// The room's id.
    pub id: RoomId,
    /// Its organization.
    pub org: OrgId,
    /// Its name; empty for a direct message.
    pub name: String,
    /// What it is about.
    pub topic: String,
    /// Whether it is a direct message.
    pub is_dm: bool,
    /// The people of a direct message; absent for other rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dm_users: Option<Vec<PersonView>>,
    /// `PUBLIC`, `MANAGER_ONLY` or `PRIVATE`.
    pub access_level: &'static str,
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
    #[schema(value_type = i64, minimum = 0)]
    pub last_seq: Seq,
    /// When the last message was sent.
    pub last_message_at: Option<Timestamp>,
    /// The caller's own settings of it; absent where they are no member, and in what is told to
    /// several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<RoomSettingsView>,
}

impl From<&Room> for RoomView {
    fn from(room: &Room) -> Self {
        Self {
            id: room.id,
            org: room.org,
            name: room.name.clone(),
            topic: room.topic.clone(),
            is_dm: room.dm_users.is_some(),
            dm_users: room
                .dm_users
                .as_ref()
                .map(|people| people.iter().map(PersonView::from).collect()),
            access_level: room.access_level.as_str(),
            auto_join: room.auto_join,
            created_by: room.created_by,
            created_at: room.created_at,
            members_count: room.members_count,
            first_seq: room.first_seq,
            last_seq: room.last_seq,
            last_message_at: room.last_message_at,
            settings: room.settings.as_ref().map(RoomSettingsView::from),
        }
    }
}

/// What a `room.updated` changed: the changed fields alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoomChanges)]
pub struct RoomChangesView {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The new access level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_level: Option<&'static str>,
    /// The new auto-join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_join: Option<bool>,
}

impl From<&RoomChange> for RoomChangesView {
    fn from(change: &RoomChange) -> Self {
        Self {
            name: change.name.clone(),
            topic: change.topic.clone(),
            access_level: change.access_level.map(domain::AccessLevel::as_str),
            auto_join: change.auto_join,
        }
    }
}

/// A member's own settings of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoomSettings)]
pub struct RoomSettingsView {
    /// `all`, `mentions` or `none`.
    pub notify: &'static str,
    /// The section they file it under.
    pub section: Option<String>,
    /// Whether they starred it.
    pub starred: bool,
}

impl From<&RoomSettings> for RoomSettingsView {
    fn from(settings: &RoomSettings) -> Self {
        Self {
            notify: settings.notify.as_str(),
            section: settings.section.clone(),
            starred: settings.starred,
        }
    }
}

/// A person as rosters name them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    /// Their id.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their first name.
    pub first_name: String,
    /// Their last name.
    pub last_name: String,
}

impl From<&Person> for PersonView {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id,
            email: person.email.clone(),
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
        }
    }
}
