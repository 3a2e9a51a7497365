//! Limits on mails that people cause: counted per UTC day in Postgres, so they hold over all nodes
//! and under parallel requests, and nothing that is deleted gives one back.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Email, OrgId, Refusal, Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::{Error, Result, Tx};

const DAY: Duration = Duration::from_secs(86_400);

/// The client whose request causes a mail to whomever it names: an invite, or a link that verifies
/// an address. Resets go to accounts alone, which have their own bound: who shares an address with
/// their owner must not be able to use them up.
#[derive(Clone, Copy, Debug)]
pub struct MailSource {
    /// Its prefix (`runtime::address::client_prefix`).
    pub client: IpAddr,
    /// Mails that it may cause per day (UTC); 0 is no limit.
    pub limit: u32,
    /// The site of an IPv6 client (`runtime::address::client_site`).
    pub site: Option<IpAddr>,
    /// Mails that all clients of the site may cause; 0 is no limit.
    pub site_limit: u32,
}

impl MailSource {
    /// Counts one more mail of today.
    ///
    /// Refuses with `RateLimited`, until the next day.
    pub(super) async fn count(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        count_mail(tx, MailScope::Client(self.client), self.limit, now).await?;
        match self.site {
            Some(site) => count_mail(tx, MailScope::Site(site), self.site_limit, now).await,
            None => Ok(()),
        }
    }
}

/// Whose mails are counted together.
#[derive(Clone, Copy, Debug)]
pub(super) enum MailScope<'a> {
    /// Invites of an account.
    Account(UserId),
    /// Invites into an organization.
    Organization(OrgId),
    /// Invites to a mailbox ([`Email::mailbox_key`]), from all organizations.
    Address(&'a Email),
    /// Links that prove the address of an account.
    Verification(UserId),
    /// Mails that the requests of one client cause ([`MailSource`]).
    Client(IpAddr),
    /// Those of all clients of an IPv6 site.
    Site(IpAddr),
}

impl MailScope<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Organization(_) => "organization",
            Self::Address(_) => "address",
            Self::Verification(_) => "verification",
            Self::Client(_) => "client",
            Self::Site(_) => "site",
        }
    }

    /// Addresses are kept as their hashes: the count outlives the account.
    fn key(self) -> String {
        match self {
            Self::Account(user) | Self::Verification(user) => user.to_string(),
            Self::Organization(org) => org.to_string(),
            Self::Address(email) => hashed(&email.mailbox_key()),
            Self::Client(address) | Self::Site(address) => hashed(&address.to_string()),
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

fn hashed(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

fn start_of_day(now: Timestamp) -> Result<Timestamp> {
    let seconds = now.unix_seconds();
    let day = seconds - seconds.rem_euclid(86_400);
    Timestamp::from_unix_seconds(day)
        .ok_or_else(|| Error::Bug(format!("the time {now} is out of range")))
}
