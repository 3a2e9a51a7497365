//! What nobody needs any more and nothing else removes: spent secrets, old mails, old records.
//!
//! Each kind has its window, and an index that finds what is past it. A batch is claimed with
//! `skip locked`: janitors beside each other take different rows, and nobody waits for them.

use std::time::Duration;

use domain::limits::{DEVICE_TOKEN_LIFETIME, KNOWN_ADDRESS_LIFETIME};
use domain::{Claim, LoginId, Timestamp};

use super::registration::remove_unverified;
use crate::{Result, Tx};

const DAY: Duration = Duration::from_secs(86_400);

/// A kind of rows that expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiring {
    /// Refresh tokens, and logins that have none left.
    RefreshTokens,
    /// Invites, accepted or not.
    Invites,
    /// Tokens that reset passwords.
    PasswordResets,
    /// Links that prove an address.
    EmailVerifications,
    /// Accounts that did not prove their address in time.
    UnverifiedAccounts,
    /// Mails that still wait although their link has expired: dropped, with its token.
    ExpiredMailSecrets,
    /// Addresses that accounts signed in from.
    KnownAddresses,
    /// Tokens of devices that accounts signed in from.
    DeviceTokens,
    /// Counts of mails of days that are over.
    MailCounts,
    /// Mails that were sent, or never will be.
    Mails,
    /// Webhook deliveries that are settled, with what they delivered.
    Deliveries,
    /// Notifications that are about no message; others go with theirs.
    Notifications,
    /// Decisions about them.
    Decisions,
    /// Events that could not be planned.
    DeadEvents,
    /// Records of what was removed.
    PurgeRecords,
}

impl Expiring {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::RefreshTokens,
        Self::Invites,
        Self::PasswordResets,
        Self::EmailVerifications,
        Self::UnverifiedAccounts,
        Self::ExpiredMailSecrets,
        Self::KnownAddresses,
        Self::DeviceTokens,
        Self::MailCounts,
        Self::Mails,
        Self::Deliveries,
        Self::Notifications,
        Self::Decisions,
        Self::DeadEvents,
        Self::PurgeRecords,
    ];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::RefreshTokens => "refresh_tokens",
            Self::Invites => "invites",
            Self::PasswordResets => "password_resets",
            Self::EmailVerifications => "email_verifications",
            Self::UnverifiedAccounts => "unverified_accounts",
            Self::ExpiredMailSecrets => "expired_mail_secrets",
            Self::KnownAddresses => "known_addresses",
            Self::DeviceTokens => "device_tokens",
            Self::MailCounts => "mail_counts",
            Self::Mails => "mails",
            Self::Deliveries => "deliveries",
            Self::Notifications => "notifications",
            Self::Decisions => "decisions",
            Self::DeadEvents => "dead_events",
            Self::PurgeRecords => "purge_records",
        }
    }

    /// How long it is kept after its end.
    fn window(self) -> Duration {
        match self {
            // Longer than any access token lives: nodes look for revoked logins until then. Counts
            // of mails: from the start of their day.
            Self::RefreshTokens | Self::MailCounts => 2 * DAY,
            Self::PasswordResets | Self::EmailVerifications => DAY,
            Self::UnverifiedAccounts | Self::ExpiredMailSecrets => Duration::ZERO,
            Self::KnownAddresses => KNOWN_ADDRESS_LIFETIME,
            Self::DeviceTokens => DEVICE_TOKEN_LIFETIME,
            Self::Invites | Self::Mails | Self::Deliveries => 30 * DAY,
            Self::Notifications | Self::Decisions | Self::DeadEvents => 90 * DAY,
            Self::PurgeRecords => 400 * DAY,
        }
    }
}

/// Removes claimed rows of a kind. Returns how many it found.
pub async fn expire(tx: &mut Tx, kind: Expiring, claim: Claim, now: Timestamp) -> Result<u64> {
    let until = now - kind.window();
    match kind {
        Expiring::RefreshTokens => refresh_tokens(tx, claim, until).await,
        Expiring::Invites => invites(tx, claim, until).await,
        Expiring::PasswordResets => password_resets(tx, claim, until).await,
        Expiring::EmailVerifications => email_verifications(tx, claim, until).await,
        Expiring::UnverifiedAccounts => remove_unverified(tx, claim, until).await,
        Expiring::ExpiredMailSecrets => expired_mail_secrets(tx, claim, until).await,
        Expiring::KnownAddresses => known_addresses(tx, claim, until).await,
        Expiring::DeviceTokens => device_tokens(tx, claim, until).await,
        Expiring::MailCounts => mail_counts(tx, claim, until).await,
        Expiring::Mails => mails(tx, claim, until).await,
        Expiring::Deliveries => deliveries(tx, claim, until).await,
        Expiring::Notifications => notifications(tx, claim, until).await,
        Expiring::Decisions => decisions(tx, claim, until).await,
        Expiring::DeadEvents => dead_events(tx, claim, until).await,
        Expiring::PurgeRecords => purge_records(tx, claim, until).await,
    }
}

async fn refresh_tokens(tx: &mut Tx, claim: Claim, until: Timestamp) -> Result<u64> {
    let logins = sqlx::query_scalar!(
        r#"delete from refresh_tokens where hash = any(array(
               select hash from refresh_tokens where expires_at <= $1
               order by expires_at limit $2 offset $3 for update skip locked))
           returning login_id as "login: LoginId""#,
        until as Timestamp,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    // Who renews a login presents a token that is still there.
    sqlx::query!(
        "delete from logins l where id = any($1)
             and not exists (select from refresh_tokens t where t.login_id = l.id)",
        &logins as &[LoginId],
    )
    .execute(tx.conn())
    .await?;
    Ok(logins.len() as u64)
}

/// Statements that take the same: until when, how many rows, and how many to pass over first.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:literal;)*) => {$(
        $(#[$doc])*
        async fn $name(tx: &mut Tx, claim: Claim, until: Timestamp) -> Result<u64> {
            let done = sqlx::query!($sql, until as Timestamp, claim.limit, claim.passed_over)
                .execute(tx.conn())
                .await?;
            Ok(done.rows_affected())
        }
    )*};
}

statements! {
    invites: "delete from organization_invites where id = any(array(
             select id from organization_invites where expires_at <= $1
             order by expires_at limit $2 offset $3 for update skip locked))";
    password_resets: "delete from password_resets where id = any(array(
             select id from password_resets where expires_at <= $1
             order by expires_at limit $2 offset $3 for update skip locked))";
    email_verifications: "delete from email_verifications where id = any(array(
             select id from email_verifications where expires_at <= $1
             order by expires_at limit $2 offset $3 for update skip locked))";
    expired_mail_secrets: "update mails set status = 'dropped', next_attempt_at = null, secret = null,
                          last_error = 'its link expired before it could be sent'
         where id = any(array(
             select id from mails
             where secret is not null and secret_expires_at <= $1 and status = 'due'
             order by secret_expires_at limit $2 offset $3 for update skip locked))";
    known_addresses: "delete from known_addresses where ctid = any(array(
             select ctid from known_addresses where last_seen_at <= $1
             order by last_seen_at limit $2 offset $3 for update skip locked))";
    device_tokens: "delete from device_tokens where token_hash = any(array(
             select token_hash from device_tokens where last_seen_at <= $1
             order by last_seen_at limit $2 offset $3 for update skip locked))";
    mail_counts: "delete from mail_counts where ctid = any(array(
             select ctid from mail_counts where day_start <= $1
             order by day_start limit $2 offset $3 for update skip locked))";
    mails: "delete from mails where id = any(array(
             select id from mails
             where status in ('sent', 'failed', 'dropped') and created_at <= $1
             order by created_at limit $2 offset $3 for update skip locked))";
    /// What is still to be delivered keeps its payload.
    deliveries: "delete from webhook_payloads where event_id = any(array(
             select p.event_id from webhook_payloads p
             where p.created_at <= $1 and not exists (
                 select from webhook_outbox d
                 where d.event_id = p.event_id and d.next_attempt_at is not null)
             order by p.created_at limit $2 offset $3 for update skip locked))";
    notifications: "delete from notifications where id = any(array(
             select id from notifications where message_id is null and created_at <= $1
             order by created_at limit $2 offset $3 for update skip locked))";
    decisions: "delete from notification_decisions where ctid = any(array(
             select ctid from notification_decisions
             where message_id is null and decided_at <= $1
             order by decided_at limit $2 offset $3 for update skip locked))";
    dead_events: "delete from outbox_dead where id = any(array(
             select id from outbox_dead where died_at <= $1
             order by died_at limit $2 offset $3 for update skip locked))";
    purge_records: "delete from purges where id = any(array(
             select id from purges where started_at <= $1
             order by started_at limit $2 offset $3 for update skip locked))";
}
