//! Messages, their reactions and what they show of an upload.

use domain::upload::Attached;
use domain::{Message, MessageId, OrgId, Reaction, RoomId, Seq, Timestamp, UploadId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

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

impl From<&Reaction> for ReactionView {
    fn from(reaction: &Reaction) -> Self {
        Self { emoji: reaction.emoji.clone(), user_ids: reaction.user_ids.clone() }
    }
}
