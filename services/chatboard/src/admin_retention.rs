//! `chatboard admin retention`: how long the deployment keeps messages.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use store::Store;
use store::actions::deployment::{approve_removal, set_retention};
use store::queries::deployment::{expired_messages, retention_days};

use crate::database::in_words;
use crate::tools;

/// How long an approval holds.
const APPROVAL_HOURS: i32 = 24;

/// What can be said of it.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RetentionCommand {
    #[command(subcommand)]
    approve: Option<Approve>,
    /// Days after which messages expire; 0 keeps all. Shows how long they are kept when absent.
    #[arg(value_parser = clap::value_parser!(i32).range(0..=36_500))]
    days: Option<i32>,
    /// Changes it even if messages expire by that now.
    #[arg(long, requires = "days")]
    yes: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Approve {
    /// Lets the janitor remove more at once than its bound, for a day.
    Approve,
}

/// Does it, and says on stdout what was done.
pub(crate) async fn run(store: &Store, command: RetentionCommand) -> anyhow::Result<ExitCode> {
    match command {
        RetentionCommand { approve: Some(Approve::Approve), .. } => approve(store).await,
        RetentionCommand { days: Some(days), yes, .. } => change(store, days, yes).await,
        RetentionCommand { days: None, .. } => {
            let days = retention_days(&mut *store.read().await?).await?;
            tools::print(&format!(
                "{}\n",
                days.map_or("not set: every message is kept".to_owned(), in_words)
            ))
        }
    }
}

async fn change(store: &Store, days: i32, yes: bool) -> anyhow::Result<ExitCode> {
    let now = store.server_time().await?.at;
    let mut tx = store.begin().await?;
    let before = expired_messages(tx.conn(), now).await?;
    set_retention(&mut tx, days).await?;
    let expire = (expired_messages(tx.conn(), now).await? - before).max(0);
    if expire > 0 && !yes {
        bail!(
            "{expire} messages would expire now and be removed for good. Nothing was changed; \
             repeat this with --yes if that is meant"
        );
    }
    let _nothing_to_publish = tx.commit().await?;
    let retention = in_words(days);
    tools::print(&format!("retention is now {retention}; {expire} more messages have expired\n"))
}

async fn approve(store: &Store) -> anyhow::Result<ExitCode> {
    let now = store.server_time().await?.at;
    let mut tx = store.begin().await?;
    let expired = expired_messages(tx.conn(), now).await?;
    let Some(until) = approve_removal(&mut tx, APPROVAL_HOURS).await? else {
        bail!("retention was never set: nothing expires by it");
    };
    let _nothing_to_publish = tx.commit().await?;
    tools::print(&format!(
        "the removal of what has expired, {expired} messages now, is approved until {until}\n"
    ))
}
