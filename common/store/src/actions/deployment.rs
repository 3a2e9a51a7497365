//! What an operator decides for the whole deployment.

use domain::Timestamp;

use crate::{Result, Tx};

/// Sets how long messages are kept where that was never set: the configured days when they are
/// meant (`is_explicit`), the default only where no organization is there that would be surprised.
pub async fn initialize_retention(tx: &mut Tx, days: i32, is_explicit: bool) -> Result<bool> {
    let inserted = sqlx::query!(
        "insert into deployment_settings (retention_days)
         select $1 where $2 or not exists (select from organizations)
         on conflict do nothing",
        days,
        is_explicit,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Sets how long messages are kept: in days, 0 keeps everything. An approval of a large removal ends: it was
/// given for another rule.
pub async fn set_retention(tx: &mut Tx, days: i32) -> Result<()> {
    sqlx::query!(
        "insert into deployment_settings (retention_days) values ($1)
         on conflict (is_only) do update
         set retention_days = excluded.retention_days, removal_approved_until = null",
        days,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Lets the janitor remove more at once than its bound for so many hours, by Postgres' clock.
/// Returns until when; `None` where no retention was set.
pub async fn approve_removal(tx: &mut Tx, hours: i32) -> Result<Option<Timestamp>> {
    let until = sqlx::query_scalar!(
        r#"update deployment_settings
           set removal_approved_until = clock_timestamp() + make_interval(hours => $1)
           where is_only
           returning removal_approved_until as "until!: Timestamp""#,
        hours,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(until)
}
