//! What webhooks get to hear: recorded in the transaction that plans an event.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use domain::webhook::WebhookEvent;
use domain::{DeliveryId, EventId, MessageId, OrgId, Timestamp, WebhookId};

use super::deliveries::{Due, PARKED};
use crate::{Result, Tx};

/// How long the planner has to put a delivery on the queue, before the schedule does.
const HAND_OUT_GRACE: Duration = Duration::from_secs(5);
/// How long deliveries wait for the outcome of the first attempt at a new endpoint, should nobody
/// resume them.
const FIRST_ATTEMPT_GRACE: Duration = Duration::from_secs(60);

/// A webhook that may hear of something, locked until the end of the transaction.
#[derive(Clone, Debug)]
pub struct Listener {
    id: WebhookId,
    org: OrgId,
    events: Vec<String>,
    include_private: bool,
    last_sequence: i64,
    fare: Fare,
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
    /// Whether it hears of an event of its organization.
    pub fn hears(&self, org: OrgId, kind: WebhookEvent, is_private: bool) -> bool {
        self.org == org
            && (self.include_private || !is_private)
            && self.events.iter().any(|event| event == kind.as_str())
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
    /// The organization.
    pub org: OrgId,
    /// Its type.
    pub kind: WebhookEvent,
    /// Whether it happened in a PRIVATE room.
    pub is_private: bool,
    /// The message that it tells of.
    pub message: Option<MessageId>,
    /// The very bytes that are delivered.
    pub body: String,
}

/// The active webhooks of organizations that hear of any of some types, in ascending order of id,
/// as all must lock them.
pub async fn listeners(
    tx: &mut Tx,
    orgs: &BTreeSet<OrgId>,
    kinds: &BTreeSet<WebhookEvent>,
) -> Result<Vec<Listener>> {
    if orgs.is_empty() || kinds.is_empty() {
        return Ok(Vec::new());
    }
    let orgs: Vec<i64> = orgs.iter().map(|org| org.0).collect();
    let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select id as "id: WebhookId", org_id as "org: OrgId", events, include_private,
                  last_sequence, probe_at is not null as "is_broken!",
                  failures_in_row > 0 as "is_failing!", last_triggered is null as "is_new!",
                  last_triggered is null and exists (
                      select from webhook_outbox o
                      where o.webhook_id = w.id and o.next_attempt_at is not null) as "has_open!"
           from webhooks w where org_id = any($1) and is_active and events && $2
           order by id for no key update"#,
        &orgs,
        &kinds,
    )
    .fetch_all(tx.conn())
    .await?;
    let listeners = rows.into_iter().map(|row| Listener {
        id: row.id,
        org: row.org,
        events: row.events,
        include_private: row.include_private,
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
            if listener.hears(announcement.org, announcement.kind, announcement.is_private) {
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
    let orgs: Vec<i64> = heard.iter().map(|one| one.org.0).collect();
    let kinds: Vec<String> = heard.iter().map(|one| one.kind.as_str().to_owned()).collect();
    let bodies: Vec<String> = heard.iter().map(|one| one.body.clone()).collect();
    let messages: Vec<Option<i64>> =
        heard.iter().map(|one| one.message.map(|message| message.0)).collect();
    sqlx::query!(
        "insert into webhook_payloads (event_id, org_id, event_type, body, message_id, created_at)
         select event_id, org_id, event_type, body, message_id, $6
         from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
             as t (event_id, org_id, event_type, body, message_id)",
        &events,
        &orgs,
        &kinds,
        &bodies,
        &messages as &[Option<i64>],
        now as Timestamp,
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
    hand_out_at: Vec<Timestamp>,
}

impl Rows {
    fn push(&mut self, listener: &Listener, announcement: &Announcement, now: Timestamp) {
        self.hand_out_at.push(now + listener.grace());
        self.webhooks.push(listener.id.0);
        self.events.push(announcement.event.to_string());
        self.sequences.push(listener.last_sequence);
        self.kinds.push(announcement.kind.as_str().to_owned());
    }

    /// Returns what is to be put on the queue.
    async fn insert(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Due>> {
        let rows = sqlx::query!(
            r#"insert into webhook_outbox (webhook_id, event_id, sequence, event_type,
                                           next_attempt_at, hand_out_at, created_at)
               select webhook_id, event_id, sequence, event_type, $5, hand_out_at, $5
               from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $6::timestamptz[])
                   as t (webhook_id, event_id, sequence, event_type, hand_out_at)
               returning id as "id: DeliveryId", webhook_id as "webhook: WebhookId",
                         hand_out_at <= $7 as "is_due!""#,
            &self.webhooks,
            &self.events,
            &self.sequences,
            &self.kinds,
            now as Timestamp,
            &self.hand_out_at as &[Timestamp],
            (now + HAND_OUT_GRACE) as Timestamp,
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
