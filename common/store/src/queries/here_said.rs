//! Who was online when `@here` was said, where that was recorded.

use std::collections::HashMap;

use domain::{RoomId, Seq, UserId};
use sqlx::PgConnection;

use crate::Result;
use crate::queries::outbox::LogPlace;

/// The members of a room, if the event at `seq` of its log still waits to be planned.
pub async fn waiting_for_here(
    conn: &mut PgConnection,
    room: RoomId,
    seq: Seq,
) -> Result<Option<Vec<UserId>>> {
    let members = sqlx::query_scalar!(
        r#"select array(select user_id from room_members where room_id = $1) as "members!: Vec<UserId>"
           from outbox where room_id = $1 and seq = $2"#,
        room.0,
        seq.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(members)
}

/// Who was online when the events at some places of rooms' logs said `@here`, where it is recorded.
pub async fn here_said(
    conn: &mut PgConnection,
    places: &[(RoomId, Seq)],
) -> Result<HashMap<LogPlace, Vec<UserId>>> {
    let (rooms, seqs): (Vec<i64>, Vec<i64>) =
        places.iter().map(|(room, seq)| (room.0, seq.0)).unzip();
    let rows = sqlx::query!(
        r#"select t.room_id as "room!: RoomId", t.seq as "seq!: Seq", h.users as "users: Vec<UserId>"
           from unnest($1::bigint[], $2::bigint[]) as t (room_id, seq)
           cross join lateral (
               select id from messages where room_id = t.room_id and seq = t.seq
               union all
               select message_id from room_events where room_id = t.room_id and seq = t.seq
               limit 1
           ) m
           join here_said h on h.message_id = m.id and h.seq = t.seq"#,
        &rooms,
        &seqs,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (LogPlace::Room(row.room, row.seq), row.users)).collect())
}
