//! Webhook deliveries: recorded in the transaction that plans an event.
//!
//! The event's transaction records the version of the organization's webhook settings. The planner
//! applies the settings of that version, however late it runs. A delivery to a webhook that has been
//! deactivated since is recorded as failed, and can be retried.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use domain::webhook::WebhookEvent;
use domain::{DeliveryId, EventId, MessageId, OrgId, Timestamp, UserId, WebhookId};

use super::deliveries::{Due, PARKED};
use crate::{Result, Tx};

/// How long the planner has to put a delivery on the queue, before the schedule does.
const HAND_OUT_GRACE: Duration = Duration::from_secs(5);
/// How long deliveries wait for the outcome of the first attempt at a new endpoint, should nobody
/// resume them.
const FIRST_ATTEMPT_GRACE: Duration = Duration::from_secs(60);
/// Why what a webhook has heard that is not active any more is not delivered.
const NO_LONGER_ACTIVE: &str = "the webhook was deactivated";

/// A webhook that may hear of something, locked until the end of the transaction.
#[derive(Clone, Debug)]
pub struct Listener {
    id: WebhookId,
    org: OrgId,
    /// What it is set to now.
    setting: Setting,
    /// What it was set to, and until which version, oldest first.
    before: Vec<(i64, Setting)>,
    last_sequence: i64,
    fare: Fare,
}

/// What a webhook is set to hear of.
#[derive(Clone, Debug)]
struct Setting {
    is_active: bool,
    events: Vec<String>,
    include_private: bool,
}

impl Setting {
    fn hears(&self, occasion: Occasion) -> bool {
        self.is_active
            && (self.include_private || !occasion.is_private)
            && self.events.iter().any(|event| event == occasion.kind.as_str())
    }
}

/// The properties of an event that decide which webhooks receive it.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// The organization.
    pub org: OrgId,
    /// Its type.
    pub kind: WebhookEvent,
    /// Whether it happened in a PRIVATE room.
    pub is_private: bool,
    /// The version of the organization's webhooks then.
    pub version: i64,
}

/// How an endpoint fared so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fare {
    /// No attempt has ended yet.
    New {
        /// Whether something waits for it already.
        has_open: bool,
    },
    /// The last attempt succeeded.
    Proven,
    /// The last attempt failed.
    Failing,
    /// Only probes go through to it.
    Broken,
}

impl Listener {
    /// Whether the webhook receives an event, by its settings at the time of the event.
    pub fn hears(&self, occasion: Occasion) -> bool {
        let before = self.before.iter().find(|(until, _)| occasion.version < *until);
        let setting = before.map_or(&self.setting, |(_, setting)| setting);
        self.org == occasion.org && setting.hears(occasion)
    }

    /// How long the schedule leaves its next delivery to others: to the planner, which puts it on
    /// the queue, or to whoever resumes what waits for it.
    fn grace(&self) -> Duration {
        match self.fare {
            Fare::Broken => PARKED,
            Fare::New { has_open: true } => FIRST_ATTEMPT_GRACE,
            Fare::New { .. } | Fare::Proven | Fare::Failing => HAND_OUT_GRACE,
        }
    }
}

/// Something that webhooks hear of.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The event.
    pub event: EventId,
    /// What decides which webhooks receive it.
    pub occasion: Occasion,
    /// The message that it tells of.
    pub message: Option<MessageId>,
    /// The person that it tells of, where that is what happened.
    pub user: Option<UserId>,
    /// The very bytes that are delivered.
    pub body: String,
}

/// The webhooks that may hear of any of some occasions, in ascending order of id, as all must lock
/// them.
pub async fn listeners(tx: &mut Tx, occasions: &[Occasion]) -> Result<Vec<Listener>> {
    let Some(earliest) = occasions.iter().map(|occasion| occasion.version).min() else {
        return Ok(Vec::new());
    };
    let orgs: BTreeSet<i64> = occasions.iter().map(|occasion| occasion.org.0).collect();
    let orgs: Vec<i64> = orgs.into_iter().collect();
    let kinds: BTreeSet<WebhookEvent> = occasions.iter().map(|occasion| occasion.kind).collect();
    let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select id as "id: WebhookId", org_id as "org: OrgId", is_active, events,
                  include_private, has_changed as "has_changed!", last_sequence, probe_at is not null as "is_broken!",
                  failures_in_row > 0 as "is_failing!", last_triggered is null as "is_new!",
                  last_triggered is null and exists (
                      select from webhook_outbox o
                      where o.webhook_id = w.id and o.next_attempt_at is not null) as "has_open!"
           from webhooks w
           cross join lateral (
               select exists (
                   select from webhook_changes c
                   where c.webhook_id = w.id and c.until_version > $3) as has_changed
           ) c
           where org_id = any($1) and (has_changed or is_active and events && $2)
           order by id for no key update of w"#,
        &orgs,
        &kinds,
        earliest,
    )
    .fetch_all(tx.conn())
    .await?;
    let changed: Vec<i64> = rows.iter().filter(|row| row.has_changed).map(|row| row.id.0).collect();
    let mut before = changes(tx, &changed, earliest).await?;
    let listeners = rows.into_iter().map(|row| Listener {
        id: row.id,
        org: row.org,
        setting: Setting {
            is_active: row.is_active,
            events: row.events,
            include_private: row.include_private,
        },
        before: before.remove(&row.id).unwrap_or_default(),
        last_sequence: row.last_sequence,
        fare: match () {
            () if row.is_broken => Fare::Broken,
            () if row.is_failing => Fare::Failing,
            () if row.is_new => Fare::New { has_open: row.has_open },
            () => Fare::Proven,
        },
    });
    Ok(listeners.collect())
}

/// What webhooks were set to since a version, oldest first.
async fn changes(
    tx: &mut Tx,
    webhooks: &[i64],
    since: i64,
) -> Result<HashMap<WebhookId, Vec<(i64, Setting)>>> {
    let mut changes: HashMap<_, Vec<_>> = HashMap::new();
    if webhooks.is_empty() {
        return Ok(changes);
    }
    let rows = sqlx::query!(
        r#"select webhook_id as "webhook: WebhookId", until_version, is_active,
                  events, include_private
           from webhook_changes where webhook_id = any($1) and until_version > $2
           order by webhook_id, until_version"#,
        webhooks,
        since,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in rows {
        let setting = Setting {
            is_active: row.is_active,
            events: row.events,
            include_private: row.include_private,
        };
        changes.entry(row.webhook).or_default().push((row.until_version, setting));
    }
    Ok(changes)
}

/// Records announcements, in order, for every listener that hears of them. Each delivery takes its
/// webhook's next `sequence`. Those of broken endpoints are parked, and all but the first of a new
/// one wait for what that shows. Returns the others, those of endpoints that answer first: nobody
/// who does waits for the jobs of who may not.
pub async fn announce(
    tx: &mut Tx,
    mut listeners: Vec<Listener>,
    announcements: &[Announcement],
    now: Timestamp,
) -> Result<Vec<Due>> {
    let mut payloads = BTreeSet::new();
    let mut rows = Rows::default();
    for (at, announcement) in announcements.iter().enumerate() {
        for listener in &mut listeners {
            if listener.hears(announcement.occasion) {
                listener.last_sequence += 1;
                payloads.insert(at);
                rows.push(listener, announcement, now);
                if let Fare::New { has_open } = &mut listener.fare {
                    *has_open = true;
                }
            }
        }
    }
    if rows.webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let heard: Vec<&Announcement> =
        payloads.iter().filter_map(|&at| announcements.get(at)).collect();
    insert_payloads(tx, &heard, now).await?;
    let mut due = rows.insert(tx, now).await?;
    let proven: HashSet<WebhookId> = listeners
        .iter()
        .filter(|listener| listener.fare == Fare::Proven)
        .map(|listener| listener.id)
        .collect();
    due.sort_by_key(|due| !proven.contains(&due.webhook));
    let ids: Vec<i64> = listeners.iter().map(|listener| listener.id.0).collect();
    let sequences: Vec<i64> = listeners.iter().map(|listener| listener.last_sequence).collect();
    sqlx::query!(
        "update webhooks w set last_sequence = t.sequence
         from unnest($1::bigint[], $2::bigint[]) as t (id, sequence)
         where w.id = t.id and w.last_sequence <> t.sequence",
        &ids,
        &sequences,
    )
    .execute(tx.conn())
    .await?;
    Ok(due)
}

async fn insert_payloads(tx: &mut Tx, heard: &[&Announcement], now: Timestamp) -> Result<()> {
    let events: Vec<String> = heard.iter().map(|one| one.event.to_string()).collect();
    let orgs: Vec<i64> = heard.iter().map(|one| one.occasion.org.0).collect();
    let kinds: Vec<String> =
        heard.iter().map(|one| one.occasion.kind.as_str().to_owned()).collect();
    let bodies: Vec<String> = heard.iter().map(|one| one.body.clone()).collect();
    let users: Vec<Option<i64>> = heard.iter().map(|one| one.user.map(|user| user.0)).collect();
    let messages: Vec<Option<i64>> =
        heard.iter().map(|one| one.message.map(|message| message.0)).collect();
    sqlx::query!(
        "insert into webhook_payloads (event_id, org_id, event_type, body, message_id, created_at,
                                       user_id)
         select event_id, org_id, event_type, body, message_id, $6, user_id
         from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $7::bigint[])
             as t (event_id, org_id, event_type, body, message_id, user_id)",
        &events,
        &orgs,
        &kinds,
        &bodies,
        &messages as &[Option<i64>],
        now as Timestamp,
        &users as &[Option<i64>],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The columns of the deliveries to insert.
#[derive(Default)]
struct Rows {
    webhooks: Vec<i64>,
    events: Vec<String>,
    sequences: Vec<i64>,
    kinds: Vec<String>,
    /// None for deliveries that have failed already.
    hand_out_at: Vec<Option<Timestamp>>,
}

impl Rows {
    fn push(&mut self, listener: &Listener, announcement: &Announcement, now: Timestamp) {
        self.hand_out_at.push(listener.setting.is_active.then(|| now + listener.grace()));
        self.webhooks.push(listener.id.0);
        self.events.push(announcement.event.to_string());
        self.sequences.push(listener.last_sequence);
        self.kinds.push(announcement.occasion.kind.as_str().to_owned());
    }

    /// Returns what is to be put on the queue.
    async fn insert(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Due>> {
        let rows = sqlx::query!(
            r#"insert into webhook_outbox (webhook_id, event_id, sequence, event_type,
                                           next_attempt_at, hand_out_at, created_at, status,
                                           last_error)
               select webhook_id, event_id, sequence, event_type,
                      case when hand_out_at is not null then $5::timestamptz end, hand_out_at,
                      $5,
                      case when hand_out_at is null then 'failed' else 'pending' end,
                      case when hand_out_at is null then $8 end
               from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $6::timestamptz[])
                   as t (webhook_id, event_id, sequence, event_type, hand_out_at)
               returning id as "id: DeliveryId", webhook_id as "webhook: WebhookId",
                         coalesce(hand_out_at <= $7, false) as "is_due!""#,
            &self.webhooks,
            &self.events,
            &self.sequences,
            &self.kinds,
            now as Timestamp,
            &self.hand_out_at as &[Option<Timestamp>],
            (now + HAND_OUT_GRACE) as Timestamp,
            NO_LONGER_ACTIVE,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.is_due)
            .map(|row| Due { id: row.id, webhook: row.webhook, is_probe: false })
            .collect())
    }
}
