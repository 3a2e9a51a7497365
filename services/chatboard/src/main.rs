//! ChatBoard's one binary: its first argument is the role that it plays.
//!
//! There is no logic in here: settings are read, roles are started with what they need, and the
//! process stops when it is asked to.

mod admin;
mod admin_retention;
mod admin_user;
mod database;
#[cfg(feature = "dev")]
mod dev;
mod files;
mod page;
mod roles;
mod tools;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::config::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Team chat of your own: organizations, rooms and direct messages, in real time.
#[derive(Debug, Parser)]
#[command(name = "chatboard", version)]
struct Cli {
    /// A TOML file with settings; `CHATBOARD_…` variables override it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For `dev`, which is what runs when no role is named.
    #[cfg(feature = "dev")]
    #[command(flatten)]
    flags: dev::Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// The REST api, which also answers what edges ask.
    Api,
    /// An edge: it holds `WebSockets` and needs NATS alone.
    Edge,
    /// The relay: it records what follows from events.
    Relay,
    /// The webhooks' worker: it delivers events to other systems.
    Webhooks,
    /// The notifier: it mails what people asked for or missed.
    Notifier,
    /// The janitor: it removes what is past its time.
    Janitor,
    /// Every role in one process.
    All,
    /// Every role, with private servers where none are configured, and demo data.
    #[cfg(feature = "dev")]
    Dev(dev::Flags),
    /// Watches a private server.
    #[cfg(feature = "dev")]
    #[command(hide = true)]
    Guard,
    /// Runs a command with `DATABASE_URL` naming a new Postgres that has the schema.
    #[cfg(feature = "dev")]
    #[command(hide = true)]
    ScratchPostgres {
        /// The command and its arguments.
        #[arg(last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Brings the database's schema and the streams up to date.
    Migrate,
    /// Answers questions for support, and changes accounts for operators.
    Admin {
        #[command(subcommand)]
        question: admin::Question,
    },
    /// Prints every setting in effect, without secrets.
    Config {
        /// Prints the documentation of all settings instead (`docs/config.md`).
        #[arg(long)]
        docs: bool,
    },
    /// Makes a key that signs access tokens.
    Keys {
        /// The file to write, readable by its owner alone; printed when absent.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Prints the `OpenAPI` document of the REST api.
    Openapi,
    /// Prints the `AsyncAPI` document of the `WebSocket`.
    Asyncapi,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = run(cli);
    runtime::telemetry::flush();
    match ended {
        Ok(code) => code,
        Err(error) => {
            tools::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    let Some(command) = command(&mut cli)? else {
        <Cli as clap::CommandFactory>::command().print_help()?;
        return Ok(ExitCode::FAILURE);
    };
    match command {
        Command::Openapi => return tools::print(&api::openapi()),
        Command::Asyncapi => return tools::print(&contract::asyncapi::text()),
        Command::Keys { out } => return tools::make_key(out.as_deref()),
        Command::Config { docs: true } => return tools::print(&runtime::config::docs()),
        // These two read no settings: a wrong one must not keep a server from being stopped.
        #[cfg(feature = "dev")]
        Command::Guard => return block_on(dev::guard()),
        #[cfg(feature = "dev")]
        Command::ScratchPostgres { command } => return block_on(dev::scratch_postgres(&command)),
        _ => {}
    }
    let settings = Settings::load(cli.config.as_deref())?;
    match command {
        Command::Api => block_on(roles::run(settings, &[roles::Role::Api])),
        Command::Edge => block_on(roles::run(settings, &[roles::Role::Edge])),
        Command::Relay => block_on(roles::run(settings, &[roles::Role::Relay])),
        Command::Webhooks => block_on(roles::run(settings, &[roles::Role::Webhooks])),
        Command::Notifier => block_on(roles::run(settings, &[roles::Role::Notifier])),
        Command::Janitor => block_on(roles::run(settings, &[roles::Role::Janitor])),
        Command::All => block_on(roles::run(settings, &roles::Role::ALL)),
        #[cfg(feature = "dev")]
        Command::Dev(flags) => block_on(dev::run(settings, flags)),
        Command::Migrate => block_on(tools::migrate(&settings)),
        Command::Admin { question } => block_on(admin::answer(&settings, question)),
        _ => tools::print(&settings.show()),
    }
}

/// The command that is meant: `dev`, where there is one, when none is named.
#[cfg(feature = "dev")]
fn command(cli: &mut Cli) -> anyhow::Result<Option<Command>> {
    let flags = std::mem::take(&mut cli.flags);
    match cli.command.take() {
        None => Ok(Some(Command::Dev(flags))),
        Some(command) if flags == dev::Flags::default() => Ok(Some(command)),
        Some(_) => anyhow::bail!("--edges and --no-demo belong behind `dev`, or to no role at all"),
    }
}

/// The command that is named.
#[cfg(not(feature = "dev"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as with the dev stack")]
fn command(cli: &mut Cli) -> anyhow::Result<Option<Command>> {
    Ok(cli.command.take())
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
