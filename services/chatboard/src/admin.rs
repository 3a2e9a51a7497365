//! `chatboard admin`: what support asks, and what an operator decides ([`crate::admin_user`]).

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use domain::MessageId;
use runtime::config::Settings;
use store::epoch::Reason;
use store::queries::notifications::decisions;
use store::queries::support::{Case, find_case};
use store::{PoolConfig, Store};

use crate::admin_retention::{self, RetentionCommand};
use crate::admin_user::{self, UserCommand};
use crate::tools;

/// How long a connection to Postgres is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What can be asked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Question {
    /// Why was somebody notified of a message, or not?
    Why {
        /// The person's id or e-mail address.
        user: String,
        /// The message's id.
        message: i64,
    },
    /// Finds, disables or enables an account.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Shows, changes or approves how long messages are kept.
    Retention(RetentionCommand),
    /// Begins a new epoch: every client reloads. For a restore that the server cannot notice.
    NewEpoch,
}

/// Answers on stdout.
pub(crate) async fn answer(settings: &Settings, question: Question) -> anyhow::Result<ExitCode> {
    settings.require("admin", &["DATABASE_URL"])?;
    let url = settings.database_url.as_ref().context("CHATBOARD_DATABASE_URL is missing")?;
    let config = PoolConfig {
        application_name: "chatboard admin".to_owned(),
        connections_max: 2,
        sends_max: 0,
        acquire_timeout: CONNECT_TIMEOUT,
    };
    let store = Store::open(url.expose(), config).await?;
    match question {
        Question::Why { user, message } => {
            tools::print(&why(&store, &user, MessageId(message)).await?)
        }
        Question::User { command } => admin_user::run(settings, &store, command).await,
        Question::Retention(command) => admin_retention::run(&store, command).await,
        Question::NewEpoch => tools::print(&new_epoch(&store).await?),
    }
}

async fn new_epoch(store: &Store) -> anyhow::Result<String> {
    let before = store.check().await?;
    let epoch = store.begin_epoch(before, Reason::Operator).await?;
    Ok(format!("{epoch}\n"))
}

async fn why(store: &Store, user: &str, message: MessageId) -> anyhow::Result<String> {
    let mut conn = store.read().await?;
    let case = find_case(&mut conn, user, message).await?;
    let Case { user: Some(user), message_exists: true, .. } = case else {
        let missing = if case.user.is_none() { "no such user" } else { "no such message" };
        anyhow::bail!("{missing}");
    };
    let decisions = decisions(&mut conn, user, message).await?;
    let mut text = String::new();
    for one in &decisions {
        let reason = one.reason.as_deref().unwrap_or("-");
        writeln!(
            text,
            "{}  {:5}  {:10}  {reason:10}  {}",
            one.decided_at, one.channel, one.outcome, one.event
        )?;
    }
    if !decisions.iter().any(|one| one.channel == "email") && !decisions.is_empty() {
        text.push_str("email: not decided yet\n");
    }
    if decisions.is_empty() {
        text.push_str(if case.is_waiting {
            "not decided yet: the message waits to be planned\n"
        } else if case.is_member {
            "the message does not concern them: no direct message, no mention, or their own\n"
        } else {
            "they are not in the message's room\n"
        });
    }
    Ok(text)
}
