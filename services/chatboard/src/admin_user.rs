//! `chatboard admin user`: finds, disables, enables and vouches for accounts.
//!
//! It needs the database. With NATS, nodes learn of revoked logins at once; without it they find
//! them in the database within seconds, as they do any revocation.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use domain::{LoginId, UserId};
use nats::bus::Bus;
use nats::rpc::{RevokedLogin, RevokedReply};
use nats::subjects::Subjects;
use runtime::Clock;
use runtime::config::Settings;
use store::Store;
use store::actions::disable_user::{self, Account};

use crate::tools;

/// How long NATS may take to take the news.
const NATS_TIMEOUT: Duration = Duration::from_secs(3);
/// How much longer than its access tokens a revoked login is kept in mind: clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// What can be done with an account, named by its e-mail address or id.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Shows an account.
    Show {
        /// Its e-mail address or id.
        user: String,
    },
    /// Disables an account: it is signed out everywhere and cannot sign in, its open invites are
    /// withdrawn, and it gets no mail. Its messages stay.
    Disable {
        /// Its e-mail address or id.
        user: String,
    },
    /// Takes an account's address for verified, on your word: where no mail reaches it.
    Verify {
        /// Its e-mail address or id.
        user: String,
    },
    /// Enables an account again: it signs in with its password.
    Enable {
        /// Its e-mail address or id.
        user: String,
    },
}

/// Does it, and says on stdout what was done.
pub(crate) async fn run(
    settings: &Settings,
    store: &Store,
    command: UserCommand,
) -> anyhow::Result<ExitCode> {
    let mut tx = store.begin().await?;
    let (UserCommand::Show { user }
    | UserCommand::Disable { user }
    | UserCommand::Verify { user }
    | UserCommand::Enable { user }) = &command;
    let account = disable_user::find_account(&mut tx, user)
        .await?
        .with_context(|| format!("there is no account with the address or id {user}"))?;
    drop(tx);
    let text = match command {
        UserCommand::Show { .. } => shown(&account),
        UserCommand::Disable { .. } => disable(settings, store, &account).await?,
        UserCommand::Verify { .. } => verify(store, &account).await?,
        UserCommand::Enable { .. } => enable(store, &account).await?,
    };
    tools::print(&text)
}

fn shown(account: &Account) -> String {
    let state =
        account.disabled_at.map_or("enabled".to_owned(), |at| format!("disabled since {at}"));
    let address = if account.email_verified { "verified" } else { "not verified" };
    let last = account.last_login.map_or("never".to_owned(), |at| at.to_string());
    let name = format!("{} {}", account.first_name, account.last_name);
    let mut text = String::new();
    for (label, value) in [
        ("id", account.id.to_string()),
        ("address", format!("{} ({address})", account.email)),
        ("name", name.trim().to_owned()),
        ("state", state),
        ("created", account.created_at.to_string()),
        ("last sign-in", last),
        ("open logins", account.open_logins.to_string()),
    ] {
        let _ = writeln!(text, "{label:14}{value}");
    }
    text
}

async fn disable(settings: &Settings, store: &Store, account: &Account) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let mut tx = store.begin().await?;
    let disabled = disable_user::disable(&mut tx, account.id, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    let (id, email) = (account.id, &account.email);
    let mut text = match account.disabled_at {
        None => format!("disabled {email} (id {id})\n"),
        Some(at) => format!("{email} (id {id}) was disabled already, since {at}\n"),
    };
    let (logins, invites) = (disabled.logins.len(), disabled.invites_withdrawn);
    let _ = writeln!(text, "{logins} logins revoked, {invites} open invites withdrawn");
    for org in &account.only_admin_of {
        let _ = writeln!(text, "note: the organization {org:?} has no other enabled ADMIN");
    }
    if !disabled.logins.is_empty()
        && let Err(error) = announce(settings, &disabled.logins).await
    {
        let _ = writeln!(
            text,
            "note: NATS was not told ({error:#}): nodes find the revoked logins in the database"
        );
    }
    Ok(text)
}

async fn enable(store: &Store, account: &Account) -> anyhow::Result<String> {
    let mut tx = store.begin().await?;
    let was_disabled = disable_user::enable(&mut tx, account.id).await?;
    let _nothing_to_publish = tx.commit().await?;
    let (id, email) = (account.id, &account.email);
    Ok(if was_disabled {
        format!("enabled {email} (id {id}): it signs in with its password\n")
    } else {
        format!("{email} (id {id}) was not disabled\n")
    })
}

async fn verify(store: &Store, account: &Account) -> anyhow::Result<String> {
    let mut tx = store.begin().await?;
    let now = Clock::system().now();
    let was_unverified = disable_user::verify_address(&mut tx, account.id, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    let (id, email) = (account.id, &account.email);
    Ok(if was_unverified {
        format!("{email} (id {id}) counts as verified\n")
    } else {
        format!("{email} (id {id}) was verified already\n")
    })
}

/// Tells every node which logins were revoked.
async fn announce(settings: &Settings, logins: &[LoginId]) -> anyhow::Result<()> {
    let url = settings.nats_url.as_ref().context("CHATBOARD_NATS_URL is missing")?;
    let until = Clock::system().now() + settings.access_token_ttl + MARGIN;
    let logins = logins.iter().map(|&login| RevokedLogin { login, until }).collect();
    let payload = serde_json::to_vec(&RevokedReply { logins })?;
    let tell = async {
        let subjects = Subjects::new(settings.nats_prefix.as_str());
        let bus = Bus::connect(url.expose(), subjects, "chatboard admin").await?;
        bus.connections().wait_for(|&count| count > 0).await?;
        bus.client().publish(bus.subjects().revoked(), payload.into()).await?;
        // This process ends: only an answer says that NATS has read what was sent.
        let nobody = bus.subjects().user(UserId::NOWHERE);
        anyhow::ensure!(bus.round_trip(nobody).await.is_some(), "NATS does not answer");
        anyhow::Ok(())
    };
    tokio::time::timeout(NATS_TIMEOUT, tell).await.context("no answer within 3 s")?
}
