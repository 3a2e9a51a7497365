//! Webhooks and their deliveries, as their organization's ADMINs see them.

use domain::webhook::{CoveringWebhook, Delivery, Webhook};
use domain::{Caller, OrgId, Refusal, Timestamp, WebhookId};
use sqlx::PgConnection;

use crate::Result;
use crate::access::{MemberAccess, WebhookAccess};
use crate::page::{Slice, fetch_page};

/// A stretch of the webhooks of the organizations whose ADMIN the caller is, or of one of them.
pub async fn webhooks(
    conn: &mut PgConnection,
    caller: Caller,
    org: Option<OrgId>,
    slice: Slice,
) -> Result<Vec<Webhook>> {
    Ok(sqlx::query_as!(
        Webhook,
        r#"select w.id as "id: WebhookId", w.org_id as "org: OrgId", w.url, w.events,
                  w.include_private, w.is_active, w.created_at as "created_at: Timestamp",
                  w.last_triggered as "last_triggered: Timestamp", w.disabled_reason
           from organization_members m join webhooks w on w.org_id = m.org_id
           where m.user_id = $1 and m.role = 'ADMIN' and ($2::bigint is null or m.org_id = $2)
               and w.id > $3 and w.id < $4
           order by case when $5 then -w.id else w.id end limit $6"#,
        caller.user.0,
        org.map(|org| org.0),
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch_all(conn)
    .await?)
}

/// One webhook.
///
/// # Errors
/// `NotFound` when it was deleted since the proof was made.
pub async fn webhook(conn: &mut PgConnection, access: WebhookAccess) -> Result<Webhook> {
    Ok(sqlx::query_as!(
        Webhook,
        r#"select id as "id: WebhookId", org_id as "org: OrgId", url, events, include_private,
                  is_active, created_at as "created_at: Timestamp",
                  last_triggered as "last_triggered: Timestamp", disabled_reason
           from webhooks where id = $1"#,
        access.id().0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotFound)?)
}

/// A stretch of a webhook's deliveries, by `sequence`; with their payloads if asked for.
pub async fn deliveries(
    conn: &mut PgConnection,
    access: WebhookAccess,
    has_payloads: bool,
    slice: Slice,
) -> Result<Vec<Delivery>> {
    let rows = sqlx::query_as!(
        Delivery,
        r#"select d.event_id as event, d.sequence, d.event_type, d.status, d.retries,
                  d.created_at as "created_at: Timestamp",
                  d.last_attempt_at as "last_attempt_at: Timestamp",
                  d.next_attempt_at as "next_attempt_at: Timestamp",
                  d.last_status_code, d.last_error,
                  (select p.body from webhook_payloads p where $2 and p.event_id = d.event_id)
                      as payload
           from webhook_outbox d
           where d.webhook_id = $1 and d.sequence > $3 and d.sequence < $4
           order by case when $5 then -d.sequence else d.sequence end limit $6"#,
        access.id().0,
        has_payloads,
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch(conn);
    fetch_page(rows, |delivery| delivery.payload.as_ref().map_or(0, String::len)).await
}

/// The most webhooks that [`covering_webhooks`] names.
const COVERING_MAX: i64 = 200;

/// The webhooks that are sent what happens in a PRIVATE room; none for other rooms, which every
/// webhook of the organization is sent, and for direct messages, which none is.
pub async fn covering_webhooks(
    conn: &mut PgConnection,
    access: &MemberAccess,
) -> Result<Vec<CoveringWebhook>> {
    Ok(sqlx::query_as!(
        CoveringWebhook,
        r#"select w.id as "id: WebhookId", w.url, w.is_active, w.created_at as "created_at: Timestamp"
           from rooms r join webhooks w on w.org_id = r.org_id
           where r.id = $1 and r.access_level = 'PRIVATE' and r.dm_key is null and w.include_private
           order by w.id limit $2"#,
        access.room().0,
        COVERING_MAX,
    )
    .fetch_all(conn)
    .await?)
}
