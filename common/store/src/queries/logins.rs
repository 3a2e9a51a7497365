//! Logins: a user's own, and those revoked of late.

use domain::user::Login;
use domain::{LoginId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::page::Slice;
use crate::{Result, Store};

/// A stretch of a user's logins that can still be renewed.
pub async fn logins(
    conn: &mut PgConnection,
    user: UserId,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Login>> {
    Ok(sqlx::query_as!(
        Login,
        r#"select id as "id: LoginId", user_agent, created_at as "created_at: Timestamp",
                  last_seen_at as "last_seen_at: Timestamp"
           from logins l
           where user_id = $1 and revoked_at is null and id > $2 and id < $3
             and exists (select from refresh_tokens t where t.login_id = l.id and t.expires_at > $6)
           order by case when $4 then -id else id end limit $5"#,
        user.0,
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?)
}

/// Logins revoked after `since`, each with when.
pub async fn revoked_since(store: &Store, since: Timestamp) -> Result<Vec<(LoginId, Timestamp)>> {
    let rows = sqlx::query!(
        r#"select id as "id: LoginId", revoked_at as "at!: Timestamp"
           from logins where revoked_at > $1"#,
        since as Timestamp,
    )
    .fetch_all(&mut *store.read().await?)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.at)).collect())
}
