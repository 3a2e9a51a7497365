//! Puts the times of logs in order that earlier versions wrote: they gave all sends of one
//! transaction the same time, and each api its own clock's.
//!
//! Place by place, a time stays what it is if it is later than the one before, and is a microsecond
//! later than that otherwise. What lies in the future is taken to be now.

use domain::{Claim, RoomId, Seq, Timestamp};

use crate::{Result, Tx};

/// Places that one transaction looks at.
const STRETCH: i64 = 2_000;

/// Puts the next stretch of a claimed room's log in order. The room is locked meanwhile. Returns how
/// many rooms it found: at most one, whatever the claim's limit.
pub async fn order_times(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let room = sqlx::query!(
        r#"select id as "id: RoomId", greatest(ordered_seq, first_seq - 1) as "after!: Seq",
                  last_seq as "last: Seq"
           from rooms where ordered_seq is not null
           order by id limit 1 offset $1 for no key update skip locked"#,
        claim.passed_over,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(room) = room else { return Ok(0) };
    let to = Seq(room.last.0.min(room.after.0 + STRETCH));
    let ends = order_stretch(tx, room.id, (room.after, to), now).await?;
    let has_more = to < room.last;
    sqlx::query!(
        "update rooms set ordered_seq = $2,
             last_event_at = case when $3 then last_event_at else $4 end,
             last_message_at = case when $3 then last_message_at
                 else coalesce($5, least(last_message_at, $4)) end
         where id = $1",
        room.id.0,
        has_more.then_some(to.0),
        has_more,
        ends.event as Option<Timestamp>,
        ends.message as Option<Timestamp>,
    )
    .execute(tx.conn())
    .await?;
    Ok(1)
}

/// The times at the end of a stretch.
struct Ends {
    /// Of its last event.
    event: Option<Timestamp>,
    /// Of its last message.
    message: Option<Timestamp>,
}

/// Puts the places after `after`, up to `to`, in order.
async fn order_stretch(
    tx: &mut Tx,
    room: RoomId,
    (after, to): (Seq, Seq),
    now: Timestamp,
) -> Result<Ends> {
    let ends = sqlx::query_as!(
        Ends,
        r#"with log as (
               select seq, created_at, true as is_message from messages
               where room_id = $1 and seq >= $2 and seq <= $3
               union all
               select seq, created_at, false from room_events
               where room_id = $1 and seq >= $2 and seq <= $3
           ), risen as (
               select seq, created_at, is_message,
                      max(least(created_at, $4) - seq * interval '1 microsecond')
                          over (order by seq) + seq * interval '1 microsecond' as at
               from log
           ), late as (
               select seq, at from risen where at <> created_at
           ), of_messages as (
               update messages m set created_at = late.at
               from late where m.room_id = $1 and m.seq = late.seq
           ), of_events as (
               update room_events e set created_at = late.at
               from late where e.room_id = $1 and e.seq = late.seq
           )
           select max(at) as "event: Timestamp",
                  max(at) filter (where is_message) as "message: Timestamp" from risen"#,
        room.0,
        after.0,
        to.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(ends)
}
