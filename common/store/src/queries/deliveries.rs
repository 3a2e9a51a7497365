//! What the webhook workers must know of endpoints, and what waits for them.

use domain::{OrgId, Timestamp, WebhookId};
use sqlx::PgConnection;

use crate::Result;

/// How an endpoint fares.
#[derive(Clone, Copy, Debug)]
pub struct Fare {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Whose it is.
    pub org: OrgId,
    /// Whether its last attempt failed.
    pub is_failing: bool,
    /// Whether its last attempt succeeded.
    pub is_proven: bool,
    /// Whether only probes go through to it.
    pub is_broken: bool,
}

/// How some endpoints fare. Those that are gone are left out.
pub async fn fares(conn: &mut PgConnection, webhooks: &[WebhookId]) -> Result<Vec<Fare>> {
    Ok(sqlx::query_as!(
        Fare,
        r#"select id as "webhook: WebhookId", org_id as "org: OrgId",
                  failures_in_row > 0 as "is_failing!",
                  failures_in_row = 0 and last_triggered is not null as "is_proven!",
                  probe_at is not null as "is_broken!"
           from webhooks where id = any($1)"#,
        webhooks as &[WebhookId],
    )
    .fetch_all(conn)
    .await?)
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// Deliveries that are due, counted up to 10,000.
    pub due: i64,
    /// How long the first of them has been, in seconds; 0 when none is.
    pub oldest_seconds: f64,
    /// Endpoints to which only probes go through.
    pub broken: i64,
}

/// How much waits.
pub async fn waiting(conn: &mut PgConnection, now: Timestamp) -> Result<Waiting> {
    let row = sqlx::query!(
        r#"select (select count(*) from (
                      select 1 from webhook_outbox
                      where next_attempt_at is not null
                          and coalesce(hand_out_at, next_attempt_at) <= $1
                      limit 10000) counted) as "due!",
                  coalesce(extract(epoch from $1 - (
                      select min(coalesce(hand_out_at, next_attempt_at)) from webhook_outbox
                      where next_attempt_at is not null)), 0)::float8 as "oldest!",
                  (select count(*) from webhooks where probe_at is not null) as "broken!""#,
        now as Timestamp,
    )
    .fetch_one(conn)
    .await?;
    Ok(Waiting { due: row.due, oldest_seconds: row.oldest.max(0.0), broken: row.broken })
}
