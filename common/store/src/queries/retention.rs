//! What is kept, for how long, and what was removed.
//!
//! The one definition of what has expired is in the schema: `kept_since(org, now)` is the instant
//! up to which an organization's messages have, `log_floor(room, now)` the first place of a room's
//! log that has not. Every read goes by them from that instant on; rows follow when the janitor
//! comes to them.

use domain::retention::{Purge, Retention};
use domain::{OrgId, PurgeId, Refusal, RoomId, Seq, Timestamp};
use sqlx::PgConnection;

use crate::access::{MemberAccess, OrgAccess};
use crate::page::Slice;
use crate::{Error, Result};

/// The first place of a room's log that is kept: its end + 1 when nothing is.
pub async fn log_floor(
    conn: &mut PgConnection,
    room: &MemberAccess,
    now: Timestamp,
) -> Result<Seq> {
    let floor = sqlx::query_scalar!(
        r#"select log_floor($1, $2) as "floor: Seq""#,
        room.room().0,
        now as Timestamp,
    )
    .fetch_one(conn)
    .await?;
    Ok(floor.ok_or(Refusal::NotFound)?)
}

/// How long an organization's messages are kept.
///
/// # Errors
/// `NotFound` when it was deleted since the proof was made.
pub async fn retention(conn: &mut PgConnection, access: OrgAccess) -> Result<Retention> {
    let row = sqlx::query!(
        r#"select retention_days, legal_hold,
                  (select nullif(s.retention_days, 0) from deployment_settings s where s.is_only)
                      as configured
           from organizations where id = $1"#,
        access.org().0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotFound)?;
    Ok(Retention {
        days: row.retention_days,
        configured_days: row.configured,
        legal_hold: row.legal_hold,
    })
}

/// A stretch of the records of what was removed of an organization.
pub async fn purges(
    conn: &mut PgConnection,
    access: OrgAccess,
    slice: Slice,
) -> Result<Vec<Purge>> {
    let rows = sqlx::query!(
        r#"select id as "id: PurgeId", started_at as "started_at: Timestamp",
                  ended_at as "ended_at: Timestamp", removed
           from purges where org_id = $1 and id > $2 and id < $3
           order by case when $4 then -id else id end limit $5"#,
        access.org().0,
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let removed = serde_json::from_value(row.removed)
                .map_err(|_| Error::corrupt("purges", "removed", row.id))?;
            Ok(Purge { id: row.id, started_at: row.started_at, ended_at: row.ended_at, removed })
        })
        .collect()
}

/// A room whose log begins with what has expired.
#[derive(Clone, Copy, Debug)]
pub struct PastRoom {
    /// Its organization.
    pub org: OrgId,
    /// The room.
    pub room: RoomId,
    /// Places of its log that have expired: messages, and changes to them.
    pub expired: i64,
}

/// Some rooms, and what of them has expired.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Those whose log begins with what has expired.
    pub past: Vec<PastRoom>,
    /// Places of all their logs.
    pub places: i64,
    /// The last room that was looked at; `None` at the end.
    pub last: Option<RoomId>,
}

/// What has expired at `now` of the next `limit` rooms after `after`, by id.
pub async fn survey(
    conn: &mut PgConnection,
    after: RoomId,
    limit: i64,
    now: Timestamp,
) -> Result<Survey> {
    let rows = sqlx::query!(
        r#"select id as "room: RoomId", org_id as "org: OrgId",
                  log_floor(id, $3) - first_seq as "expired!",
                  last_seq + 1 - first_seq as "places!"
           from rooms where id > $1 order by id limit $2"#,
        after.0,
        limit,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| row.room);
    let places = rows.iter().map(|row| row.places).sum();
    let past = rows.into_iter().filter(|row| row.expired > 0).map(|row| PastRoom {
        org: row.org,
        room: row.room,
        expired: row.expired,
    });
    Ok(Survey { past: past.collect(), places, last })
}

/// The room after `after`, by id.
pub async fn next_room(conn: &mut PgConnection, after: RoomId) -> Result<Option<RoomId>> {
    Ok(sqlx::query_scalar!(
        r#"select id as "room: RoomId" from rooms where id > $1 order by id limit 1"#,
        after.0,
    )
    .fetch_optional(conn)
    .await?)
}

/// How much waits to be removed, counted up to 10,000.
pub async fn purge_backlog(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
               (select from log_trims limit 10000) union all (select from removals limit 10000)
               limit 10000) counted"#,
    )
    .fetch_one(conn)
    .await?)
}
