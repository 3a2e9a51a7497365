//! What holds for the whole deployment.

use domain::Timestamp;
use sqlx::PgConnection;

use crate::Result;

/// Days after which messages expire, 0 when all are kept; `None` when nothing was set, and all are
/// kept for that.
pub async fn retention_days(conn: &mut PgConnection) -> Result<Option<i32>> {
    Ok(sqlx::query_scalar!("select retention_days from deployment_settings where is_only")
        .fetch_optional(conn)
        .await?)
}

/// Whether an operator has approved that more is removed at once than the janitor's bound.
pub async fn is_removal_approved(conn: &mut PgConnection) -> Result<bool> {
    let approved = sqlx::query_scalar!(
        r#"select removal_approved_until > clock_timestamp() as "is_approved!"
           from deployment_settings where is_only and removal_approved_until is not null"#,
    )
    .fetch_optional(conn)
    .await?;
    Ok(approved.unwrap_or(false))
}

/// How many messages have expired at `now` and were not removed yet.
pub async fn expired_messages(conn: &mut PgConnection, now: Timestamp) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(sum(counted.messages), 0)::bigint as "messages!"
           from rooms r
           cross join lateral (select log_floor(r.id, $1) as floor) f
           cross join lateral (
               select count(*) as messages from messages m
               where (m.room_id, m.seq) >= (r.id, r.first_seq) and (m.room_id, m.seq) < (r.id, f.floor)
           ) counted
           where f.floor > r.first_seq"#,
        now as Timestamp,
    )
    .fetch_one(conn)
    .await?)
}
