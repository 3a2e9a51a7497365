//! Indexes the words of messages that are not indexed yet: long ones, soon after they are posted, and
//! those from before there was a search.

use domain::search::Words;
use domain::{Claim, MessageId, RoomId, UserId};

use crate::{Result, Tx};

/// Indexes claimed messages; passes over those that another transaction holds. Returns how many it
/// found.
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
    let documents: Vec<Document> = rows
        .into_iter()
        .map(|row| Document {
            message: row.id,
            text: Words::of(&row.body).document(row.room, row.sender),
        })
        .collect();
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

/// Indexes messages that are not indexed yet. Returns how many they were.
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
