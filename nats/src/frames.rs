//! What clients see: the views of REST and the frames of the WebSocket, one definition for both.
//!
//! A frame's text is made once, here, by the api that commits the event (or replays it); an edge
//! hands it on as it is. Inner types are not serializable: each view is converted from its
//! domain twin.

use domain::notification::Notification;
use domain::room::{Room, RoomChange, RoomSettings};
use domain::upload::Attached;
use domain::{
    InviteId, LogEvent, Message, MessageId, NotificationId, OrgId, Person, Reaction, RoomId, Seq,
    Timestamp, UploadId, UserId, What,
};
use serde::Serialize;
use utoipa::ToSchema;

mod live;

pub use live::LiveFrame;

/// A message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// The message's id; within a room, ids rise with `seq`.
    pub id: MessageId,
    /// The place of its creation in the room's log.
    pub seq: Seq,
    /// The organization.
    pub org: OrgId,
    /// The room.
    pub room: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// `CommonMark`; raw HTML is text. Empty once deleted.
    pub body: String,
    /// A file's address.
    pub file_url: Option<String>,
    /// The upload it carries.
    pub upload_id: Option<UploadId>,
    /// What is known of the upload.
    pub upload: Option<AttachedView>,
    /// The message of this room that it answers.
    pub reply_to: Option<MessageId>,
    /// In the order in which each emoji first came.
    pub reactions: Vec<ReactionView>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// The sender's own id for this send.
    pub nonce: Option<String>,
}

/// What a message tells of the upload that it carries.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Attached)]
pub struct AttachedView {
    /// The file's name, as text.
    pub filename: String,
    /// Its type.
    pub content_type: String,
    /// Bytes.
    pub file_size: i64,
    /// Pixels; null until they are known, and for what is no image.
    pub width: Option<i32>,
    /// Pixels; null until they are known, and for what is no image.
    pub height: Option<i32>,
    /// Whether there is a small picture of it, at the upload's `preview_url`.
    pub has_preview: bool,
}

impl From<&Attached> for AttachedView {
    fn from(upload: &Attached) -> Self {
        Self {
            filename: upload.filename.clone(),
            content_type: upload.content_type.clone(),
            file_size: upload.file_size,
            width: upload.width,
            height: upload.height,
            has_preview: upload.has_preview,
        }
    }
}

/// One emoji and those who reacted with it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reaction)]
pub struct ReactionView {
    /// The emoji.
    pub emoji: String,
    /// Who, earliest first.
    pub user_ids: Vec<UserId>,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            org: message.org,
            room: message.room,
            sender: message.sender,
            body: message.body.clone(),
            file_url: message.file_url.clone(),
            upload_id: message.upload.as_ref().map(|upload| upload.id),
            upload: message.upload.as_ref().map(AttachedView::from),
            reply_to: message.reply_to,
            reactions: message.reactions.iter().map(ReactionView::from).collect(),
            is_deleted: message.is_deleted,
            created_at: message.created_at,
            edited_at: message.edited_at,
            nonce: message.nonce.clone(),
        }
    }
}

impl From<&Reaction> for ReactionView {
    fn from(reaction: &Reaction) -> Self {
        Self { emoji: reaction.emoji.clone(), user_ids: reaction.user_ids.clone() }
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

/// A notification, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// The notification's id.
    pub id: NotificationId,
    /// One line.
    pub title: String,
    /// What it says: of a message, the beginning of its text as it is now; empty once deleted.
    pub message: String,
    /// `mention`, `dm`, `org_invite`, `room_invite` or `role_change`.
    pub notification_type: String,
    /// Whether it was read.
    pub is_read: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// What it points at.
    pub data: NotificationData,
}

/// What a notification points at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NotificationData {
    /// The organization.
    pub org: OrgId,
    /// The room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The invite; never its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_id: Option<InviteId>,
    /// Whose doing it is.
    pub by: UserId,
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        Self {
            id: notification.id,
            title: notification.title,
            message: notification.message,
            notification_type: notification.kind,
            is_read: notification.is_read,
            created_at: notification.created_at,
            read_at: notification.read_at,
            data: NotificationData {
                org: notification.data.org,
                room: notification.data.room,
                message: notification.data.message,
                invite_id: notification.data.invite,
                by: notification.data.by,
            },
        }
    }
}

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

/// The JSON text of a frame or view.
pub fn text(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        tracing::error!(error = %error, "a frame could not be serialized: {error}");
        String::new()
    })
}
