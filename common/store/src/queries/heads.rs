//! Where rooms stand and who is still in them: what edges compare every other second.

use domain::{RoomId, Seq, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;

/// Where a room stands.
#[derive(Clone, Debug)]
pub struct Head {
    /// The room.
    pub room: RoomId,
    /// Its first event that is kept and its last; `None` when the room is gone.
    pub log: Option<(Seq, Seq)>,
    /// Which of the named users are not in it.
    pub not_members: Vec<UserId>,
}

/// The heads of rooms, and which of the named users are in them no more, all in one snapshot: who
/// is found missing had left by that head.
pub async fn heads(
    conn: &mut PgConnection,
    rooms: &[RoomId],
    users: &[(RoomId, UserId)],
    now: Timestamp,
) -> Result<Vec<Head>> {
    let user_rooms: Vec<i64> = users.iter().map(|(room, _)| room.0).collect();
    let user_ids: Vec<i64> = users.iter().map(|(_, user)| user.0).collect();
    let rows = sqlx::query!(
        r#"with gone as (
               select p.room_id, array_agg(p.user_id) as users
               from unnest($2::bigint[], $3::bigint[]) as p (room_id, user_id)
               where not exists (
                   select from room_members m
                   where m.room_id = p.room_id and m.user_id = p.user_id)
               group by p.room_id
           )
           select t.room_id as "room!: RoomId", case when r.id is not null then log_floor(r.id, $4) end as "first_seq?: Seq",
                  r.last_seq as "last_seq?: Seq", g.users as "users?: Vec<UserId>"
           from unnest($1::bigint[]) as t (room_id)
           left join rooms r on r.id = t.room_id
           left join gone g on g.room_id = t.room_id"#,
        rooms as &[RoomId],
        &user_rooms,
        &user_ids,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Head {
            room: row.room,
            log: row.first_seq.zip(row.last_seq),
            not_members: row.users.unwrap_or_default(),
        })
        .collect())
}

/// A room's last event; `None` when the room is gone.
pub async fn last_seq(conn: &mut PgConnection, room: RoomId) -> Result<Option<Seq>> {
    Ok(sqlx::query_scalar!(r#"select last_seq as "seq: Seq" from rooms where id = $1"#, room.0)
        .fetch_optional(conn)
        .await?)
}

/// Members of a room by ascending id, from `after` on.
pub async fn member_ids(
    conn: &mut PgConnection,
    room: RoomId,
    after: UserId,
    limit: i64,
) -> Result<Vec<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"select user_id as "user: UserId" from room_members
           where room_id = $1 and user_id > $2 order by user_id limit $3"#,
        room.0,
        after.0,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A user's address.
pub async fn find_email(conn: &mut PgConnection, user: UserId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!("select email from users where id = $1", user.0)
        .fetch_optional(conn)
        .await?)
}
