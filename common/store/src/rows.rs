//! Rows as they come, and what they become.

use std::collections::HashMap;

use domain::upload::Attached;
use domain::{
    Message, MessageId, OrgId, Person, Reaction, RoomId, Seq, Timestamp, UploadId, UserId,
};
use sqlx::PgConnection;

use crate::Result;

/// A row of `messages`.
#[derive(Debug)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) seq: Seq,
    pub(crate) org: OrgId,
    pub(crate) room: RoomId,
    pub(crate) sender: UserId,
    pub(crate) body: String,
    pub(crate) file_url: Option<String>,
    pub(crate) upload: Option<UploadId>,
    pub(crate) reply_to: Option<MessageId>,
    pub(crate) nonce: Option<String>,
    pub(crate) is_deleted: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
}

/// `select`s rows of `messages m` as [`MessageRow`]; the tail begins with `where`.
macro_rules! select_messages {
    ($tail:literal, $($arg:expr),* $(,)?) => {
        sqlx::query_as!(
            crate::rows::MessageRow,
            r#"select m.id as "id: domain::MessageId", m.seq as "seq: domain::Seq",
                      m.org_id as "org: domain::OrgId", m.room_id as "room: domain::RoomId",
                      m.sender_id as "sender: domain::UserId", m.body, m.file_url,
                      m.upload_id as "upload: domain::UploadId",
                      m.reply_to as "reply_to: domain::MessageId", m.nonce, m.is_deleted,
                      m.created_at as "created_at: domain::Timestamp",
                      m.edited_at as "edited_at: domain::Timestamp"
               from messages m "# + $tail,
            $($arg),*
        )
    };
}
pub(crate) use select_messages;

impl MessageRow {
    fn into_message(self, reactions: Vec<Reaction>, upload: Option<Attached>) -> Message {
        Message {
            id: self.id,
            seq: self.seq,
            org: self.org,
            room: self.room,
            sender: self.sender,
            body: self.body,
            file_url: self.file_url,
            upload,
            reply_to: self.reply_to,
            reactions,
            is_deleted: self.is_deleted,
            created_at: self.created_at,
            edited_at: self.edited_at,
            nonce: self.nonce,
        }
    }
}

/// Completes rows with their reactions and what is known of their uploads, keeping their order.
pub(crate) async fn completed(
    conn: &mut PgConnection,
    rows: Vec<MessageRow>,
) -> Result<Vec<Message>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id.0).collect();
    let mut reactions: HashMap<MessageId, Vec<Reaction>> = HashMap::new();
    if !ids.is_empty() {
        let found = sqlx::query!(
            r#"select message_id as "message: MessageId", emoji, user_id as "user: UserId"
               from message_reactions where message_id = any($1) order by id"#,
            &ids,
        )
        .fetch_all(&mut *conn)
        .await?;
        for row in found {
            let of_message = reactions.entry(row.message).or_default();
            match of_message.iter_mut().find(|reaction| reaction.emoji == row.emoji) {
                Some(reaction) => reaction.user_ids.push(row.user),
                None => of_message.push(Reaction { emoji: row.emoji, user_ids: vec![row.user] }),
            }
        }
    }
    let uploads: Vec<UploadId> = rows.iter().filter_map(|row| row.upload).collect();
    let uploads = attached(conn, &uploads).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let reactions = reactions.remove(&row.id).unwrap_or_default();
            let upload = row.upload.and_then(|id| uploads.get(&id).cloned());
            row.into_message(reactions, upload)
        })
        .collect())
}

/// What messages tell of the uploads that they carry.
pub(crate) async fn attached(
    conn: &mut PgConnection,
    ids: &[UploadId],
) -> Result<HashMap<UploadId, Attached>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Attached,
        r#"select id as "id: UploadId", filename, content_type, file_size, width, height,
                  preview_state = 'made' as "has_preview!"
           from file_uploads where id = any($1)"#,
        ids as &[UploadId],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|upload| (upload.id, upload)).collect())
}

/// Messages by their ids, complete.
pub(crate) async fn messages(
    conn: &mut PgConnection,
    ids: &[i64],
) -> Result<HashMap<MessageId, Message>> {
    let rows = select_messages!("where m.id = any($1)", ids).fetch_all(&mut *conn).await?;
    let messages = completed(conn, rows).await?;
    Ok(messages.into_iter().map(|message| (message.id, message)).collect())
}

/// People by their ids.
pub(crate) async fn people(
    conn: &mut PgConnection,
    ids: &[UserId],
) -> Result<HashMap<UserId, Person>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Person,
        r#"select id as "id: UserId", email, first_name, last_name from users where id = any($1)"#,
        ids as &[UserId],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|person| (person.id, person)).collect())
}
