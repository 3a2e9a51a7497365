//! ChatBoard's one binary: its first argument is the role that it plays.
//!
//! There is no logic in here: settings are read, roles are started with what they need, and the
//! process stops when it is asked to.

mod roles;
mod tools;
mod welcome;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::config::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Team chat of your own: organizations, rooms and direct messages, in real time.
#[derive(Debug, Parser)]
#[command(name = "chatboard", version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// A TOML file with settings; `CHATBOARD_…` variables override it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Every role in one process.
    All,
    /// Brings the database's schema and the streams up to date.
    Migrate,
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
    /// Prints the `OpenAPI` document.
    Openapi,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            tools::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Some(command) = cli.command else {
        <Cli as clap::CommandFactory>::command().print_help()?;
        return Ok(ExitCode::FAILURE);
    };
    match command {
        Command::Openapi => return tools::print(&api::openapi()),
        Command::Keys { out } => return tools::make_key(out.as_deref()),
        Command::Config { docs: true } => return tools::print(&runtime::config::docs()),
        _ => {}
    }
    let settings = Settings::load(cli.config.as_deref())?;
    if let Command::Config { .. } = command {
        return tools::print(&settings.show());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Api => roles::run(settings, &[roles::Role::Api]).await,
            Command::Edge => roles::run(settings, &[roles::Role::Edge]).await,
            Command::Relay => roles::run(settings, &[roles::Role::Relay]).await,
            Command::All => roles::run(settings, &roles::Role::ALL).await,
            Command::Migrate => tools::migrate(&settings).await,
            Command::Config { .. } | Command::Keys { .. } | Command::Openapi => {
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
