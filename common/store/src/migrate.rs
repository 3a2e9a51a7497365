//! Brings a schema up to date.
//!
//! **Invariants:** one process migrates a database at a time, and the others wait without a
//! transaction or snapshot of their own, which `create index concurrently` would wait for; what an
//! interrupted migration left behind is removed before it is applied again; a schema that is newer
//! than this binary is left alone.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use crate::place::{Place, is_starting, reason};
use crate::schema::{self, MIGRATOR, Schema};

/// How long a server that starts, or is full, is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between tries.
const CONNECT_PAUSE: Duration = Duration::from_millis(250);
/// How long another migration of the same database is waited for: indexes of large tables take
/// long.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How often it is looked whether it has ended.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// The first half of the lock's id, as sqlx has it: binaries that use sqlx' own lock are excluded
/// too.
const LOCK_SEED: i64 = 0x3d32_ad9e;

/// What there was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrated {
    /// The schema has what this binary knows.
    UpToDate {
        /// The newest version.
        version: i64,
    },
    /// The schema is newer than this binary, and serves it: nothing was done.
    Newer {
        /// The schema's newest version.
        version: i64,
        /// The newest that this binary knows.
        known: i64,
    },
}

/// Brings a database's schema up to date. Several may try at once: one does it, the others wait.
///
/// # Errors
/// When Postgres cannot be used, a migration fails, or the schema is newer than this binary and
/// declares that it needs a newer one.
pub async fn migrate(url: &str) -> anyhow::Result<Migrated> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("chatboard migrate");
    let mut conn = connect(&options).await?;
    lock(&mut conn).await?;
    let migrated = apply(&mut conn).await;
    // Closing it unlocks, whatever happened.
    let _ = conn.close().await;
    migrated
}

async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let place = Place::of(options);
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut has_told = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let tried = tokio::time::timeout(left, PgConnection::connect_with(options)).await;
        let error = match tried {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => error,
            Err(_) => bail!("{place} does not answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        let reason = reason(&error);
        if !is_starting(&error) || Instant::now() + CONNECT_PAUSE >= deadline {
            bail!("{place} cannot be used: {reason}");
        }
        if !std::mem::replace(&mut has_told, true) {
            tracing::warn!("{place} cannot be used yet: {reason}");
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
}

/// Takes the lock of all migrations of this database. A session that waits inside
/// `pg_advisory_lock` holds a snapshot, for which an index that is made concurrently waits: so this
/// asks again and again instead.
async fn lock(conn: &mut PgConnection) -> anyhow::Result<()> {
    let database: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut *conn).await?;
    let id = LOCK_SEED * i64::from(crc32fast::hash(database.as_bytes()));
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let mut has_told = false;
    loop {
        let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(id)
            .fetch_one(&mut *conn)
            .await?;
        if is_ours {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("another migration has run for {} s", LOCK_TIMEOUT.as_secs());
        }
        if !std::mem::replace(&mut has_told, true) {
            tracing::info!("another migration of this database runs: waiting for its end");
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

async fn apply(conn: &mut PgConnection) -> anyhow::Result<Migrated> {
    let known = schema::known_version();
    match schema::look(conn).await? {
        Schema::Current { version } if version > known => {
            return Ok(Migrated::Newer { version, known });
        }
        Schema::Current { .. } => {}
        too_new @ Schema::TooNew { .. } => bail!("{too_new}"),
        Schema::Outdated { .. } => remove_leftovers(conn).await?,
    }
    // The lock is ours already.
    let mut migrator = Migrator { migrations: MIGRATOR.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_locking(false);
    migrator.run_direct(None, conn, false).await?;
    Ok(Migrated::UpToDate { version: known })
}

/// Removes indexes that an interrupted migration without a transaction left: invalid ones, and
/// those that were made but not recorded. The migration makes them again.
async fn remove_leftovers(conn: &mut PgConnection) -> anyhow::Result<()> {
    let applied = schema::applied(conn).await?;
    let open = MIGRATOR.iter().filter(|one| one.no_tx && !applied.contains(&one.version));
    for index in open.flat_map(|migration| concurrent_indexes(migration.sql.as_str())) {
        let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(index)
            .fetch_one(&mut *conn)
            .await?;
        if is_there {
            tracing::warn!("index {index} was left by an interrupted migration: making it again");
            let drop = format!("drop index concurrently {index}");
            conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(drop)))
                .await
                .with_context(|| format!("index {index} cannot be dropped"))?;
        }
    }
    Ok(())
}

/// The names of the indexes that a migration makes concurrently.
fn concurrent_indexes(sql: &str) -> Vec<&str> {
    let code = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
    let made = words
        .windows(3)
        .enumerate()
        .filter(|(_, words)| matches!(words, ["create" | "unique", "index", "concurrently"]));
    let names = made.map(|(at, _)| match words.get(at + 3..) {
        Some(["if", "not", "exists", name, ..] | [name, ..]) => *name,
        _ => "",
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{MIGRATOR, concurrent_indexes};

    #[test]
    fn indexes_that_are_made_concurrently_are_found_by_name() {
        let sql = "-- create index concurrently no_idx\ncreate index concurrently a_idx on t (a);
            create unique index concurrently if not exists b_idx on t (b);
            drop index concurrently c_idx; create index d_idx on t (d);";
        assert_eq!(concurrent_indexes(sql), ["a_idx", "b_idx"]);
        for migration in MIGRATOR.iter().filter(|migration| migration.no_tx) {
            let made = concurrent_indexes(migration.sql.as_str());
            assert!(!made.is_empty(), "migration {} makes no index", migration.version);
        }
    }
}
