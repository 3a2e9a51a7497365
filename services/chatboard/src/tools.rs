//! The subcommands that do one thing and end.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use nats::bus::Bus;
use nats::subjects::Subjects;
use runtime::config::Settings;
use runtime::tokens::SigningKeys;
use store::{Migrated, Store};

use crate::database;

/// How long a migration waits for NATS.
const NATS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What a failed migration is said to be.
const SCHEMA_FAILED: &str = "the schema could not be brought up to date";

/// Says why the process ends, one line each, without a backtrace.
pub(crate) fn complain(error: &anyhow::Error) {
    runtime::telemetry::complain(format!("chatboard: {error:#}"));
}

/// Prints a text.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a signing key: in a new file that its owner alone can read, or on stdout.
pub(crate) fn make_key(out: Option<&Path>) -> anyhow::Result<ExitCode> {
    let pem = SigningKeys::generate()?;
    let Some(path) = out else { return print(&pem) };
    write_key(path, &pem)?;
    print(&format!("wrote {}\n", path.display()))
}

/// Writes a key to a file that does not exist yet.
pub(crate) fn write_key(path: &Path, pem: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(pem.as_bytes())?;
    Ok(())
}

/// Brings the schema and the streams up to date.
pub(crate) async fn migrate(settings: &Settings) -> anyhow::Result<ExitCode> {
    settings.require("migrate", &["DATABASE_URL", "NATS_URL"])?;
    runtime::telemetry::log(settings.log.as_str(), settings.log_format);
    if let Some(url) = &settings.database_url {
        let migrated = store::migrate(url.expose()).await.context(SCHEMA_FAILED)?;
        match migrated {
            Migrated::UpToDate { version } => {
                tracing::info!("the schema is up to date, at {version}");
            }
            Migrated::Newer { version, known } => tracing::info!(
                "schema is at {version}, newer than this version's {known}: nothing to do"
            ),
        }
        let store = Store::connect(url.expose(), 1).await?;
        database::settle_retention(&store, database::Retention::of(settings)).await?;
        store.pool().close().await;
    }
    if let Some(url) = &settings.nats_url {
        let subjects = Subjects::new(settings.nats_prefix.as_str());
        let bus = Bus::connect(url.expose(), subjects, "chatboard migrate").await?;
        wait_for_nats(&bus).await?;
        nats::admission::check(&bus, settings.nats_allow_unauthenticated).await?;
        nats::streams::migrate(&bus, crate::roles::streams(settings)).await?;
        tracing::info!("the streams are up to date");
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait_for_nats(bus: &Bus) -> anyhow::Result<()> {
    let mut connections = bus.connections();
    let connected = connections.wait_for(|&count| count > 0);
    tokio::time::timeout(NATS_TIMEOUT, connected)
        .await
        .context("NATS does not answer")?
        .context("the connection to NATS ended")?;
    Ok(())
}
