//! How long messages are kept, and their end.
//!
//! Two steps. A room's log is cut ([`cut_log`]): `first_seq` moves past what has expired, which
//! no read served any more, under the room's lock, for an instant. What lies before it is then
//! removed in batches ([`trim`]) that lock nothing that a sender needs. A message of which the log
//! that is kept still tells a change stays as an empty place until that change goes too.
//!
//! A legal hold takes the organization's row `for update`; whoever removes holds it `for key
//! share`: once a hold was answered, nothing goes.

use domain::retention::{Counts, Retention, RetentionChange};
use domain::{OrgId, PurgeId, Role, RoomId, Timestamp};

use super::uploads;
use crate::access::OrgAccess;
use crate::queries::retention::retention;
use crate::{Result, Tx};

/// Changes how long an organization's messages are kept.
///
/// Refuses with `Forbidden` who is no ADMIN, with `ValidationFailed` more days than configured.
pub async fn change_retention(
    tx: &mut Tx,
    access: OrgAccess,
    change: RetentionChange,
) -> Result<Retention> {
    let org = access.at_least(Role::Admin)?.org();
    sqlx::query_scalar!("select id from organizations where id = $1 for update", org.0)
        .fetch_optional(tx.conn())
        .await?;
    let before = retention(tx.conn(), access).await?;
    if let Some(Some(days)) = change.days
        && !(1..=before.days_max()).contains(&days)
    {
        let fault = format!("must be 1 to {}", before.days_max());
        return Err(domain::Refusal::invalid("retention_days", fault).into());
    }
    sqlx::query!(
        "update organizations set retention_days = $2, legal_hold = $3 where id = $1",
        org.0,
        change.days.unwrap_or(before.days),
        change.legal_hold.unwrap_or(before.legal_hold),
    )
    .execute(tx.conn())
    .await?;
    retention(tx.conn(), access).await
}

/// What one janitor removes of one organization, one run after another.
#[derive(Clone, Debug)]
pub struct Run {
    /// The organization.
    pub org: OrgId,
    id: Option<PurgeId>,
    started_at: Timestamp,
    counts: Counts,
}

impl Run {
    /// A run that begins.
    pub fn new(org: OrgId, now: Timestamp) -> Self {
        Self { org, id: None, started_at: now, counts: Counts::new() }
    }

    /// Tells `count` how much more of each kind it has than `before`.
    pub fn count_since(&self, before: &Self, count: impl Fn(&'static str, u64)) {
        for (&kind, &total) in &self.counts {
            let more = total - before.counts.get(kind).unwrap_or(&0);
            count(kind, u64::try_from(more).unwrap_or(0));
        }
    }

    /// How many of each kind were removed.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Adds what this transaction removes to the run's record. The run itself has it once the
    /// transaction is committed: `self` is replaced by what this returns.
    pub(super) async fn record(
        &self,
        tx: &mut Tx,
        counts: &[(&'static str, i64)],
        now: Timestamp,
    ) -> Result<Self> {
        let mut run = self.clone();
        for &(kind, count) in counts.iter().filter(|(_, count)| *count > 0) {
            *run.counts.entry(kind).or_insert(0) += count;
        }
        if run.counts == self.counts {
            return Ok(run);
        }
        let removed = serde_json::json!(run.counts);
        let id = sqlx::query_scalar!(
            r#"with again as (
                   update purges set removed = $4, ended_at = $3 where id = $5 returning id
               ), first as (
                   insert into purges (org_id, started_at, ended_at, removed)
                   select $1, $2, $3, $4 where $5::bigint is null returning id
               )
               select coalesce((select id from again), (select id from first)) as "id: PurgeId""#,
            run.org.0,
            run.started_at as Timestamp,
            now as Timestamp,
            removed,
            run.id.map(|id| id.0),
        )
        .fetch_one(tx.conn())
        .await?;
        run.id = id;
        Ok(run)
    }
}

/// Whether an organization's messages may be removed until the end of the transaction: nobody has
/// placed a hold on it, nor can. One that was deleted has none.
async fn may_remove(tx: &mut Tx, org: OrgId) -> Result<bool> {
    let held = sqlx::query_scalar!(
        "select legal_hold from organizations where id = $1 for key share",
        org.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held != Some(true))
}

/// Moves a room's `first_seq` past what has expired. Whether it was moved: another may be at it, or
/// a hold come first.
pub async fn cut_log(tx: &mut Tx, (org, room): (OrgId, RoomId), now: Timestamp) -> Result<bool> {
    if !may_remove(tx, org).await? {
        return Ok(false);
    }
    let locked = sqlx::query_scalar!(
        "select first_seq from rooms where id = $1 for no key update skip locked",
        room.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(first) = locked else { return Ok(false) };
    let cut = sqlx::query!(
        "with cut as (
             update rooms set first_seq = f.floor
             from (select log_floor($1, $4) as floor) f
             where id = $1 and f.floor > $3
             returning first_seq
         )
         insert into log_trims (room_id, org_id, from_seq, to_seq)
         select $1, $2, $3, first_seq from cut
         on conflict (room_id) do update set to_seq = excluded.to_seq",
        room.0,
        org.0,
        first,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(cut.rows_affected() > 0)
}

/// A stretch of a room's log that is to be removed.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// The organization.
    pub org: OrgId,
    room: RoomId,
    from: i64,
    to: i64,
    end: i64,
}

/// Claims the next stretch that nobody else is removing, of a room that is not `parked`. `after` is
/// the last room that was taken: all have their turn.
pub async fn claim_stretch(
    tx: &mut Tx,
    after: RoomId,
    parked: &[RoomId],
) -> Result<Option<Stretch>> {
    let row = sqlx::query!(
        r#"select t.room_id as "room: RoomId", t.org_id as "org: OrgId", t.from_seq, t.to_seq
           from log_trims t
           where t.room_id > $1 and t.room_id <> all($2) and not exists (
               select from organizations o where o.id = t.org_id and o.legal_hold)
           order by t.room_id limit 1 for update of t skip locked"#,
        after.0,
        parked as &[RoomId],
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    if !may_remove(tx, row.org).await? {
        return Ok(None);
    }
    Ok(Some(Stretch {
        org: row.org,
        room: row.room,
        from: row.from_seq,
        to: row.to_seq,
        end: row.to_seq,
    }))
}

impl Stretch {
    /// The room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// Its first `places`, at least one.
    #[must_use]
    pub fn at_most(self, places: i64) -> Self {
        Self { to: self.to.min(self.from + places.max(1)), ..self }
    }
}

/// The messages that lie in a stretch, or that its events are about.
#[derive(Default)]
struct Messages {
    /// To be removed, and their places in the stretch.
    gone: Vec<i64>,
    /// To be emptied: what is kept tells of a change to them.
    empty: Vec<i64>,
    counted: i64,
}

/// Removes a claimed stretch, with all that was said of its messages elsewhere.
pub async fn trim(tx: &mut Tx, stretch: Stretch, run: &Run, now: Timestamp) -> Result<Run> {
    let messages = messages_of(tx, stretch).await?;
    let mut all = messages.gone.clone();
    all.extend(&messages.empty);
    let events = sqlx::query!(
        "delete from room_events where room_id = $1 and seq >= $2 and seq < $3",
        stretch.room.0,
        stretch.from,
        stretch.to,
    )
    .execute(tx.conn())
    .await?;
    let about = remove_about(tx, &all).await?;
    uploads::let_go_of(tx, &all).await?;
    sqlx::query!(
        "with gone as (delete from messages where id = any($1))
         update messages
         set body = '', file_url = null, upload_id = null, reply_to = null, nonce = null, content_hash = '',
             mentions_room = false, mentions_here = false, is_deleted = true, search = null
         where id = any($2)",
        &messages.gone,
        &messages.empty,
    )
    .execute(tx.conn())
    .await?;
    if stretch.to == stretch.end {
        sqlx::query!("delete from log_trims where room_id = $1", stretch.room.0)
            .execute(tx.conn())
            .await?;
    } else {
        sqlx::query!(
            "update log_trims set from_seq = $2 where room_id = $1",
            stretch.room.0,
            stretch.to,
        )
        .execute(tx.conn())
        .await?;
    }
    let events = i64::try_from(events.rows_affected()).unwrap_or(i64::MAX);
    let counts = [("messages", messages.counted), ("events", events)];
    run.record(tx, &[&counts[..], &about].concat(), now).await
}

/// Row by row, by the index that fits: see `post_messages::check`.
async fn messages_of(tx: &mut Tx, stretch: Stretch) -> Result<Messages> {
    let rows = sqlx::query!(
        r#"select m.id as "id!", m.is_here as "is_here!",
                  exists (select from room_events e
                          where e.message_id = m.id and e.seq >= $3) as "is_told!"
           from (
               (select id, true as is_here from messages
                where (room_id, seq) >= ($1, $2) and (room_id, seq) < ($1, $3)
                order by room_id, seq)
               union all
               (select distinct e.message_id, false from room_events e
                join messages x on x.id = e.message_id
                where e.room_id = $1 and e.seq >= $2 and e.seq < $3 and x.seq < $2)
           ) m"#,
        stretch.room.0,
        stretch.from,
        stretch.to,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut messages = Messages::default();
    for row in rows {
        messages.counted += i64::from(row.is_here);
        let list = if row.is_told { &mut messages.empty } else { &mut messages.gone };
        list.push(row.id);
    }
    Ok(messages)
}

/// Removes what was said of messages elsewhere: reactions, mentions, notifications and why they
/// were made, deliveries.
pub(super) async fn remove_about(
    tx: &mut Tx,
    messages: &[i64],
) -> Result<Vec<(&'static str, i64)>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let row = sqlx::query!(
        r#"with reactions as (
               delete from message_reactions where message_id = any($1) returning 1
           ), mentions as (
               delete from message_mentions where message_id = any($1) returning 1
           ), decisions as (
               delete from notification_decisions where message_id = any($1) returning 1
           ), notified as (
               delete from notifications where message_id = any($1) returning 1
           ), payloads as (
               delete from webhook_payloads where message_id = any($1) returning 1
           )
           select (select count(*) from reactions) as "reactions!",
                  (select count(*) from mentions) as "mentions!",
                  (select count(*) from decisions) as "decisions!",
                  (select count(*) from notified) as "notifications!",
                  (select count(*) from payloads) as "webhook_payloads!""#,
        messages,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(vec![
        ("reactions", row.reactions),
        ("mentions", row.mentions),
        ("decisions", row.decisions),
        ("notifications", row.notifications),
        ("webhook_payloads", row.webhook_payloads),
    ])
}
