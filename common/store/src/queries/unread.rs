//! What a reader has not read, counted by its definition: messages after their marker that others
//! sent and that are not deleted. Counting ends at the contract's limit.

use domain::limits::UNREAD_MAX;
use domain::room::Unread;
use domain::{MessageId, RoomId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;

/// The counts of every room that a person is in, by room id.
pub async fn unread_counts(
    conn: &mut PgConnection,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Unread>> {
    count(conn, user, None, now).await
}

/// The counts of one room; `None` when the person is not in it.
pub async fn find_unread(
    conn: &mut PgConnection,
    user: UserId,
    room: RoomId,
    now: Timestamp,
) -> Result<Option<Unread>> {
    Ok(count(conn, user, Some(room), now).await?.pop())
}

/// What has expired is counted no more. Where there is nothing after the marker, that is not asked.
async fn count(
    conn: &mut PgConnection,
    user: UserId,
    room: Option<RoomId>,
    now: Timestamp,
) -> Result<Vec<Unread>> {
    let rows = sqlx::query!(
        r#"select r.id as "room: RoomId", r.name,
                  m.last_read_msg_id as "last_read_msg_id: MessageId",
                  r.last_seq as "last_seq: domain::Seq",
                  unread.count as "unread!", mentions.count as "mentions!"
           from room_members m
           join rooms r on r.id = m.room_id
           cross join lateral (
               select case when m.last_read_seq < r.last_seq
                   then greatest(m.last_read_seq, log_floor(r.id, $5) - 1)
                   else m.last_read_seq end as seq
               offset 0
           ) seen
           cross join lateral (
               select count(*) from (
                   select from messages x
                   where x.room_id = m.room_id and x.seq > seen.seq
                     and x.sender_id <> m.user_id and not x.is_deleted
                   limit $3
               ) counted
           ) unread
           cross join lateral (
               select count(*) from (
                   (select x.id from messages x
                    where x.room_id = m.room_id and x.seq > seen.seq and x.mentions_room
                      and x.sender_id <> m.user_id and not x.is_deleted
                    limit $4)
                   union
                   (select x.id from message_mentions n join messages x on x.id = n.message_id
                    where n.user_id = m.user_id and n.room_id = m.room_id
                      and n.seq > seen.seq and n.is_current
                      and x.sender_id <> m.user_id and not x.is_deleted
                    limit $4)
                   limit $4
               ) counted
           ) mentions
           where m.user_id = $1 and ($2::bigint is null or m.room_id = $2)
           order by r.id"#,
        user.0,
        room.map(|room| room.0),
        UNREAD_MAX + 1,
        UNREAD_MAX,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unread {
            room: row.room,
            room_name: row.name,
            unread_count: row.unread.min(UNREAD_MAX),
            unread_capped: row.unread > UNREAD_MAX,
            mention_count: row.mentions,
            last_read_msg_id: row.last_read_msg_id,
            last_seq: row.last_seq,
        })
        .collect())
}
