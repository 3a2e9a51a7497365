//! Webhook deliveries, recorded in the transaction that settles their events.

use std::collections::HashSet;

use domain::{DeliveryId, OrgId, Timestamp, WebhookId};

use super::deliveries::Due;
use crate::{Result, Tx};

/// How long whoever plans a delivery has to put it on the queue, before the schedule does.
const HAND_OUT_GRACE: &str = "5 seconds";
/// Deliveries inserted by one statement.
const INSERT_MAX: usize = 5_000;

/// An event that webhooks may hear of.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Its id, the same whenever it is planned.
    pub event: String,
    /// The organization.
    pub org: OrgId,
    /// Its type, a word of the contract.
    pub event_type: &'static str,
    /// Whether it is of a PRIVATE room.
    pub is_private: bool,
    /// The very text that is delivered.
    pub body: String,
}

struct Hook {
    id: WebhookId,
    org: OrgId,
    events: Vec<String>,
    include_private: bool,
    last_sequence: i64,
    is_broken: bool,
}

impl Hook {
    fn hears(&self, payload: &Payload) -> bool {
        self.org == payload.org
            && (self.include_private || !payload.is_private)
            && self.events.iter().any(|event| event == payload.event_type)
    }
}

#[derive(Default)]
struct Rows {
    webhooks: Vec<i64>,
    events: Vec<String>,
    types: Vec<String>,
    sequences: Vec<i64>,
    broken: Vec<bool>,
}

/// Records a delivery of each event to each active webhook that hears of it, with the webhook's
/// next `sequence`. Events come in their order. Returns what is to be put on the queue once this
/// is committed: all but what goes to broken endpoints.
pub async fn plan_webhooks(tx: &mut Tx, payloads: &[Payload], now: Timestamp) -> Result<Vec<Due>> {
    if payloads.is_empty() {
        return Ok(Vec::new());
    }
    let mut hooks = lock_hooks(tx, payloads).await?;
    let mut rows = Rows::default();
    let mut heard = HashSet::new();
    for payload in payloads {
        for hook in hooks.iter_mut().filter(|hook| hook.hears(payload)) {
            hook.last_sequence += 1;
            rows.webhooks.push(hook.id.0);
            rows.events.push(payload.event.clone());
            rows.types.push(payload.event_type.to_owned());
            rows.sequences.push(hook.last_sequence);
            rows.broken.push(hook.is_broken);
            heard.insert(payload.event.as_str());
        }
    }
    insert_payloads(tx, payloads.iter().filter(|one| heard.contains(one.event.as_str())), now)
        .await?;
    let due = insert_deliveries(tx, &rows, now).await?;
    let ids: Vec<i64> = hooks.iter().map(|hook| hook.id.0).collect();
    let sequences: Vec<i64> = hooks.iter().map(|hook| hook.last_sequence).collect();
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

/// The active webhooks of the events' organizations, locked by ascending id.
async fn lock_hooks(tx: &mut Tx, payloads: &[Payload]) -> Result<Vec<Hook>> {
    let mut orgs: Vec<i64> = payloads.iter().map(|payload| payload.org.0).collect();
    orgs.sort_unstable();
    orgs.dedup();
    Ok(sqlx::query_as!(
        Hook,
        r#"select id as "id: WebhookId", org_id as "org: OrgId", events, include_private,
                  last_sequence, probe_at is not null as "is_broken!"
           from webhooks where org_id = any($1) and is_active
           order by id for no key update"#,
        &orgs,
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn insert_payloads(
    tx: &mut Tx,
    payloads: impl Iterator<Item = &Payload>,
    now: Timestamp,
) -> Result<()> {
    let (mut events, mut orgs, mut types, mut bodies) = (vec![], vec![], vec![], vec![]);
    for payload in payloads {
        events.push(payload.event.clone());
        orgs.push(payload.org.0);
        types.push(payload.event_type.to_owned());
        bodies.push(payload.body.clone());
    }
    sqlx::query!(
        "insert into webhook_payloads (event_id, org_id, event_type, body, created_at)
         select event_id, org_id, event_type, body, $5
         from unnest($1::text[], $2::bigint[], $3::text[], $4::text[])
             as t (event_id, org_id, event_type, body)",
        &events,
        &orgs,
        &types,
        &bodies,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Inserts deliveries. Those to broken endpoints are parked at once: see
/// [`super::deliveries`].
async fn insert_deliveries(tx: &mut Tx, rows: &Rows, now: Timestamp) -> Result<Vec<Due>> {
    let mut due = Vec::new();
    let mut start = 0;
    while start < rows.webhooks.len() {
        let end = rows.webhooks.len().min(start + INSERT_MAX);
        let inserted = sqlx::query!(
            r#"with added as (
                   insert into webhook_outbox (webhook_id, event_id, event_type, sequence,
                       next_attempt_at, hand_out_at, created_at)
                   select webhook_id, event_id, event_type, sequence, $6,
                       $6::timestamptz
                           + case when is_broken then interval '1 hour' else $7::text::interval end,
                       $6
                   from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bool[])
                       as t (webhook_id, event_id, event_type, sequence, is_broken)
                   returning id, webhook_id, hand_out_at
               )
               select id as "id!: DeliveryId", webhook_id as "webhook!: WebhookId" from added
               where hand_out_at <= $6::timestamptz + interval '1 minute' order by id"#,
            &rows.webhooks[start..end],
            &rows.events[start..end],
            &rows.types[start..end],
            &rows.sequences[start..end],
            &rows.broken[start..end],
            now as Timestamp,
            HAND_OUT_GRACE,
        )
        .fetch_all(tx.conn())
        .await?;
        due.extend(inserted.into_iter().map(|row| Due {
            id: row.id,
            webhook: row.webhook,
            is_probe: false,
        }));
        start = end;
    }
    Ok(due)
}
