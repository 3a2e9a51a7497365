//! Gives words to messages that have none: long ones, soon after they are posted; those that were
//! written before there was a search, or imported.

use domain::search::Words;
use domain::{Claim, MessageId, RoomId, UserId};

use crate::{Result, Tx};

/// Gives words to claimed messages, those that nobody holds. Returns how many it found.
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
    let ids: Vec<i64> = rows.iter().map(|row| row.id.0).collect();
    let documents: Vec<String> =
        rows.iter().map(|row| Words::of(&row.body).document(row.room, row.sender)).collect();
    sqlx::query!(
        "update messages m set search = t.search::tsvector
         from unnest($1::bigint[], $2::text[]) as t (id, search) where m.id = t.id",
        &ids,
        &documents,
    )
    .execute(tx.conn())
    .await?;
    Ok(ids.len() as u64)
}

/// What a message is found by, as a `tsvector`.
#[derive(Clone, Debug)]
pub struct Document {
    /// The message.
    pub message: MessageId,
    /// The words.
    pub text: String,
}

/// Gives words to messages that still have none. Returns how many they were.
pub async fn index_documents(tx: &mut Tx, documents: &[Document]) -> Result<u64> {
    let ids: Vec<i64> = documents.iter().map(|document| document.message.0).collect();
    let texts: Vec<String> = documents.iter().map(|document| document.text.clone()).collect();
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
