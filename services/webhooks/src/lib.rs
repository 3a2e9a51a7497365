//! Deliveries to webhooks.
//!
//! Postgres keeps the schedule: [`sweep`] puts what is due on the queue WEBHOOKS, once a second.
//! [`intake`] takes jobs from it into [`lanes`], which decide what may start; [`attempt`] claims a
//! delivery, makes its request and records what came of it; only then is the job acknowledged.
//! **Invariants:** a job is a hint, so losing one loses nothing; no endpoint can hold what another
//! needs: each has few attempts at a time, those that have not answered share a lane of their own,
//! and an attempt that takes long leaves its lane; nothing is requested but through `outbound`.

mod attempt;
mod intake;
mod lanes;
mod outcome;
mod sign;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use domain::DeliveryId;
use domain::limits::WEBHOOK_TIMEOUT;
use nats::bus::Bus;
use nats::streams::StreamSettings;
use outbound::{Client, Guard};
use parking_lot::Mutex;
use runtime::meter::{Counter, label};
use runtime::parked::Parked;
use runtime::{Clock, Lifecycle};
use store::{Store, Tx};
use tokio::sync::{Notify, Semaphore};

use crate::lanes::Lanes;

/// Transactions at once: as many as the pool of a worker process serves, also where the pool is
/// larger because an api shares it.
const TRANSACTIONS_MAX: usize = 5;
/// Connections to Postgres that attempts outside of the fast lane use at once.
const OTHERS_AT_ONCE_MAX: usize = 4;

/// How long one statement may take: below the 15 s after which Postgres ends a transaction in which
/// nothing happens.
const STATEMENT_BUDGET: Duration = Duration::from_secs(5);

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the queue is made, should it be missing.
    pub streams: StreamSettings,
    /// Where requests may go.
    pub guard: Guard,
    /// The pauses between attempts; after the last a delivery has failed.
    pub retry_schedule: Vec<Duration>,
    /// How long an endpoint may take to answer.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams: StreamSettings::default(),
            guard: Guard::default(),
            retry_schedule: [5, 30, 120, 600, 3_600, 21_600, 86_400]
                .map(Duration::from_secs)
                .to_vec(),
            timeout: WEBHOOK_TIMEOUT,
        }
    }
}

/// What all parts work with.
#[derive(Clone, Debug)]
struct Worker {
    config: Arc<Config>,
    store: Store,
    bus: Bus,
    clock: Clock,
    client: Client,
    lanes: Arc<Mutex<Lanes<async_nats::jetstream::Message>>>,
    /// Transactions at once.
    transactions: Arc<Semaphore>,
    /// Who may use Postgres for an attempt outside of the fast lane: the pool is small, and
    /// endpoints that answer shall not wait for it behind hundreds that do not.
    others: Arc<Semaphore>,
    /// Deliveries whose attempts cannot be recorded.
    parked: Arc<Mutex<Parked<DeliveryId>>>,
    /// Something may be able to start.
    wake: Arc<Notify>,
    life: Lifecycle,
}

/// Starts a worker. Any number of them share the work.
///
/// # Errors
/// When no HTTP client can be made.
#[expect(clippy::unused_async, reason = "every role starts the same way")]
pub async fn start(
    config: Config,
    store: Store,
    bus: Bus,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    // Exported from the start: `increase` misses the first value of a new series.
    Counter::WorkDead.add_with(0, vec![label("work", "webhook_deliveries")]);
    let user_agent = concat!("ChatBoard/", env!("CARGO_PKG_VERSION"));
    let worker = Worker {
        client: Client::new(config.guard.clone(), user_agent)?,
        config: Arc::new(config),
        store,
        bus,
        clock,
        lanes: Arc::new(Mutex::new(Lanes::default())),
        transactions: Arc::new(Semaphore::new(TRANSACTIONS_MAX)),
        others: Arc::new(Semaphore::new(OTHERS_AT_ONCE_MAX)),
        parked: Arc::new(Mutex::new(Parked::new("webhook_deliveries"))),
        wake: Arc::new(Notify::new()),
        life: life.clone(),
    };
    life.spawn_essential("webhook jobs", intake::run(worker.clone()));
    life.spawn_essential("webhook attempts", attempt::run(worker.clone()));
    life.spawn_essential("webhook schedule", sweep::run(worker));
    Ok(())
}

impl Worker {
    /// How long a claimed delivery is one worker's alone: long enough for its attempt and for
    /// recording it.
    fn lease(&self) -> Duration {
        self.config.timeout * 2
    }

    async fn begin(&self) -> store::Result<Tx> {
        // It is never closed.
        let permit = Arc::clone(&self.transactions).acquire_owned().await;
        let tx = self.store.begin_bounded(STATEMENT_BUDGET).await?;
        Ok(match permit {
            Ok(permit) => tx.holding(permit),
            Err(_) => tx,
        })
    }
}
