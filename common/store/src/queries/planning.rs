//! What planning must know of events whose effects it records: read in the transaction that
//! records them.

use std::collections::HashMap;

use domain::room::Room;
use domain::{AccessLevel, LogEvent, MessageId, OrgId, Role, RoomId, Seq, Timestamp, UserId};
use sqlx::PgConnection;

use super::room_log::{Place, complete};
use crate::{Result, access};

/// A room whose events webhooks may hear of.
#[derive(Clone, Debug)]
pub struct HeardRoom {
    /// Its organization, which has active webhooks.
    pub org: OrgId,
    /// Its name.
    pub name: String,
    /// Whether only webhooks hear of it that hear of PRIVATE rooms.
    pub is_private: bool,
}

/// An event at its place, as the log has it now.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The event.
    pub event: LogEvent,
    /// Whether it changed reactions alone.
    pub is_reaction: bool,
}

/// Those of some rooms whose events webhooks may hear of: no direct messages, and no room of an
/// organization without an active webhook.
pub async fn heard_rooms(
    conn: &mut PgConnection,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, HeardRoom>> {
    let rows = sqlx::query!(
        r#"select r.id as "id: RoomId", r.org_id as "org: OrgId", r.name, r.access_level
           from rooms r
           where r.id = any($1) and r.dm_key is null and exists (
               select 1 from webhooks w where w.org_id = r.org_id and w.is_active)"#,
        rooms as &[RoomId],
    )
    .fetch_all(conn)
    .await?;
    let heard = |level: &str| AccessLevel::parse(level) == Some(AccessLevel::Private);
    Ok(rows
        .into_iter()
        .map(|row| {
            let is_private = heard(&row.access_level);
            (row.id, HeardRoom { org: row.org, name: row.name, is_private })
        })
        .collect())
}

/// Those of some organizations that have an active webhook.
pub async fn heard_orgs(conn: &mut PgConnection, orgs: &[OrgId]) -> Result<Vec<OrgId>> {
    Ok(sqlx::query_scalar!(
        r#"select distinct org_id as "org: OrgId" from webhooks
           where org_id = any($1) and is_active"#,
        orgs as &[OrgId],
    )
    .fetch_all(conn)
    .await?)
}

/// The events at some places; what is kept no more is left out.
pub async fn events_at(conn: &mut PgConnection, places: &[(RoomId, Seq)]) -> Result<Vec<Logged>> {
    let rooms: Vec<i64> = places.iter().map(|(room, _)| room.0).collect();
    let seqs: Vec<i64> = places.iter().map(|(_, seq)| seq.0).collect();
    let rows = sqlx::query!(
        r#"select t.room as "room!: RoomId", t.seq as "seq!: Seq", log.kind as "kind!",
                  log.message as "message: MessageId", log.user_id as "user!: UserId", log.data,
                  log.created_at as "at!: Timestamp", log.is_reaction as "is_reaction!"
           from unnest($1::bigint[], $2::bigint[]) as t (room, seq)
           cross join lateral (
               select 'message' as kind, id as message, sender_id as user_id, null::jsonb as data,
                      created_at, false as is_reaction
               from messages where room_id = t.room and messages.seq = t.seq
               union all
               select kind, message_id, user_id, data, created_at, is_reaction
               from room_events where room_id = t.room and room_events.seq = t.seq
           ) log
           order by log.created_at, t.room, t.seq"#,
        &rooms,
        &seqs,
    )
    .fetch_all(&mut *conn)
    .await?;
    let reactions: Vec<bool> = rows.iter().map(|row| row.is_reaction).collect();
    let found = rows
        .into_iter()
        .map(|row| Place {
            room: row.room,
            seq: row.seq,
            kind: row.kind,
            message: row.message,
            user: row.user,
            data: row.data,
            at: row.at,
        })
        .collect();
    let events = complete(conn, found).await?;
    let logged = events.into_iter().zip(reactions);
    Ok(logged.map(|(event, is_reaction)| Logged { event, is_reaction }).collect())
}

/// A room as it is now; `None` when it is gone.
pub async fn room_now(conn: &mut PgConnection, room: RoomId) -> Result<Option<Room>> {
    super::rooms::find_room(conn, room).await
}

/// Someone's role in an organization now; `None` when they are in it no more.
pub async fn role_now(conn: &mut PgConnection, user: UserId, org: OrgId) -> Result<Option<Role>> {
    access::find_role(conn, user, org).await
}
