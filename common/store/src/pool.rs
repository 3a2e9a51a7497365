//! The process's connections to Postgres: how many, how long one waits for them, when idle ones are
//! given back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::place::{Place, reason};
use crate::{Error, epoch};

/// Idle time after which a connection is pinged before it is used again.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a connection that is given back may take to answer a ping.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle time after which a connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the connection that is kept for health checks is waited for.
const RESERVED_TIMEOUT: Duration = Duration::from_millis(500);
/// The time over which the peak use of the pool is remembered; twice that is looked at.
const PEAK_WINDOW: Duration = Duration::from_secs(10);
/// Connections that are kept beyond the peak.
const SPARE: u32 = 1;
/// How long a connection attempt that only asks for the reason of a failure may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);
/// For how long an answer to a health check says that Postgres is there: checks come every second.
const ANSWERED_FOR: Duration = Duration::from_secs(2);
/// How long its answer is good for.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How often the same operator's fault is logged.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How a process uses Postgres.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The name under which `pg_stat_activity` shows its connections.
    pub application_name: String,
    /// Connections of the whole process, at least 2: one of them is kept for health checks.
    pub connections_max: u32,
    /// How many of them only send messages ([`crate::Store::for_sends`]), where enough are left.
    pub sends_max: u32,
    /// How long a free connection is waited for.
    pub acquire_timeout: Duration,
}

/// What all clones of a store share besides the pool.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) place: Place,
    /// One connection, for health checks alone: a pool that is busy is not away.
    pub(crate) reserved: PgPool,
    /// Those that only send messages.
    pub(crate) sends: Option<PgPool>,
    /// The history that the connections lead to.
    pub(crate) epoch: epoch::Known,
    options: PgConnectOptions,
    config: PoolConfig,
    usage: Arc<Usage>,
    probed: tokio::sync::Mutex<Option<(Instant, String)>>,
    told: Mutex<Option<(Instant, String)>>,
    fault: Mutex<Option<String>>,
    /// When a health check was last answered.
    answered: Mutex<Option<Instant>>,
}

/// Whether a connection that is given back may return to its pool: its place must not wait for a
/// host that is silent.
async fn may_return(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(RELEASE_TIMEOUT, conn.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::WorkerCrashed),
    }
}

/// Makes the pools. No connection is made before the first is wanted.
pub(crate) fn open(url: &str, config: PoolConfig) -> anyhow::Result<(PgPool, Arc<Shared>)> {
    let options = connect_options(url, &config.application_name)?;
    let (usage, epoch) = (Arc::new(Usage::default()), epoch::Known::new());
    let usage_of_hook = Arc::clone(&usage);
    let shareable = config.connections_max.saturating_sub(1).max(1);
    // At least as many stay for everything else.
    let sends_max = config.sends_max.min(shareable / 2);
    let pool = with_checks(PgPoolOptions::new(), &epoch)
        .max_connections(shareable - sends_max)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(IDLE_TIMEOUT)
        .after_release(move |conn, _| {
            let usage = Arc::clone(&usage_of_hook);
            Box::pin(async move {
                // What a busier time needed goes back to Postgres, for others.
                if usage.gives_back() {
                    return Ok(false);
                }
                may_return(conn).await
            })
        })
        .connect_lazy_with(options.clone());
    let reserved = with_checks(PgPoolOptions::new(), &epoch)
        .max_connections(1)
        .acquire_timeout(RESERVED_TIMEOUT)
        .idle_timeout(None)
        .connect_lazy_with(options.clone());
    let sends = (sends_max > 0).then(|| {
        with_checks(PgPoolOptions::new(), &epoch)
            .max_connections(sends_max)
            .acquire_timeout(config.acquire_timeout)
            .idle_timeout(IDLE_TIMEOUT)
            .after_release(|conn, _| Box::pin(may_return(conn)))
            .connect_lazy_with(options.clone())
    });
    let shared = Shared {
        place: Place::of(&options),
        reserved,
        sends,
        epoch,
        options,
        config,
        usage,
        probed: tokio::sync::Mutex::default(),
        told: Mutex::default(),
        fault: Mutex::default(),
        answered: Mutex::default(),
    };
    Ok((pool, Arc::new(shared)))
}

fn connect_options(url: &str, application_name: &str) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    // A statement that runs away is ended by the server, and a transaction whose client has
    // stalled lets go of its locks.
    Ok(options.application_name(application_name).options([
        ("statement_timeout", "30s"),
        // Whoever holds a room holds it for milliseconds. One that is held for longer fails
        // those who want it, and must not make everyone else wait who is in a group with them.
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "15s"),
        // Every statement of ours finds its rows by index. Plans are kept, and one that was
        // made while a table was small, or believed empty, would read all of it for ever.
        ("enable_seqscan", "off"),
        ("jit", "off"),
    ]))
}

/// Checks a connection when it is new, since it may lead to another history than the last, and
/// after it was idle, since it may have died with its server or host.
fn with_checks(options: PgPoolOptions, epoch: &epoch::Known) -> PgPoolOptions {
    let epoch = epoch.clone();
    options
        .test_before_acquire(false)
        .after_connect(move |conn, _| {
            let epoch = epoch.clone();
            Box::pin(async move { epoch.ask(conn).await })
        })
        .before_acquire(|conn, about| {
            Box::pin(async move {
                if about.idle_for > TRUSTED_FOR {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Whether a pool has all connections that it may have, and none is free.
fn is_exhausted(pool: &PgPool) -> bool {
    pool.size() >= pool.options().get_max_connections() && pool.num_idle() == 0
}

impl Shared {
    /// Notes how many connections are in use.
    pub(crate) fn note_use(&self, pool: &PgPool) {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        self.usage.note(pool.size().saturating_sub(idle), pool.size());
    }

    /// Why a pool had no connection. A process that does not get its connections back, so busy is it,
    /// is too busy to make another one in time: health checks are believed first. Where the operator has to do something, one log line a
    /// minute says so.
    pub(crate) async fn no_connection(&self, pool: &PgPool, error: sqlx::Error) -> Error {
        let reason = match &error {
            sqlx::Error::PoolTimedOut if is_exhausted(pool) && self.has_answered() => {
                self.all_in_use()
            }
            sqlx::Error::PoolTimedOut => self.probe().await,
            sqlx::Error::PoolClosed => return error.into(),
            other => reason(other),
        };
        self.unusable(reason)
    }

    /// An error that says where Postgres is and what is wrong with it.
    pub(crate) fn unusable(&self, reason: String) -> Error {
        let text = format!("{} cannot be used: {reason}", self.place);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new =
            told.as_ref().is_none_or(|(at, what)| at.elapsed() >= TELL_EVERY || *what != reason);
        if is_new {
            tracing::error!("{text}");
            *told = Some((Instant::now(), reason.clone()));
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        Error::Unusable(text)
    }

    /// Notes that Postgres has answered, and forgets what was wrong.
    pub(crate) fn is_usable(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What was wrong when Postgres was last asked.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the latest health check says that Postgres is there.
    fn has_answered(&self) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_some_and(|at| at.elapsed() < ANSWERED_FOR)
    }

    fn all_in_use(&self) -> String {
        format!(
            "all {} connections of this process were in use for {:?}",
            self.config.connections_max, self.config.acquire_timeout
        )
    }

    /// Why the pool had no connection in time: the pool keeps that to itself.
    async fn probe(&self) -> String {
        let mut probed = self.probed.lock().await;
        if let Some((at, reason)) = probed.as_ref()
            && at.elapsed() < PROBE_EVERY
        {
            return reason.clone();
        }
        let tried = PgConnection::connect_with(&self.options);
        let found = match tokio::time::timeout(PROBE_TIMEOUT, tried).await {
            Ok(Ok(mut conn)) => {
                let asked = tokio::time::timeout(PROBE_TIMEOUT, self.epoch.ask(&mut conn)).await;
                let _ = tokio::time::timeout(PROBE_TIMEOUT, conn.close()).await;
                match asked {
                    Ok(Err(error)) => reason(&error),
                    Ok(Ok(())) | Err(_) => self.all_in_use(),
                }
            }
            Ok(Err(error)) => reason(&error),
            Err(_) => "it does not answer".to_owned(),
        };
        *probed = Some((Instant::now(), found.clone()));
        found
    }
}

/// How many connections were in use at once of late, and how many are open.
#[derive(Debug)]
struct Usage(Mutex<Peaks>);

#[derive(Debug)]
struct Peaks {
    window_began: Instant,
    now: u32,
    before: u32,
    open: u32,
}

impl Default for Usage {
    fn default() -> Self {
        Self(Mutex::new(Peaks { window_began: Instant::now(), now: 0, before: 0, open: 0 }))
    }
}

impl Usage {
    fn note(&self, busy: u32, open: u32) {
        let mut peaks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peaks.turn();
        peaks.now = peaks.now.max(busy);
        peaks.open = open;
    }

    /// Whether the connection that was just released is one too many; if so, it counts as closed.
    fn gives_back(&self) -> bool {
        let mut peaks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peaks.turn();
        let is_surplus = peaks.open > peaks.now.max(peaks.before) + SPARE;
        if is_surplus {
            peaks.open -= 1;
        }
        is_surplus
    }
}

impl Peaks {
    fn turn(&mut self) {
        let age = self.window_began.elapsed();
        if age >= PEAK_WINDOW {
            self.before = if age < PEAK_WINDOW * 2 { self.now } else { 0 };
            self.now = 0;
            self.window_began = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn connections_beyond_the_peak_of_late_are_given_back() {
        let usage = Usage::default();
        usage.note(3, 6);
        assert!(usage.gives_back());
        assert!(usage.gives_back());
        assert!(!usage.gives_back(), "the peak and a spare one are kept");
        usage.note(6, 6);
        assert!(!usage.gives_back());
    }
}
