//! Indexes the words of messages that are not indexed yet: long ones, soon after they are posted, and
//! those from before there was a search.

use std::time::Duration;

use domain::search::Words;
use domain::{Claim, MessageId, RoomId, Timestamp, UserId};

use crate::{Result, Tx};

/// Messages younger than this are not indexed again yet: one with a smaller id may still commit.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Indexes claimed messages, except those locked by another transaction. Returns the number of
/// messages found.
pub async fn index_messages(tx: &mut Tx, claim: Claim) -> Result<u64> {
    let rows = sqlx::query!(
        r#"select id as "id: MessageId", room_id as "room: RoomId", sender_id as "sender: UserId", body
           from messages where search is null and not is_deleted
           order by id limit $1 offset $2 for no key update skip locked"#,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    let documents: Vec<Document> =
        rows.into_iter().map(|row| Document::of(row.id, row.room, row.sender, &row.body)).collect();
    index_documents(tx, &documents).await
}

/// What a message is found by, as a `tsvector`.
#[derive(Clone, Debug)]
pub struct Document {
    /// The message.
    pub message: MessageId,
    /// The words.
    pub text: String,
}

impl Document {
    fn of(message: MessageId, room: RoomId, sender: UserId, body: &str) -> Self {
        Self { message, text: Words::of(body).document(room, sender) }
    }
}

/// The columns of documents.
fn columns(documents: impl IntoIterator<Item = Document>) -> (Vec<i64>, Vec<String>) {
    documents.into_iter().map(|document| (document.message.0, document.text)).unzip()
}

/// Indexes messages that are not indexed yet. Returns how many they were.
pub async fn index_documents(tx: &mut Tx, documents: &[Document]) -> Result<u64> {
    let (ids, texts) = columns(documents.iter().cloned());
    let indexed = sqlx::query!(
        "update messages m set search = t.search::tsvector
         from unnest($1::bigint[], $2::text[]) as t (id, search)
         where m.id = t.id and m.search is null and not m.is_deleted",
        &ids,
        &texts,
    )
    .execute(tx.conn())
    .await?;
    Ok(indexed.rows_affected())
}

/// Indexes the next `limit` messages again that an older version indexed, by other rules of words.
/// Returns how many it looked at; 0: there is nothing to do now.
pub async fn reindex_messages(tx: &mut Tx, limit: i64, now: Timestamp) -> Result<u64> {
    let progress = sqlx::query!(
        r#"select position, ends_at as "ends_at: Timestamp" from search_reindex
           for update skip locked"#,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(progress) = progress else { return Ok(0) };
    // Locked: an edit meanwhile would be indexed by the words from before it.
    let rows = sqlx::query!(
        r#"select id as "id: MessageId", room_id as "room: RoomId", sender_id as "sender: UserId", body
           from messages where id > $1 and created_at < $3
           order by id limit $2 for no key update"#,
        progress.position,
        limit,
        progress.ends_at.min(now - SETTLED_AFTER) as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    let Some(last) = rows.last() else {
        if now > progress.ends_at + SETTLED_AFTER {
            sqlx::query!("delete from search_reindex").execute(tx.conn()).await?;
        }
        return Ok(0);
    };
    let (ids, texts) =
        columns(rows.iter().map(|row| Document::of(row.id, row.room, row.sender, &row.body)));
    sqlx::query!(
        "update messages m set search = t.search::tsvector
         from unnest($1::bigint[], $2::text[]) as t (id, search)
         where m.id = t.id and not m.is_deleted and m.search <> t.search::tsvector",
        &ids,
        &texts,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("update search_reindex set position = $1", last.id.0).execute(tx.conn()).await?;
    Ok(rows.len() as u64)
}

/// Passes over one message that cannot be indexed again.
pub async fn skip_reindex(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "update search_reindex
         set position = (select min(id) from messages where id > position)
         where exists (select from messages where id > position)",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
