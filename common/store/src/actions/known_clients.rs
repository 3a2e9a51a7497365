//! Clients that an account has signed in from: addresses, and devices by their tokens. Attempts of
//! strangers do not block them, also after a change of the password.
//!
//! Both are bounded for each account. Callers hold a lock on the account's row, so that concurrent
//! sign-ins cannot exceed the bounds together.

use domain::limits::{DEVICE_TOKENS_MAX, KNOWN_ADDRESSES_MAX};
use domain::{Timestamp, UserId};

use super::mails::token_hash;
use crate::{Result, Tx};

/// The client that a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its prefix (`runtime::address::client_prefix`).
    pub prefix: &'a str,
    /// The device token that it presented or receives; never logged.
    pub device_token: Option<DeviceToken<'a>>,
}

/// A device token. Its `Debug` hides it.
#[derive(Clone, Copy)]
pub struct DeviceToken<'a>(pub &'a str);

impl std::fmt::Debug for DeviceToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceToken")
    }
}

/// Records a client whose user has proved to own the account.
pub(super) async fn remember(
    tx: &mut Tx,
    user: UserId,
    client: Client<'_>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into known_addresses (user_id, prefix, last_seen_at) values ($1, $2, $3)
         on conflict (user_id, prefix) do update set last_seen_at = excluded.last_seen_at",
        user.0,
        client.prefix,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from known_addresses where user_id = $1 and prefix in (
             select prefix from known_addresses where user_id = $1
             order by last_seen_at desc, prefix offset $2)",
        user.0,
        KNOWN_ADDRESSES_MAX,
    )
    .execute(tx.conn())
    .await?;
    match client.device_token {
        Some(token) => remember_device(tx, user, token, now).await,
        None => Ok(()),
    }
}

async fn remember_device(
    tx: &mut Tx,
    user: UserId,
    token: DeviceToken<'_>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into device_tokens (token_hash, user_id, last_seen_at) values ($1, $2, $3)
         on conflict (token_hash) do update set last_seen_at = excluded.last_seen_at
             where device_tokens.user_id = excluded.user_id",
        token_hash(token.0),
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from device_tokens where token_hash in (
             select token_hash from device_tokens where user_id = $1
             order by last_seen_at desc, token_hash offset $2)",
        user.0,
        DEVICE_TOKENS_MAX,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes the clients of an account.
pub(super) async fn forget_all(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!("delete from known_addresses where user_id = $1", user.0)
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from device_tokens where user_id = $1", user.0).execute(tx.conn()).await?;
    Ok(())
}
