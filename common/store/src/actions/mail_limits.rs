//! Limits on mails that people cause: counted per UTC day in Postgres, so they hold over all nodes
//! and under parallel requests, and nothing that is deleted gives one back.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Email, OrgId, Refusal, Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::{Error, Result, Tx};

const DAY: Duration = Duration::from_secs(86_400);

/// Whose mails are counted together.
#[derive(Clone, Copy, Debug)]
pub(super) enum MailScope<'a> {
    /// Invites of an account.
    Account(UserId),
    /// Invites into an organization.
    Organization(OrgId),
    /// Invites to an address, from all organizations.
    Address(&'a Email),
    /// Links that prove the address of an account.
    Verification(UserId),
}

impl MailScope<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Organization(_) => "organization",
            Self::Address(_) => "address",
            Self::Verification(_) => "verification",
        }
    }

    /// An address is kept as its hash: the count outlives the account.
    fn key(self) -> String {
        match self {
            Self::Account(user) | Self::Verification(user) => user.to_string(),
            Self::Organization(org) => org.to_string(),
            Self::Address(email) => STANDARD.encode(Sha256::digest(email.key().as_bytes())),
        }
    }
}

/// Counts one more mail of today; the transaction's end makes it so. A limit of 0 is none. Who
/// counts in several scopes does so in their order here.
///
/// Refuses with `RateLimited`, until the next day.
pub(super) async fn count_mail(
    tx: &mut Tx,
    scope: MailScope<'_>,
    limit: u32,
    now: Timestamp,
) -> Result<()> {
    if limit == 0 {
        return Ok(());
    }
    let day_start = start_of_day(now)?;
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let counted = sqlx::query_scalar!(
        "insert into mail_counts (scope, key, day_start, count) values ($1, $2, $3, 1)
         on conflict (scope, key, day_start) do update set count = mail_counts.count + 1
             where mail_counts.count < $4
         returning count",
        scope.name(),
        scope.key(),
        day_start as Timestamp,
        limit,
    )
    .fetch_optional(tx.conn())
    .await?;
    if counted.is_some() {
        return Ok(());
    }
    Err(Refusal::RateLimited { retry_after: (day_start + DAY).since(now) }.into())
}

fn start_of_day(now: Timestamp) -> Result<Timestamp> {
    let seconds = now.unix_seconds();
    let day = seconds - seconds.rem_euclid(86_400);
    Timestamp::from_unix_seconds(day)
        .ok_or_else(|| Error::Bug(format!("the time {now} is out of range")))
}
