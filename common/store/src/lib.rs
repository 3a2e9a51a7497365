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
mod caps;
pub mod epoch;
mod error;
pub mod log;
mod migrate;
pub mod page;
mod place;
mod pool;
pub mod queries;
pub mod refresh_token;
mod rows;
mod schema;
mod tx;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::{Epoch, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};

pub use error::{Error, OnConstraint, Result};
pub use migrate::{Migrated, migrate};
pub use pool::PoolConfig;
pub use schema::{Schema, known_version};
pub use tx::{Committed, OrgEvent, Tx};

/// How long a free connection is waited for, unless a role says otherwise.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a health check may take.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to Postgres. Clones share its connections.
///
/// Nothing is asked of a database whose schema is not the one that this binary needs: everything is
/// refused as unavailable until it is.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    shared: Arc<pool::Shared>,
    is_for_sends: bool,
    time_passed: Arc<AtomicI64>,
}

/// Connections of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connections {
    /// All.
    pub open: u32,
    /// Those of them that nothing uses.
    pub idle: u32,
}

/// Postgres' clock, read over a connection.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    /// What it said.
    pub at: Timestamp,
    /// How long the question and its answer took.
    pub round_trip: Duration,
}

/// Does work that must not take longer than `budget`.
///
/// # Errors
/// Those of the work; `TimedOut` when it took longer.
pub async fn within<T>(budget: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(budget, work).await.unwrap_or(Err(Error::TimedOut))
}

impl Store {
    /// Makes a pool of at most `connections_max` connections, for a tool or a test. See
    /// [`Self::open`].
    ///
    /// # Errors
    /// When the URL is malformed.
    pub async fn connect(url: &str, connections_max: u32) -> anyhow::Result<Self> {
        let config = PoolConfig {
            application_name: "chatboard".to_owned(),
            // The one that is kept for health checks comes on top: tools make none.
            connections_max: connections_max.saturating_add(1),
            sends_max: 0,
            acquire_timeout: ACQUIRE_TIMEOUT,
        };
        Self::open(url, config).await
    }

    /// Makes a pool. Postgres may be away, now and later: then what is asked of the store is
    /// refused as unavailable.
    ///
    /// # Errors
    /// When the URL is malformed.
    #[expect(clippy::unused_async, reason = "a pool must be made inside the runtime")]
    pub async fn open(url: &str, config: PoolConfig) -> anyhow::Result<Self> {
        let (pool, shared) = pool::open(url, config)?;
        Ok(Self { pool, shared, is_for_sends: false, time_passed: Arc::default() })
    }

    /// The connections that only send messages, however many requests hold the others; all of
    /// them, where none are set apart.
    #[must_use]
    pub fn for_sends(&self) -> Self {
        match &self.shared.sends {
            Some(sends) => {
                let shared = Arc::clone(&self.shared);
                Self { pool: sends.clone(), shared, is_for_sends: true, ..self.clone() }
            }
            None => self.clone(),
        }
    }

    /// Open and idle connections, but for the one of health checks.
    pub fn connections(&self) -> Connections {
        let pools = [Some(&self.pool), self.shared.sends.as_ref()];
        let mut all = Connections::default();
        for pool in pools.into_iter().flatten() {
            all.open += pool.size();
            all.idle += u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        }
        all
    }

    /// Takes Postgres' clock to be so many microseconds ahead of what it says, for tests that let
    /// time pass. No role does this.
    #[must_use]
    pub fn with_time_passed(self, micros: Arc<AtomicI64>) -> Self {
        Self { time_passed: micros, ..self }
    }

    /// Opens a transaction. Dropping it undoes it.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    pub async fn begin(&self) -> Result<Tx> {
        let inner = self.begin_with("begin").await?;
        Ok(Tx::new(inner, self.epoch(), self.time_passed.load(Ordering::Relaxed)))
    }

    /// Opens a transaction that reads everything in one snapshot.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    pub(crate) async fn begin_snapshot(&self) -> Result<sqlx::Transaction<'static, Postgres>> {
        self.begin_with("begin isolation level repeatable read read only").await
    }

    async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<sqlx::Transaction<'static, Postgres>> {
        let mut tx = match self.pool.begin_with(statement).await {
            Ok(tx) => tx,
            Err(error) => return Err(Box::pin(self.shared.no_connection(&self.pool, error)).await),
        };
        self.admit(&mut tx).await?;
        Ok(tx)
    }

    /// Opens a transaction none of whose statements may take longer than `statement`: one that
    /// does is ended by the server, with all locks of the transaction.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin_bounded(&self, statement: Duration) -> Result<Tx> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "select set_config('statement_timeout', $1, true)",
            format!("{}ms", statement.as_millis()),
        )
        .fetch_one(tx.conn())
        .await?;
        Ok(tx)
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    pub async fn read(&self) -> Result<PoolConnection<Postgres>> {
        let mut conn = match self.pool.acquire().await {
            Ok(conn) => conn,
            Err(error) => return Err(Box::pin(self.shared.no_connection(&self.pool, error)).await),
        };
        self.admit(&mut conn).await?;
        Ok(conn)
    }

    /// Lets nothing through before the schema was found to be the one that is needed and the epoch is
    /// known. The schema is compared again only in a new epoch: migrations only expand, but an older
    /// backup may be restored.
    async fn admit(&self, conn: &mut PgConnection) -> Result<()> {
        if !self.is_for_sends {
            self.shared.note_use(&self.pool);
        }
        if self.shared.epoch.has_schema() {
            return Ok(());
        }
        let schema = Box::pin(schema::look(conn)).await?;
        if !schema.is_current() {
            return Err(self.shared.unusable(schema.to_string()));
        }
        if self.epoch().is_none() {
            self.look_at_epoch(conn).await?;
        }
        self.shared.epoch.set_has_schema();
        self.shared.is_usable();
        Ok(())
    }

    pub(crate) fn known_epoch(&self) -> &epoch::Known {
        &self.shared.epoch
    }

    /// The pool, for its figures.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether Postgres answers now: then a transaction that failed did not fail because Postgres
    /// is away, and failing again and again is the doing of what it worked on.
    pub async fn answers(&self) -> bool {
        self.round_trip().await.is_some()
    }

    /// Whether an error says something about what was worked on, rather than about Postgres: the
    /// same work must then not be tried again as a whole.
    pub async fn blames_work(&self, error: &Error) -> bool {
        match error {
            Error::Unusable(_) => false,
            error if error.is_transient() => self.answers().await,
            _ => true,
        }
    }

    /// How long a health check takes; `None` when it fails: see [`Self::fault`].
    pub async fn round_trip(&self) -> Option<Duration> {
        let started = Instant::now();
        // What is wrong is noted already.
        self.check().await.ok().map(|_| started.elapsed())
    }

    /// The health check: Postgres answers within 2 s, is no standby, has the schema that is needed,
    /// and its epoch is known. Begins a new epoch where the recorded one does not fit.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    pub async fn check(&self) -> Result<Epoch> {
        match tokio::time::timeout(ROUND_TRIP_TIMEOUT, self.check_reserved()).await {
            Ok(Ok(epoch)) => {
                self.shared.is_usable();
                Ok(epoch)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(Box::pin(self.shared.no_connection(&self.pool, sqlx::Error::PoolTimedOut))
                    .await)
            }
        }
    }

    /// What was wrong with Postgres when it was last asked, for an operator.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault()
    }

    /// Reads the epoch over the connection reserved for health checks, or over one of the pool if that
    /// is not available.
    async fn check_reserved(&self) -> Result<Epoch> {
        let mut conn = match self.shared.reserved.acquire().await {
            Ok(conn) => conn,
            Err(_) => self.read().await?,
        };
        self.admit(&mut conn).await?;
        self.look_at_epoch(&mut conn).await
    }

    async fn look_at_epoch(&self, conn: &mut PgConnection) -> Result<Epoch> {
        match self.shared.epoch.look(conn).await {
            Ok(epoch) => Ok(epoch),
            Err(Error::Unavailable(error)) => {
                Err(Box::pin(self.shared.no_connection(&self.pool, error)).await)
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                Err(self.shared.unusable(format!("the epoch cannot be read: {error:#}")))
            }
        }
    }

    /// Reads Postgres' clock.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    pub async fn server_time(&self) -> Result<ServerTime> {
        let mut conn = self.read().await?;
        // The first statement of a connection also waits to be prepared.
        conn.ping().await?;
        let started = Instant::now();
        let at = sqlx::query_scalar!(r#"select clock_timestamp() as "at!: Timestamp""#)
            .fetch_one(&mut *conn)
            .await?;
        Ok(ServerTime { at, round_trip: started.elapsed() })
    }
}
