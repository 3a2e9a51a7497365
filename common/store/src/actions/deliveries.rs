//! Deliveries, as the workers carry them out.
//!
//! Postgres keeps the schedule: an open delivery always has a time at which it is put on the queue
//! (again), so a job on the queue is a hint that can be lost. Claiming a row makes an attempt one
//! worker's alone, for a while. A *broken* endpoint, one that let an attempt wait in vain or failed
//! several times in a row, has `probe_at`: its deliveries are parked, and one at a time goes through
//! as a probe.

use std::time::Duration;

use domain::limits::{WEBHOOK_FAILING_MAX, WEBHOOK_FAILURES_TOLD};
use domain::{Claim, DeliveryId, OrgId, Timestamp, WebhookId};
use serde_json::json;

use crate::{Result, Tx};

/// When a job that was put on the queue is put there again, should nobody take it.
const HAND_OUT_AGAIN: Duration = Duration::from_secs(30);
/// When a parked delivery is looked at again, should nobody resume it.
pub(super) const PARKED: Duration = Duration::from_secs(3600);
/// What is put off further than this is parked: longer than any attempt and any pause on the queue.
const PARKED_BEYOND: Duration = Duration::from_secs(300);
/// Failures in a row that break an endpoint; of one that does not answer the first does.
pub const FAILURES_TO_BREAK: i32 = 5;

/// A delivery to put on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The delivery.
    pub id: DeliveryId,
    /// Whose it is.
    pub webhook: WebhookId,
    /// Whether it is the one that tries a broken endpoint.
    pub is_probe: bool,
}

/// Claims due deliveries for the queue. Those of broken endpoints are parked.
/// Returns those to hand out, and how many were looked at.
pub async fn hand_out(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<(Vec<Due>, usize)> {
    let rows = sqlx::query!(
        r#"update webhook_outbox d set
               hand_out_at = case when w.probe_at is null then $1 + $3::float8 * interval '1 second'
                                  else $1 + $4::float8 * interval '1 second' end
           from webhooks w
           where w.id = d.webhook_id and d.id = any(array(
               select id from webhook_outbox
               where next_attempt_at is not null and coalesce(hand_out_at, next_attempt_at) <= $1
               order by coalesce(hand_out_at, next_attempt_at) limit $2 offset $5
               for no key update skip locked))
           returning d.id as "id: DeliveryId", w.id as "webhook: WebhookId",
                     w.probe_at is not null as "is_broken!""#,
        now as Timestamp,
        claim.limit,
        HAND_OUT_AGAIN.as_secs_f64(),
        PARKED.as_secs_f64(),
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    let seen = rows.len();
    let due = rows
        .into_iter()
        .filter(|row| !row.is_broken)
        .map(|row| Due { id: row.id, webhook: row.webhook, is_probe: false })
        .collect();
    Ok((due, seen))
}

/// Claims probes that are due: the delivery of each endpoint that has waited longest.
/// The next one follows `again` later, unless this one's outcome says otherwise.
pub async fn hand_out_probes(
    tx: &mut Tx,
    claim: Claim,
    again: Duration,
    now: Timestamp,
) -> Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"with broken as (
               update webhooks set probe_at = $1 + $3::float8 * interval '1 second'
               where id = any(array(
                   select w.id from webhooks w
                   where w.probe_at <= $1 and w.is_active and exists (
                       select 1 from webhook_outbox
                       where webhook_id = w.id and next_attempt_at <= $1
                           and (claimed_until is null or claimed_until <= $1))
                   order by w.probe_at limit $2 offset $4
                   for no key update of w skip locked))
               returning id
           )
           select d.id as "id: DeliveryId", b.id as "webhook: WebhookId"
           from broken b cross join lateral (
               select id from webhook_outbox
               where webhook_id = b.id and next_attempt_at <= $1
                   and (claimed_until is null or claimed_until <= $1)
               order by next_attempt_at limit 1) d"#,
        now as Timestamp,
        claim.limit,
        again.as_secs_f64(),
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { id: row.id, webhook: row.webhook, is_probe: true })
        .collect())
}

/// A claimed delivery, with what its attempt needs.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// Whose it is.
    pub webhook: WebhookId,
    /// Whose webhook it is.
    pub org: OrgId,
    /// Where it goes.
    pub url: String,
    /// What signs: the secret, then the one before while it does too.
    pub secrets: Vec<String>,
    /// The event's id.
    pub event: String,
    /// Its place among the webhook's deliveries.
    pub sequence: i64,
    /// Attempts after the first, so far.
    pub retries: i32,
    /// Whether no attempt at the endpoint had ended before this one began.
    pub is_first: bool,
    /// The endpoint's failures in a row before this attempt.
    pub failures_in_row: i32,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// The very bytes to send.
    pub body: String,
    /// Until when it is ours alone.
    pub until: Timestamp,
}

/// Claims a delivery for one attempt, until `now + lease`. `None` when there is nothing to do: it
/// is another's, done, not due, or parked because its endpoint is broken and this is no probe.
///
/// The commit of a claim does not wait for the disk: one that is lost with its server is claimed
/// again, and the endpoint gets what it may have got already under the same id.
pub async fn claim(
    tx: &mut Tx,
    due: Due,
    lease: Duration,
    now: Timestamp,
) -> Result<Option<Claimed>> {
    let until = now + lease;
    without_waiting_for_the_disk(tx).await?;
    let row = sqlx::query!(
        r#"with claimed as (
               update webhook_outbox d set claimed_until = $3, hand_out_at = $3
               from webhooks w, webhook_payloads p
               where d.id = $1 and w.id = d.webhook_id and p.event_id = d.event_id
                   and (p.message_id is null or exists (
                       select from messages m join rooms r on r.id = m.room_id
                       where m.id = p.message_id and m.created_at > kept_since(m.org_id, $2)))
                   and d.next_attempt_at <= $2
                   and (d.claimed_until is null or d.claimed_until <= $2)
                   and w.is_active and (w.probe_at is null or $4)
               returning d.event_id, d.sequence, d.retries, d.created_at, w.org_id, w.url, w.secret,
                         case when w.previous_secret_expires_at > $2 then w.previous_secret end
                             as previous_secret,
                         w.failures_in_row, w.last_triggered is null as is_first
           )
           select c.event_id, c.sequence, c.retries, c.created_at as "created_at: Timestamp",
                  c.org_id as "org: OrgId", c.url, c.secret, c.previous_secret, c.failures_in_row,
                  c.is_first as "is_first!", p.body
           from claimed c join webhook_payloads p on p.event_id = c.event_id"#,
        due.id.0,
        now as Timestamp,
        until as Timestamp,
        due.is_probe,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else {
        leave(tx, due, now).await?;
        return Ok(None);
    };
    Ok(Some(Claimed {
        id: due.id,
        webhook: due.webhook,
        org: row.org,
        url: row.url,
        secrets: [Some(row.secret), row.previous_secret].into_iter().flatten().collect(),
        event: row.event_id,
        sequence: row.sequence,
        retries: row.retries,
        is_first: row.is_first,
        failures_in_row: row.failures_in_row,
        created_at: row.created_at,
        body: row.body,
        until,
    }))
}

/// What this transaction does may be lost should Postgres' machine go down within the second.
async fn without_waiting_for_the_disk(tx: &mut Tx) -> Result<()> {
    sqlx::query!("set local synchronous_commit = off").execute(tx.conn()).await?;
    Ok(())
}

/// What could not be claimed: parks it if its endpoint is broken, gives it up if that is inactive
/// or the message that it tells of is gone.
async fn leave(tx: &mut Tx, due: Due, now: Timestamp) -> Result<()> {
    park(tx, &[due.id], now).await?;
    sqlx::query!(
        "update webhook_outbox d
         set status = 'failed', next_attempt_at = null, hand_out_at = null, claimed_until = null,
             last_error = case when w.is_active then 'the message is gone'
                               else 'the webhook is not active' end
         from webhooks w, webhook_payloads p
         where d.id = $1 and w.id = d.webhook_id and p.event_id = d.event_id
             and d.next_attempt_at is not null
             and (not w.is_active or (p.message_id is not null and not exists (
                 select from messages m join rooms r on r.id = m.room_id
                 where m.id = p.message_id and m.created_at > kept_since(m.org_id, $2))))",
        due.id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Parks those of some deliveries whose endpoint is broken and that nobody is attempting.
pub async fn park(tx: &mut Tx, deliveries: &[DeliveryId], now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update webhook_outbox d set hand_out_at = $2 + $3::float8 * interval '1 second'
         from webhooks w
         where d.id = any($1) and w.id = d.webhook_id and w.probe_at is not null
             and d.next_attempt_at <= $2 and (d.claimed_until is null or d.claimed_until <= $2)",
        deliveries as &[DeliveryId],
        now as Timestamp,
        PARKED.as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts at most `limit` deliveries of an endpoint that wait for another's outcome back on the
/// schedule. Returns how many.
pub async fn resume(tx: &mut Tx, webhook: WebhookId, limit: i64, now: Timestamp) -> Result<u64> {
    let resumed = sqlx::query!(
        "update webhook_outbox set hand_out_at = null
         where id = any(array(
             select id from webhook_outbox
             where webhook_id = $1 and next_attempt_at <= $3 and hand_out_at > $3
                 and (claimed_until is null or claimed_until <= $3)
             order by id limit $2 for no key update skip locked))",
        webhook.0,
        limit,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(resumed.rows_affected())
}

/// Puts deliveries back on the schedule that are parked though their endpoint is
/// not broken: who parked them did not know yet, or who should have resumed them has died.
pub async fn unpark(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let unparked = sqlx::query!(
        "update webhook_outbox set hand_out_at = null
         where id = any(array(
             select d.id from webhooks w join webhook_outbox d on d.webhook_id = w.id
             where w.probe_at is null and w.is_active
                 and d.next_attempt_at <= $2 and d.hand_out_at > $3
                 and (d.claimed_until is null or d.claimed_until <= $2)
             limit $1 offset $4 for no key update of d skip locked))",
        claim.limit,
        now as Timestamp,
        (now + PARKED_BEYOND) as Timestamp,
        claim.passed_over,
    )
    .execute(tx.conn())
    .await?;
    Ok(unparked.rows_affected())
}

/// Records an attempt that succeeded, whoever's the claim is by now. Returns whether the endpoint
/// was broken until now: what was parked can be resumed.
pub async fn succeeded(
    tx: &mut Tx,
    claimed: &Claimed,
    status: u16,
    now: Timestamp,
) -> Result<bool> {
    // The endpoint's row is contended by planning: it is touched when there is something to say.
    // It may have broken after the claim.
    let was_broken = sqlx::query_scalar!(
        r#"with before as (
               select id, probe_at from webhooks
               where id = $1 and (failures_in_row <> 0 or probe_at is not null
                                  or last_triggered is null
                                  or last_triggered < $2::timestamptz - interval '1 second')
               for no key update
           )
           update webhooks w
           set failures_in_row = 0, failing_since = null, probe_at = null, last_triggered = $2
           from before where w.id = before.id
           returning before.probe_at is not null as "was_broken!""#,
        claimed.webhook.0,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    sqlx::query!(
        "update webhook_outbox
         set status = 'sent', next_attempt_at = null, hand_out_at = null, claimed_until = null,
             last_attempt_at = $2, last_status_code = $3, last_error = null
         where id = $1",
        claimed.id.0,
        now as Timestamp,
        i32::from(status),
    )
    .execute(tx.conn())
    .await?;
    Ok(was_broken.unwrap_or(false))
}

/// What is to be recorded of an attempt that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What went wrong, for the endpoint's owner.
    pub error: String,
    /// The pause before the next attempt; `None` gives the delivery up.
    pub retry_after: Option<Duration>,
    /// Whether this breaks the endpoint at once: it held an attempt for as long as one may take.
    pub breaks: bool,
    /// The pause before the next probe, should the endpoint be broken now.
    pub probe_after: Duration,
    /// Why the endpoint is to be disabled at once.
    pub disable: Option<&'static str>,
}

/// What an attempt that failed led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The endpoint goes on.
    Failing,
    /// It did not answer, or has failed several times in a row.
    Broken,
    /// It was disabled.
    Disabled,
}

/// Records an attempt that failed. Tells the organization's ADMINs after the fourth in a row, and
/// when this disables the endpoint.
///
/// When `now` is by a clock that is not right, the time since the first failure disables nothing.
///
/// As with a claim, the commit does not wait for the disk: what is lost is attempted again.
pub async fn failed(
    tx: &mut Tx,
    claimed: &Claimed,
    failed: &Failed,
    now: Timestamp,
    is_clock_right: bool,
) -> Result<Standing> {
    without_waiting_for_the_disk(tx).await?;
    let hook = sqlx::query!(
        r#"update webhooks
           set failures_in_row = failures_in_row + 1, failing_since = coalesce(failing_since, $2),
               probe_at = case when is_active
                       and ($5 or probe_at is not null or failures_in_row + 1 >= $3)
                   then $2::timestamptz + $4::float8 * interval '1 second' end,
               last_triggered = $2
           where id = $1
           returning org_id as "org: OrgId", url, is_active, failures_in_row,
                     failing_since as "failing_since!: Timestamp",
                     probe_at is not null as "is_broken!""#,
        claimed.webhook.0,
        now as Timestamp,
        FAILURES_TO_BREAK,
        failed.probe_after.as_secs_f64(),
        failed.breaks,
    )
    .fetch_optional(tx.conn())
    .await?;
    // Deleted meanwhile.
    let Some(hook) = hook else { return Ok(Standing::Disabled) };
    let reason = failed.disable.or_else(|| {
        (is_clock_right && now.since(hook.failing_since) >= WEBHOOK_FAILING_MAX)
            .then_some("nothing but failures for 5 days")
    });
    let reason = reason.filter(|_| hook.is_active);
    let next = failed.retry_after.filter(|_| reason.is_none()).map(|pause| now + pause);
    reschedule(tx, claimed, failed, (next, now)).await?;
    let about = |kind| Notice {
        kind,
        webhook: claimed.webhook,
        org: hook.org,
        url: &hook.url,
        reason: reason.unwrap_or(&failed.error),
        failures: hook.failures_in_row,
    };
    if let Some(reason) = reason {
        super::webhooks::disable(tx, claimed.webhook, reason).await?;
        notify(tx, about("webhook_disabled"), now).await?;
        return Ok(Standing::Disabled);
    }
    if hook.failures_in_row == WEBHOOK_FAILURES_TOLD && hook.is_active {
        notify(tx, about("webhook_failing"), now).await?;
    }
    Ok(if hook.is_broken { Standing::Broken } else { Standing::Failing })
}

/// The row of an attempt that failed; not if the claim is another's by now.
async fn reschedule(
    tx: &mut Tx,
    claimed: &Claimed,
    failed: &Failed,
    (next, now): (Option<Timestamp>, Timestamp),
) -> Result<()> {
    sqlx::query!(
        "update webhook_outbox
         set status = case when $2::timestamptz is null then 'failed' else 'retrying' end,
             retries = retries + case when $2::timestamptz is null then 0 else 1 end,
             next_attempt_at = $2, hand_out_at = $2, claimed_until = null,
             last_attempt_at = $3, last_status_code = $4, last_error = $5
         where id = $1 and claimed_until = $6",
        claimed.id.0,
        next as Option<Timestamp>,
        now as Timestamp,
        failed.status.map(i32::from),
        failed.error,
        claimed.until as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Everything that an endpoint still had to get has failed; it can be replayed.
pub(crate) async fn give_up_all(tx: &mut Tx, webhook: WebhookId, error: &str) -> Result<()> {
    sqlx::query!(
        "update webhook_outbox
         set status = 'failed', next_attempt_at = null, hand_out_at = null, claimed_until = null,
             last_error = coalesce(last_error, $2)
         where webhook_id = $1 and next_attempt_at is not null",
        webhook.0,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Notice<'a> {
    kind: &'static str,
    webhook: WebhookId,
    org: OrgId,
    url: &'a str,
    reason: &'a str,
    failures: i32,
}

/// A mail to each ADMIN of the organization.
async fn notify(tx: &mut Tx, notice: Notice<'_>, now: Timestamp) -> Result<()> {
    let data = json!({
        "webhook": notice.webhook, "org": notice.org, "url": notice.url,
        "reason": notice.reason, "failures": notice.failures,
    });
    sqlx::query!(
        "insert into mails (kind, user_id, to_email, data, next_attempt_at, created_at)
         select $2, u.id, u.email,
                $3::jsonb || jsonb_build_object('org_name', o.name), $4, $4
         from organizations o
         join organization_members m on m.org_id = o.id and m.role = 'ADMIN'
         join users u on u.id = m.user_id
         where o.id = $1",
        notice.org.0,
        notice.kind,
        data,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
