//! Messages of a room, by id or by `seq`.

use std::collections::HashMap;

use domain::{Message, MessageId, Seq, Timestamp};
use sqlx::PgConnection;

use crate::Result;
use crate::access::MemberAccess;
use crate::page::{Slice, fetch_page};
use crate::rows::{completed, select_messages};

/// A stretch of a room's messages, in the order that the slice asks for, of those that are kept:
/// not many more than fit on a page.
pub async fn messages(
    conn: &mut PgConnection,
    room: &MemberAccess,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Message>> {
    let rows = if slice.descending {
        let rows = select_messages!(
            "where m.room_id = $1 and m.id > $2 and m.id < $3
                 and m.seq >= (select log_floor($1, $5)) order by m.id desc limit $4",
            room.room().0,
            slice.after,
            slice.before,
            slice.limit,
            now as Timestamp,
        )
        .fetch(&mut *conn);
        fetch_page(rows, |row| row.body.len()).await?
    } else {
        let rows = select_messages!(
            "where m.room_id = $1 and m.id > $2 and m.id < $3
                 and m.seq >= (select log_floor($1, $5)) order by m.id limit $4",
            room.room().0,
            slice.after,
            slice.before,
            slice.limit,
            now as Timestamp,
        )
        .fetch(&mut *conn);
        fetch_page(rows, |row| row.body.len()).await?
    };
    completed(conn, rows).await
}

/// The greatest id of a room's messages whose `seq` is at most `seq`: 0 when there is none.
/// Within a room ids rise with `seq`, so a page after a `seq` is a page after that id.
pub async fn last_id_up_to(
    conn: &mut PgConnection,
    room: &MemberAccess,
    seq: Seq,
) -> Result<MessageId> {
    let id = sqlx::query_scalar!(
        r#"select id as "id: MessageId" from messages
           where room_id = $1 and seq <= $2 order by seq desc limit 1"#,
        room.room().0,
        seq.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.unwrap_or(MessageId::NOWHERE))
}

/// A message that is kept, whoever may see it: check the room before showing it.
pub async fn find_message(
    conn: &mut PgConnection,
    id: MessageId,
    now: Timestamp,
) -> Result<Option<Message>> {
    Ok(find_messages(conn, &[id.0], now).await?.remove(&id))
}

/// Those of some messages that have not expired.
pub(crate) async fn find_messages(
    conn: &mut PgConnection,
    ids: &[i64],
    now: Timestamp,
) -> Result<HashMap<MessageId, Message>> {
    let rows = select_messages!(
        "where m.id = any($1) and m.seq >= log_floor(m.room_id, $2)",
        ids,
        now as Timestamp
    )
    .fetch_all(&mut *conn)
    .await?;
    let messages = completed(conn, rows).await?;
    Ok(messages.into_iter().map(|message| (message.id, message)).collect())
}
