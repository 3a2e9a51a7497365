//! What webhooks get to hear: recorded in the transaction that plans an event.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::webhook::WebhookEvent;
use domain::{DeliveryId, EventId, MessageId, OrgId, Timestamp, WebhookId};

use super::deliveries::{Due, PARKED};
use crate::{Result, Tx};

/// How long the planner has to put a delivery on the queue, before the schedule does.
const HAND_OUT_GRACE: Duration = Duration::from_secs(5);

/// A webhook that may hear of something, locked until the end of the transaction.
#[derive(Clone, Debug)]
pub struct Listener {
    id: WebhookId,
    org: OrgId,
    events: Vec<String>,
    include_private: bool,
    last_sequence: i64,
    /// Only probes go through to it.
    is_broken: bool,
    /// Its last attempt succeeded.
    is_proven: bool,
}

impl Listener {
    /// Whether it hears of an event of its organization.
    pub fn hears(&self, org: OrgId, kind: WebhookEvent, is_private: bool) -> bool {
        self.org == org
            && (self.include_private || !is_private)
            && self.events.iter().any(|event| event == kind.as_str())
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
    Ok(sqlx::query_as!(
        Listener,
        r#"select id as "id: WebhookId", org_id as "org: OrgId", events, include_private,
                  last_sequence, probe_at is not null as "is_broken!",
                  failures_in_row = 0 and last_triggered is not null as "is_proven!"
           from webhooks where org_id = any($1) and is_active and events && $2
           order by id for no key update"#,
        &orgs,
        &kinds,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Records announcements, in order, for every listener that hears of them. Each delivery takes its
/// webhook's next `sequence`; those of broken endpoints are parked. Returns the others, those of
/// endpoints that answer first: nobody who does waits for the jobs of who may not.
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
    let fares: HashMap<WebhookId, (bool, bool)> = listeners
        .iter()
        .map(|listener| (listener.id, (listener.is_broken, listener.is_proven)))
        .collect();
    due.retain(|due| fares.get(&due.webhook).is_some_and(|(is_broken, _)| !is_broken));
    due.sort_by_key(|due| fares.get(&due.webhook).is_none_or(|(_, is_proven)| !is_proven));
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
        let pause = if listener.is_broken { PARKED } else { HAND_OUT_GRACE };
        self.hand_out_at.push(now + pause);
        self.webhooks.push(listener.id.0);
        self.events.push(announcement.event.to_string());
        self.sequences.push(listener.last_sequence);
        self.kinds.push(announcement.kind.as_str().to_owned());
    }

    async fn insert(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Due>> {
        let rows = sqlx::query!(
            r#"insert into webhook_outbox (webhook_id, event_id, sequence, event_type,
                                           next_attempt_at, hand_out_at, created_at)
               select webhook_id, event_id, sequence, event_type, $5, hand_out_at, $5
               from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $6::timestamptz[])
                   as t (webhook_id, event_id, sequence, event_type, hand_out_at)
               returning id as "id: DeliveryId", webhook_id as "webhook: WebhookId""#,
            &self.webhooks,
            &self.events,
            &self.sequences,
            &self.kinds,
            now as Timestamp,
            &self.hand_out_at as &[Timestamp],
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Due { id: row.id, webhook: row.webhook, is_probe: false })
            .collect())
    }
}
