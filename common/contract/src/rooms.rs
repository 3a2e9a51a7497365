//! Rooms, the people in them, and a member's own settings.

use domain::room::{Room, RoomChange, RoomMember, RoomSettings, Unread};
use domain::webhook::CoveringWebhook;
use domain::{MessageId, OrgId, Person, RoomId, RoomMemberId, Seq, Timestamp, UserId, WebhookId};
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

/// A member of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoomMember)]
pub struct RoomMemberView {
    /// The membership's id.
    pub id: RoomMemberId,
    /// The room.
    pub room: RoomId,
    /// The person.
    pub user: UserId,
    /// Their address.
    pub user_email: String,
    /// Their first name.
    pub user_first_name: String,
    /// Their last name.
    pub user_last_name: String,
    /// Their role in the organization: `ADMIN`, `MANAGER` or `MEMBER`.
    pub org_role: &'static str,
    /// The last message they marked as read.
    pub last_read_msg_id: Option<MessageId>,
    /// Since when.
    pub joined_at: Timestamp,
    /// Whether any of their sockets is open.
    pub online: bool,
}

/// What became of a membership.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MembershipAnswer {
    /// A sentence for people.
    pub detail: &'static str,
    /// The room.
    pub room_id: RoomId,
}

/// Where the reader stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ReadAnswer {
    /// The room.
    pub room_id: RoomId,
    /// The last message marked as read.
    pub last_read_msg_id: MessageId,
    /// Messages of others after the marker that are not deleted, at most 1,000.
    pub unread_count: i64,
    /// Whether there are more.
    pub unread_capped: bool,
}

/// What the caller has not read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnreadCounts {
    /// Every room of the caller, by id.
    pub unread_counts: Vec<RoomUnread>,
}

/// What the caller has not read in a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RoomUnread {
    /// The room.
    pub room_id: RoomId,
    /// Its name; empty for a direct message.
    pub room_name: String,
    /// Messages of others after the caller's marker that are not deleted, at most 1,000.
    pub unread_count: i64,
    /// Whether there are more.
    pub unread_capped: bool,
    /// Those among them that mention the caller, `@room` included, at most 1,000.
    pub mention_count: i64,
    /// The last message marked as read; null until one was.
    pub last_read_msg_id: Option<MessageId>,
    /// The room's last event that was there when this was counted: what comes later is not in it.
    #[schema(value_type = i64, minimum = 0)]
    pub last_seq: Seq,
}

impl From<Unread> for RoomUnread {
    fn from(unread: Unread) -> Self {
        Self {
            room_id: unread.room,
            room_name: unread.room_name,
            unread_count: unread.unread_count,
            unread_capped: unread.unread_capped,
            mention_count: unread.mention_count,
            last_read_msg_id: unread.last_read_msg_id,
            last_seq: unread.last_seq,
        }
    }
}

/// The caller's own settings of a room, and who else hears what is said there.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RoomSettingsAndWebhooks)]
pub struct RoomSettingsAndWebhooksView {
    #[expect(missing_docs, reason = "it would describe the flattened fields in the document")]
    #[serde(flatten)]
    pub settings: RoomSettingsView,
    /// Of a PRIVATE room: the organization's webhooks with `include_private`, which are sent its
    /// messages. Absent where there are none, as in all other rooms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<CoveringWebhookView>,
}

impl RoomSettingsAndWebhooksView {
    /// The settings, and the webhooks that cover the room.
    pub fn new(settings: &RoomSettings, webhooks: Vec<CoveringWebhook>) -> Self {
        let webhooks = webhooks.into_iter().map(|webhook| CoveringWebhookView {
            id: webhook.id,
            host: webhook.host().to_owned(),
            is_active: webhook.is_active,
            created_at: webhook.created_at,
        });
        Self { settings: RoomSettingsView::from(settings), webhooks: webhooks.collect() }
    }
}

/// A webhook that is sent what happens in a PRIVATE room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CoveringWebhook)]
pub struct CoveringWebhookView {
    /// The webhook.
    pub id: WebhookId,
    /// The host that it delivers to.
    #[schema(example = "hooks.example.com")]
    pub host: String,
    /// Whether it is active.
    pub is_active: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl RoomMemberView {
    /// A member, and whether they are online.
    pub fn new(member: RoomMember, online: bool) -> Self {
        Self {
            id: member.id,
            room: member.room,
            user: member.person.id,
            user_email: member.person.email,
            user_first_name: member.person.first_name,
            user_last_name: member.person.last_name,
            org_role: member.org_role.as_str(),
            last_read_msg_id: member.last_read_msg_id,
            joined_at: member.joined_at,
            online,
        }
    }
}
