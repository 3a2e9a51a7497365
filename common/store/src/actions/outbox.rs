//! Planning's side of the outbox: a row goes in the transaction that records its event's effects.

use std::time::Duration;

use domain::{Claim, Epoch, OrgId, RoomId, Seq, Timestamp};

use crate::queries::outbox::LogPlace;
use crate::{Result, Tx};

/// The longest that a row waits between two repeats.
const REPEAT_MAX: Duration = Duration::from_secs(300);

/// An event that nobody has planned in time.
#[derive(Clone, Debug)]
pub struct Overdue {
    /// Where it is found.
    pub place: LogPlace,
    /// How often it was published again before.
    pub attempts: i32,
    /// What an organization's event says.
    pub payload: Option<serde_json::Value>,
}

/// An event whose effects are this transaction's to record.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Where it is found.
    pub place: LogPlace,
    /// The epoch in which it was committed; `None` by a version that knew no epochs.
    pub epoch: Option<Epoch>,
    /// What an organization's event says.
    pub payload: Option<serde_json::Value>,
    /// Whether the event's room was PRIVATE when it happened; `None` by a version that did not
    /// record it.
    pub is_private: Option<bool>,
    /// The version of the organization's webhooks when it happened; `None` likewise.
    pub webhooks_version: Option<i64>,
}

/// Removes the rows of events whose effects this transaction records. Returns those that were
/// there: fewer than asked when others have planned some already, or are planning them now.
pub async fn settle(tx: &mut Tx, places: &[LogPlace]) -> Result<Vec<Claimed>> {
    let (mut rooms, mut room_seqs, mut orgs, mut org_seqs) = (vec![], vec![], vec![], vec![]);
    for place in places {
        match place {
            LogPlace::Room(room, seq) => {
                rooms.push(room.0);
                room_seqs.push(seq.0);
            }
            LogPlace::Org(org, seq) => {
                orgs.push(org.0);
                org_seqs.push(seq.0);
            }
        }
    }
    // Place by place, whatever the planner believes: it mostly finds this table empty, and joins
    // made for an empty table take minutes once there is a backlog.
    // Claimed with `skip locked`: a row that another relay is settling now is that one's.
    let of_rooms = sqlx::query!(
        r#"delete from outbox where id = any(array(
             select o.id
             from unnest($1::bigint[], $2::bigint[]) as t (room_id, seq)
             cross join lateral (
                 select id from outbox where room_id = t.room_id and seq = t.seq
                 for update skip locked
             ) o))
           returning room_id as "room!: RoomId", seq as "seq: Seq", epoch, is_private,
                     webhooks_version"#,
        &rooms,
        &room_seqs,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut claimed: Vec<Claimed> = of_rooms
        .into_iter()
        .map(|row| Claimed {
            place: LogPlace::Room(row.room, row.seq),
            epoch: row.epoch.as_deref().and_then(Epoch::parse),
            payload: None,
            is_private: row.is_private,
            webhooks_version: row.webhooks_version,
        })
        .collect();
    if !orgs.is_empty() {
        let of_orgs = sqlx::query!(
            r#"delete from outbox where id = any(array(
                 select o.id
                 from unnest($1::bigint[], $2::bigint[]) as t (org_id, seq)
                 cross join lateral (
                     select id from outbox where org_id = t.org_id and seq = t.seq
                     for update skip locked
                 ) o))
               returning org_id as "org!: OrgId", seq as "seq: Seq", payload, epoch,
                         webhooks_version"#,
            &orgs,
            &org_seqs,
        )
        .fetch_all(tx.conn())
        .await?;
        let of_orgs = of_orgs.into_iter();
        claimed.extend(of_orgs.map(|row| Claimed {
            place: LogPlace::Org(row.org, row.seq),
            epoch: row.epoch.as_deref().and_then(Epoch::parse),
            payload: row.payload,
            is_private: None,
            webhooks_version: row.webhooks_version,
        }));
    }
    Ok(claimed)
}

/// Claims rows that are due to be published again, and puts their next repeat
/// off: 5 s, doubling to 5 min.
///
/// They are chosen once, into an array: joined to, the choice may be made anew for every row, and
/// each time take `limit` others.
pub async fn claim_overdue(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<Vec<Overdue>> {
    let rows = sqlx::query!(
        r#"update outbox set
               attempts = attempts + 1,
               publish_after = $1 + least(interval '5 seconds' * power(2, least(attempts, 16)),
                                          $2::float8 * interval '1 second')
           where id = any(array(
               select id from outbox where publish_after <= $1
               order by publish_after limit $3 offset $4 for update skip locked))
           returning room_id as "room: RoomId", org_id as "org: OrgId", seq as "seq: Seq",
                     attempts, payload"#,
        now as Timestamp,
        REPEAT_MAX.as_secs_f64(),
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let place = match (row.room, row.org) {
                (Some(room), _) => LogPlace::Room(room, row.seq),
                (None, Some(org)) => LogPlace::Org(org, row.seq),
                (None, None) => return None,
            };
            Some(Overdue { place, attempts: row.attempts, payload: row.payload })
        })
        .collect())
}

/// Makes at most `limit` rows due now that wait for their next repeat: what kept them from being
/// planned is over. Returns how many.
///
/// Their attempts count on, so a repeat has an id of its own.
pub async fn make_due(tx: &mut Tx, limit: i64, now: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "update outbox set publish_after = $1
         where id = any(array(
             select id from outbox where publish_after > $1 and attempts > 0
             order by publish_after limit $2 for update skip locked))",
        now as Timestamp,
        limit,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Notes how often planning has failed with events, where that is more than before.
pub async fn note_failures(tx: &mut Tx, failures: &[(LogPlace, u32)]) -> Result<()> {
    let (mut rooms, mut orgs) = (Places::default(), Places::default());
    for &(place, failures) in failures {
        match place {
            LogPlace::Room(room, seq) => rooms.push(room.0, seq, failures),
            LogPlace::Org(org, seq) => orgs.push(org.0, seq, failures),
        }
    }
    // Place by place: see `settle`. A row that another transaction holds is that one's to count.
    sqlx::query!(
        "update outbox o set failures = greatest(o.failures, f.failures)
         from (select w.id, t.failures
               from unnest($1::bigint[], $2::bigint[], $3::integer[]) as t (room_id, seq, failures)
               cross join lateral (
                   select id from outbox where room_id = t.room_id and seq = t.seq
                   for update skip locked
               ) w) f
         where o.id = f.id",
        &rooms.ids,
        &rooms.seqs,
        &rooms.failures,
    )
    .execute(tx.conn())
    .await?;
    if !orgs.ids.is_empty() {
        sqlx::query!(
            "update outbox o set failures = greatest(o.failures, f.failures)
             from (select w.id, t.failures
                   from unnest($1::bigint[], $2::bigint[], $3::integer[])
                       as t (org_id, seq, failures)
                   cross join lateral (
                       select id from outbox where org_id = t.org_id and seq = t.seq
                       for update skip locked
                   ) w) f
             where o.id = f.id",
            &orgs.ids,
            &orgs.seqs,
            &orgs.failures,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Places of one kind of log, column by column.
#[derive(Default)]
struct Places {
    ids: Vec<i64>,
    seqs: Vec<i64>,
    failures: Vec<i32>,
}

impl Places {
    fn push(&mut self, id: i64, seq: Seq, failures: u32) {
        self.ids.push(id);
        self.seqs.push(seq.0);
        self.failures.push(i32::try_from(failures).unwrap_or(i32::MAX));
    }
}

/// Sets events aside that cannot be planned, with the reason: they hold up nothing.
pub async fn set_aside(tx: &mut Tx, place: LogPlace, reason: &str, now: Timestamp) -> Result<()> {
    // Two statements, so that each finds its row by its index.
    let id = match place {
        LogPlace::Room(room, seq) => {
            sqlx::query_scalar!(
                "select id from outbox where room_id = $1 and seq = $2 for update",
                room.0,
                seq.0,
            )
            .fetch_optional(tx.conn())
            .await?
        }
        LogPlace::Org(org, seq) => {
            sqlx::query_scalar!(
                "select id from outbox where org_id = $1 and seq = $2 for update",
                org.0,
                seq.0,
            )
            .fetch_optional(tx.conn())
            .await?
        }
    };
    let Some(id) = id else { return Ok(()) };
    sqlx::query!(
        "with dead as (
             delete from outbox where id = $1 returning id, room_id, org_id, seq, payload
         )
         insert into outbox_dead (id, room_id, org_id, seq, payload, reason, died_at)
         select id, room_id, org_id, seq, payload, $2, $3 from dead",
        id,
        reason,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
