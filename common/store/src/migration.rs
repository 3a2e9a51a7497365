//! The schema: bringing it up to date, and whether it fits this version.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long another `migrate` may take before this one gives up.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);
/// How often the lock is asked for. Waiting *inside* `pg_advisory_lock` would hold a snapshot, for
/// which the other's `create index concurrently` waits: a deadlock.
const LOCK_PAUSE: Duration = Duration::from_millis(250);
/// The advisory lock of everybody who migrates: a number of our own.
const LOCK: i64 = 0x0063_6862_6d69_6772;

/// The migrations of this version. The lock is ours: see [`LOCK_PAUSE`].
fn ours() -> Migrator {
    let mut migrator = sqlx::migrate!("../../migrations");
    // What a newer version has applied beside ours stays.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// Which migrations a database has.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The last one that was applied; 0 for a database without our schema.
    pub(crate) found: i64,
    /// Those of this version that were not applied.
    pub(crate) missing: Vec<i64>,
}

impl Schema {
    /// Reads it.
    ///
    /// # Errors
    /// As Postgres says.
    pub(crate) async fn read(conn: &mut PgConnection) -> Result<Self, sqlx::Error> {
        static VERSIONS: LazyLock<Vec<i64>> =
            LazyLock::new(|| ours().iter().map(|migration| migration.version).collect());
        let applied = "select version from _sqlx_migrations where success";
        let applied: Vec<i64> = match sqlx::query_scalar(applied).fetch_all(conn).await {
            // There is no such table yet.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
                Vec::new()
            }
            answer => answer?,
        };
        let missing = VERSIONS.iter().filter(|version| !applied.contains(version)).copied();
        Ok(Self { found: applied.iter().max().copied().unwrap_or(0), missing: missing.collect() })
    }
}

/// Brings a database's schema up to date. Several may try at once: one does it, the others wait.
/// A schema that is newer than this version is left alone.
///
/// # Errors
/// When Postgres cannot be reached within 10 s, another migration takes longer than 10 minutes, or
/// a migration fails.
pub async fn migrate(url: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions = url.parse()?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let options = options.application_name("chatboard migrate");
    let mut conn = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options))
        .await
        .with_context(|| format!("Postgres at {place} did not answer within {CONNECT_TIMEOUT:?}"))?
        .with_context(|| format!("cannot connect to Postgres at {place}"))?;
    lock(&mut conn).await?;
    let migrated = run(&mut conn).await;
    // Closing gives the lock back, too.
    let _ = conn.close().await;
    migrated
}

async fn lock(conn: &mut PgConnection) -> anyhow::Result<()> {
    let started = tokio::time::Instant::now();
    let mut is_told = false;
    loop {
        let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if is_ours {
            return Ok(());
        }
        if started.elapsed() > LOCK_PATIENCE {
            bail!("another migration has been running for {LOCK_PATIENCE:?}");
        }
        if !is_told {
            tracing::info!("another migration is running: waiting for it");
            is_told = true;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

async fn run(conn: &mut PgConnection) -> anyhow::Result<()> {
    let schema = Schema::read(conn).await?;
    if schema.missing.is_empty() {
        let found = schema.found;
        tracing::info!(found, "the schema is at {found}, which serves this version: nothing to do");
        return Ok(());
    }
    let migrator = ours();
    drop_interrupted_indexes(conn, &migrator, &schema.missing).await?;
    migrator.run_direct(None, conn, false).await?;
    Ok(())
}

/// A migration that makes an index concurrently and was cut off has left one behind, which is
/// invalid, or was not recorded: it goes, so that the migration can be applied again.
async fn drop_interrupted_indexes(
    conn: &mut PgConnection,
    migrator: &Migrator,
    missing: &[i64],
) -> anyhow::Result<()> {
    let is_pending = |one: &&Migration| one.no_tx && missing.contains(&one.version);
    for migration in migrator.iter().filter(is_pending) {
        let sql = migration.sql.as_str().to_lowercase();
        let mut words = sql.split_whitespace().skip_while(|&word| word != "concurrently").skip(1);
        let Some(index) = words.next() else { continue };
        let is_there: bool = sqlx::query_scalar(
            "select exists (select from pg_class where relname = $1 and relkind = 'i')",
        )
        .bind(index)
        .fetch_one(&mut *conn)
        .await?;
        if is_there {
            tracing::warn!(
                index,
                "index {index} was left by an interrupted migration: rebuilding it"
            );
            let drop = format!("drop index concurrently {index}");
            conn.execute(sqlx::raw_sql(AssertSqlSafe(drop))).await?;
        }
    }
    Ok(())
}
