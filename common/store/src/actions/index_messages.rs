//! Gives words to messages that have none: written before there was a search, or imported.

use domain::search::Words;
use domain::{MessageId, RoomId, UserId};

use crate::{Result, Tx};

/// Gives words to at most `limit` messages, those that nobody holds. Returns how many it found.
pub async fn index_messages(tx: &mut Tx, limit: i64) -> Result<u64> {
    let rows = sqlx::query!(
        r#"select id as "id: MessageId", room_id as "room: RoomId", sender_id as "sender: UserId", body
           from messages where search is null and not is_deleted
           order by id limit $1 for no key update skip locked"#,
        limit,
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
