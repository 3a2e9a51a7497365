//! Webhooks, as their organization's ADMINs change them.

use domain::limits::{ORG_WEBHOOKS_MAX, WEBHOOK_SECRET_OVERLAP};
use domain::webhook::{NewWebhook, Webhook, WebhookChange, WebhookEvent, WebhookSecret};
use domain::{FieldErrors, OrgId, Refusal, Timestamp, WebhookId};
use serde_json::json;

use crate::access::{OrgAccess, WebhookAccess, lock_org};
use crate::caps::within_cap;
use crate::error::OnConstraint;
use crate::{Result, Tx};

/// Deliveries put back on the schedule at once.
const REPLAY_MAX: i64 = 2_000;
/// Changes of a webhook that are remembered; one change a minute is then known for over an hour.
const CHANGES_KEPT: i64 = 100;

/// Makes a webhook.
///
/// Refuses with `NotFound` when the organization has gone meanwhile, `ValidationFailed` (`org`)
/// when it has as many as it may.
pub async fn create_webhook(
    tx: &mut Tx,
    access: OrgAccess,
    new: NewWebhook,
    now: Timestamp,
) -> Result<Webhook> {
    let events: Vec<String> = words(&new.events);
    // One at a time, or two could both be the last.
    lock_org(tx, access.org()).await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhooks where org_id = $1"#,
        access.org().0,
    )
    .fetch_one(tx.conn())
    .await?;
    within_cap("org", "webhooks", count, ORG_WEBHOOKS_MAX)?;
    let id = sqlx::query_scalar!(
        r#"insert into webhooks (org_id, url, secret, events, include_private, is_active, created_at)
           values ($1, $2, $3, $4, $5, $6, $7) returning id as "id: WebhookId""#,
        access.org().0,
        new.url,
        new.secret.expose(),
        &events,
        new.include_private,
        new.is_active,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("webhooks_org_fkey", Refusal::NotFound)?;
    note_setting(tx, id, Some(false)).await?;
    Ok(Webhook {
        id,
        org: access.org(),
        url: new.url,
        events,
        include_private: new.include_private,
        is_active: new.is_active,
        created_at: now,
        last_triggered: None,
        disabled_reason: None,
    })
}

fn words(events: &[WebhookEvent]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

/// Changes a webhook. One that is made active again, or goes elsewhere, begins without failures;
/// of one that is made inactive, what was still to be delivered has failed.
pub async fn change_webhook(
    tx: &mut Tx,
    access: WebhookAccess,
    change: WebhookChange,
    now: Timestamp,
) -> Result<()> {
    let events = change.events.as_deref().map(words);
    note_setting(tx, access.id(), None).await?;
    let has_moved = sqlx::query_scalar!(
        r#"with old as (select id, url, is_active from webhooks where id = $1)
           update webhooks w set
               url = coalesce($2, w.url),
               events = coalesce($3, w.events),
               include_private = coalesce($4, w.include_private),
               is_active = coalesce($5, w.is_active),
               disabled_reason = case when $5 then null else w.disabled_reason end,
               failures_in_row = case when moved.is_so then 0 else w.failures_in_row end,
               failing_since = case when moved.is_so then null else w.failing_since end,
               probe_at = case when moved.is_so then null else w.probe_at end
           from old cross join lateral (select
               coalesce($2 <> old.url, false) or coalesce($5 and not old.is_active, false)
               as is_so) moved
           where w.id = old.id
           returning moved.is_so as "is_so!""#,
        access.id().0,
        change.url,
        events.as_deref(),
        change.include_private,
        change.is_active,
    )
    .fetch_one(tx.conn())
    .await?;
    if change.is_active == Some(false) {
        super::deliveries::give_up_all(tx, access.id(), "the webhook was deactivated").await?;
    } else if has_moved {
        super::deliveries::resume(tx, access.id(), i64::MAX, now).await?;
    }
    Ok(())
}

/// Notes what a webhook is set to, before it is changed: what happened until now is decided by it.
/// One that was just made was not active. The version of the organization's webhooks is locked after
/// the webhook.
pub(crate) async fn note_setting(
    tx: &mut Tx,
    webhook: WebhookId,
    was_active: Option<bool>,
) -> Result<()> {
    sqlx::query!(
        "with old as (
             select id, org_id, is_active, events, include_private from webhooks where id = $1
             for no key update
         ), next as (
             insert into webhook_versions (org_id, version)
             select org_id, 1 from old
             on conflict (org_id) do update set version = webhook_versions.version + 1
             returning version
         )
         insert into webhook_changes (webhook_id, until_version, is_active, events, include_private)
         select id, version, coalesce($2, is_active), events, include_private
         from old cross join next",
        webhook.0,
        was_active,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from webhook_changes where webhook_id = $1 and until_version <= (
             select until_version from webhook_changes where webhook_id = $1
             order by until_version desc limit 1 offset $2)",
        webhook.0,
        CHANGES_KEPT,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Switches a webhook off whose endpoint is gone, or has failed for too long. What it was still to
/// get has failed.
pub(super) async fn disable(tx: &mut Tx, webhook: WebhookId, reason: &str) -> Result<()> {
    note_setting(tx, webhook, None).await?;
    sqlx::query!(
        "update webhooks set is_active = false, disabled_reason = $2, probe_at = null
         where id = $1",
        webhook.0,
        reason,
    )
    .execute(tx.conn())
    .await?;
    super::deliveries::give_up_all(tx, webhook, "the webhook was disabled").await
}

/// Deletes a webhook and its deliveries.
pub async fn delete_webhook(tx: &mut Tx, access: WebhookAccess) -> Result<()> {
    sqlx::query!("delete from webhooks where id = $1", access.id().0).execute(tx.conn()).await?;
    Ok(())
}

/// Gives a webhook another secret. For a while the one before signs too; older ones no more.
pub async fn rotate_secret(
    tx: &mut Tx,
    access: WebhookAccess,
    secret: &WebhookSecret,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "update webhooks set previous_secret = secret, previous_secret_expires_at = $3, secret = $2
         where id = $1",
        access.id().0,
        secret.expose(),
        (now + WEBHOOK_SECRET_OVERLAP) as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records a test event for a webhook, whatever it hears of otherwise. The webhook is locked.
///
/// Refuses with `ValidationFailed` while it is not active.
pub async fn test_webhook(
    tx: &mut Tx,
    access: WebhookAccess,
    event: &str,
    now: Timestamp,
) -> Result<()> {
    let row = sqlx::query!(
        r#"update webhooks set last_sequence = last_sequence + 1
           where id = $1 and is_active
           returning org_id as "org: OrgId", last_sequence"#,
        access.id().0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| {
        let errors = FieldErrors::one("is_active", "the webhook is not active");
        Refusal::ValidationFailed(errors)
    })?;
    let kind = WebhookEvent::Test.as_str();
    let body = json!({"type": kind, "timestamp": now, "data": {"webhook_id": access.id()}});
    sqlx::query!(
        "insert into webhook_payloads (event_id, org_id, event_type, body, created_at)
         values ($1, $2, $3, $4, $5)",
        event,
        row.org.0,
        kind,
        body.to_string(),
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into webhook_outbox
             (webhook_id, event_id, sequence, event_type, next_attempt_at, created_at)
         values ($1, $2, $3, $4, $5, $5)",
        access.id().0,
        event,
        row.last_sequence,
        kind,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts an event's delivery back on the schedule, now and from the start, in whatever state.
///
/// Refuses with `NotFound`.
pub async fn retry_delivery(
    tx: &mut Tx,
    access: WebhookAccess,
    event: &str,
    now: Timestamp,
) -> Result<()> {
    let changed = sqlx::query!(
        "update webhook_outbox
         set status = 'pending', retries = 0, next_attempt_at = $3, hand_out_at = null
         where webhook_id = $1 and event_id = $2",
        access.id().0,
        event,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Refusal::NotFound.into());
    }
    probe_now(tx, access, now).await
}

/// Puts deliveries that have failed since a time back on the schedule, at most 2,000 at once.
/// Returns how many, and whether there may be more.
pub async fn retry_failed(
    tx: &mut Tx,
    access: WebhookAccess,
    since: Timestamp,
    now: Timestamp,
) -> Result<(u64, bool)> {
    let changed = sqlx::query!(
        "update webhook_outbox
         set status = 'pending', retries = 0, next_attempt_at = $3, hand_out_at = null
         where id = any(array(
             select id from webhook_outbox
             where webhook_id = $1 and status = 'failed'
                 and coalesce(last_attempt_at, created_at) between $2 and $3
             order by id limit $4 for no key update))",
        access.id().0,
        since as Timestamp,
        now as Timestamp,
        REPLAY_MAX,
    )
    .execute(tx.conn())
    .await?;
    probe_now(tx, access, now).await?;
    let count = changed.rows_affected();
    Ok((count, count >= u64::try_from(REPLAY_MAX).unwrap_or(u64::MAX)))
}

/// Whoever asks for a retry expects the endpoint to be back: look now, not at the next probe.
async fn probe_now(tx: &mut Tx, access: WebhookAccess, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update webhooks set probe_at = $2 where id = $1 and probe_at > $2",
        access.id().0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
