//! The record: all SQL of ChatBoard, and the transactions it runs in.
//!
//! [`actions`] write, one file each; [`queries`] read, one file per read model; [`access`] makes
//! the proofs that both demand. **Invariants:** no other crate writes SQL; a change that a client
//! can notice appends its event to the log in the same transaction ([`log`]); nothing here talks
//! to any network but Postgres; locks are taken in one order everywhere: organization, rooms by
//! ascending id (`for no key update`, or foreign-key checks would wait), then members, then the
//! rest.

pub mod access;
pub mod actions;
mod error;
pub mod log;
pub mod migration;
pub mod page;
pub mod queries;
pub mod refresh_token;
mod rows;
mod tx;

use std::time::Duration;

use domain::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use error::{Error, OnConstraint, Result};
pub use migration::migrate;
pub use tx::{Committed, OrgEvent, Tx};

/// How long a request waits for a connection before the answer is `unavailable`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an idle connection is used without asking.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a connection that is given back may take for a sign of life.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a sign of life may take.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to Postgres. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: sqlx::PgPool,
}

impl Store {
    /// Makes a pool of at most `connections_max` connections. Postgres may be away, now and
    /// later: then what is asked of the store is refused as unavailable. No message expires but
    /// by its organization's own rule.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub async fn connect(url: &str, connections_max: u32) -> anyhow::Result<Self> {
        Self::connect_keeping(url, connections_max, 0).await
    }

    /// Makes a pool as [`Self::connect`] does, where messages expire after `days`; 0 keeps all.
    /// Every role of a deployment must be told the same.
    ///
    /// # Errors
    /// When the URL is malformed.
    #[expect(clippy::unused_async, reason = "a pool must be made inside the runtime")]
    pub async fn connect_keeping(
        url: &str,
        connections_max: u32,
        days: u32,
    ) -> anyhow::Result<Self> {
        let days = days.to_string();
        let options: PgConnectOptions = url.parse()?;
        // A statement that runs away is ended by the server, and a transaction whose client has
        // stalled lets go of its locks.
        let options = options.application_name("chatboard").options([
            ("statement_timeout", "30s"),
            // Whoever holds a room holds it for milliseconds. One that is held for longer fails
            // those who want it, and must not make everyone else wait who is in a group with them.
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "15s"),
            // Every statement of ours finds its rows by index. Plans are kept, and one that was
            // made while a table was small, or believed empty, would read all of it for ever.
            ("enable_seqscan", "off"),
            ("jit", "off"),
            // What `kept_since` asks, in the record itself.
            ("chatboard.retention_days", &days),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            // What lay idle may have died with its server, or its host: asked before it is used.
            .before_acquire(|conn, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED_FOR {
                        sqlx::Connection::ping(conn).await?;
                    }
                    Ok(true)
                })
            })
            // A place in the pool must not wait for a host that is silent.
            .after_release(|conn, _| {
                Box::pin(async move {
                    let ping = sqlx::Connection::ping(conn);
                    match tokio::time::timeout(RELEASE_TIMEOUT, ping).await {
                        Ok(answer) => answer.map(|()| true),
                        Err(_) => Err(sqlx::Error::WorkerCrashed),
                    }
                })
            })
            .idle_timeout(Duration::from_secs(300))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Opens a transaction. Dropping it undoes it.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx::new(self.pool.begin().await?))
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn read(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>> {
        Ok(self.pool.acquire().await?)
    }

    /// The pool, for its figures.
    pub fn pool(&self) -> &sqlx::PgPool {
        &self.pool
    }

    /// How long Postgres takes to say that its schema fits this version; `None` when it does not,
    /// or does not answer within 2 s.
    pub async fn round_trip(&self) -> Option<Duration> {
        let started = std::time::Instant::now();
        let answer = tokio::time::timeout(ROUND_TRIP_TIMEOUT, self.check_schema()).await;
        matches!(answer, Ok(Ok(()))).then(|| started.elapsed())
    }

    /// Checks that Postgres answers and has every migration that this version needs. A newer
    /// schema fits: migrations only expand.
    ///
    /// # Errors
    /// `SchemaTooOld`, `Unavailable`.
    pub async fn check_schema(&self) -> Result<()> {
        let mut conn = self.pool.acquire().await?;
        let schema = migration::Schema::read(&mut conn).await?;
        match schema.missing.last() {
            Some(&needed) => Err(Error::SchemaTooOld { found: schema.found, needed }),
            None => Ok(()),
        }
    }

    /// How far a time is ahead of Postgres' clock, in seconds; negative where it is behind. `now`
    /// is asked before and after the question, so that a slow answer is no skew.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn clock_skew(&self, now: impl Fn() -> Timestamp + Send) -> Result<f64> {
        let mut conn = self.pool.acquire().await?;
        let before = now();
        let theirs = sqlx::query_scalar::<_, Timestamp>("select clock_timestamp()")
            .fetch_one(&mut *conn)
            .await?;
        let after = now();
        let ahead = before.since(theirs).as_secs_f64();
        let behind = theirs.since(after).as_secs_f64();
        Ok(if ahead > 0.0 { ahead } else { -behind })
    }
}
