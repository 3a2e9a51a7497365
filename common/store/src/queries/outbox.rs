//! What waits to be planned.

use domain::{OrgId, RoomId, Seq};
use sqlx::PgConnection;

use crate::Result;

/// Where an event that waits is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogPlace {
    /// In a room's log.
    Room(RoomId, Seq),
    /// In an organization's.
    Org(OrgId, Seq),
}

impl LogPlace {
    /// The place within its log.
    pub fn seq(self) -> Seq {
        match self {
            Self::Room(_, seq) | Self::Org(_, seq) => seq,
        }
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    /// Events, counted up to 10,000.
    pub events: i64,
    /// Seconds since the oldest of them was committed; 0 when there is none.
    pub oldest_seconds: f64,
}

/// How much waits. The oldest is the one with the lowest id: rows are numbered as they are written.
pub async fn backlog(conn: &mut PgConnection, now: domain::Timestamp) -> Result<Backlog> {
    let row = sqlx::query!(
        r#"select (select count(*) from (select 1 from outbox limit 10000) counted) as "events!",
                  coalesce((select extract(epoch from $1 - coalesce(committed_at, publish_after))
                            from outbox order by id limit 1), 0)::float8 as "oldest!""#,
        now as domain::Timestamp,
    )
    .fetch_one(conn)
    .await?;
    Ok(Backlog { events: row.events, oldest_seconds: row.oldest.max(0.0) })
}
