//! Events that concern everyone in a large room: planned in several transactions, a bounded number of
//! recipients each.
//!
//! The first one *opens* the event: it records what does not depend on recipients and keeps the
//! outbox row. Each further one records some recipients, by ascending user id, and where it got to.
//! The last one removes the row.

use std::time::Duration;

use domain::{Epoch, RoomId, Seq, Timestamp, UserId};
use sqlx::PgConnection;

use super::outbox::Claimed;
use crate::queries::outbox::LogPlace;
use crate::{Result, Tx};

/// How long the sweep leaves an event alone after some of its recipients were planned.
const PROGRESS_GRACE: Duration = Duration::from_secs(30);

/// How far the recipients of an event have been planned.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The last one who was; 0 before the first.
    pub planned_to: UserId,
    /// How often planning some of them has failed.
    pub failures: u32,
    /// The epoch in which the event was committed; `None` by a version that knew no epochs.
    pub epoch: Option<Epoch>,
}

/// Opens events that were not. Others are being opened by another relay.
pub async fn open(tx: &mut Tx, places: &[(RoomId, Seq)]) -> Result<Vec<Claimed>> {
    let (rooms, seqs): (Vec<i64>, Vec<i64>) =
        places.iter().map(|(room, seq)| (room.0, seq.0)).unzip();
    let rows = sqlx::query!(
        r#"update outbox set planned_to = 0 where id = any(array(
             select o.id
             from unnest($1::bigint[], $2::bigint[]) as t (room_id, seq)
             cross join lateral (
                 select id from outbox
                 where room_id = t.room_id and seq = t.seq and planned_to is null
                 for update skip locked
             ) o))
           returning room_id as "room!: RoomId", seq as "seq: Seq", epoch, is_private,
                     webhooks_version"#,
        &rooms,
        &seqs,
    )
    .fetch_all(tx.conn())
    .await?;
    let claimed = rows.into_iter().map(|row| Claimed {
        place: LogPlace::Room(row.room, row.seq),
        epoch: row.epoch.as_deref().and_then(Epoch::parse),
        payload: None,
        is_private: row.is_private,
        webhooks_version: row.webhooks_version,
    });
    Ok(claimed.collect())
}

/// How far an open event has been planned; `None` once it is done.
pub async fn progress(conn: &mut PgConnection, room: RoomId, seq: Seq) -> Result<Option<Progress>> {
    let row = sqlx::query!(
        r#"select planned_to as "planned_to!: UserId", failures, epoch from outbox
           where room_id = $1 and seq = $2 and planned_to is not null"#,
        room.0,
        seq.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Progress {
        planned_to: row.planned_to,
        failures: u32::try_from(row.failures).unwrap_or_default(),
        epoch: row.epoch.as_deref().and_then(Epoch::parse),
    }))
}

/// Locks an open event to plan its next recipients. False if its progress has changed since it was
/// read, or another relay holds it.
pub async fn claim(tx: &mut Tx, (room, seq): (RoomId, Seq), found: Progress) -> Result<bool> {
    let row = sqlx::query_scalar!(
        "select id from outbox where room_id = $1 and seq = $2 and planned_to = $3
         for update skip locked",
        room.0,
        seq.0,
        found.planned_to.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.is_some())
}

/// Notes that recipients up to one have been planned. Earlier failures count less with each success.
pub async fn advance(
    tx: &mut Tx,
    (room, seq): (RoomId, Seq),
    planned_to: UserId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "update outbox set planned_to = $3, failures = greatest(failures - 1, 0), publish_after = $4
         where room_id = $1 and seq = $2",
        room.0,
        seq.0,
        planned_to.0,
        (now + PROGRESS_GRACE) as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Passes over a recipient who cannot be planned.
pub async fn pass_over(
    tx: &mut Tx,
    (room, seq): (RoomId, Seq),
    recipient: UserId,
    failures: u32,
) -> Result<()> {
    sqlx::query!(
        "update outbox set planned_to = $3, failures = $4
         where room_id = $1 and seq = $2 and planned_to < $3",
        room.0,
        seq.0,
        recipient.0,
        i32::try_from(failures).unwrap_or(i32::MAX),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
