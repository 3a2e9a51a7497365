//! The process's pool, and what is looked at beside it: the deployment's retention and the clock.

use std::time::Duration;

use runtime::config::{Settings, Source};
use runtime::meter::{Gauge, label};
use runtime::{Clock, Lifecycle};
use store::actions::deployment::initialize_retention;
use store::queries::deployment::retention_days;
use store::{Connections, PoolConfig, Store};

use crate::roles::Role;

/// How long an api's request waits for a free connection; the reason why there was none takes up to
/// 200 ms more, which makes one second.
const REQUEST_ACQUIRE: Duration = Duration::from_millis(800);
/// How long the work of other roles waits for one.
const WORK_ACQUIRE: Duration = Duration::from_secs(3);
/// The fewest connections of a process: one is kept for health checks.
const CONNECTIONS_MIN: u32 = 2;
/// How often the pool's metrics are updated.
const POOL_WATCH: Duration = Duration::from_secs(5);
/// The pause until the retention is asked for again while Postgres cannot be used.
const SETTLE_PAUSE: Duration = Duration::from_secs(5);

/// Connections of the pool that all roles of this process share; none where no role needs Postgres.
pub(crate) fn connections(settings: &Settings, roles: &[Role]) -> u32 {
    let wanted: u32 = roles.iter().map(|role| role.connections()).sum();
    match settings.database_connections {
        _ if wanted == 0 => 0,
        0 => wanted,
        configured => configured.max(CONNECTIONS_MIN),
    }
}

/// Makes the pool that all roles of this process share; `None` where none of them needs Postgres.
pub(crate) async fn start(
    settings: &Settings,
    roles: &[Role],
    clock: &Clock,
    life: &Lifecycle,
) -> anyhow::Result<Option<Store>> {
    let connections_max = connections(settings, roles);
    let url = settings.database_url.as_ref().filter(|_| connections_max > 0);
    let Some(url) = url else { return Ok(None) };
    let name = if let [role] = roles { role.name() } else { "all" };
    let acquire_timeout = if roles.contains(&Role::Api) { REQUEST_ACQUIRE } else { WORK_ACQUIRE };
    let application_name = format!("chatboard {name}");
    let sends_max = if roles.contains(&Role::Api) { api::SEND_CONNECTIONS } else { 0 };
    let config = PoolConfig { application_name, connections_max, sends_max, acquire_timeout };
    let store = Store::open(url.expose(), config).await?;
    life.spawn(watch_pool(store.clone(), name, life.clone()));
    let retention = Retention::of(settings);
    life.spawn(settle(store.clone(), retention, life.clone()));
    let store_of_clock = store.clone();
    life.spawn(runtime::clock::watch(clock.clone(), life.clone(), move || {
        let store = store_of_clock.clone();
        async move { store.server_time().await.ok().map(|time| (time.at, time.round_trip)) }
    }));
    Ok(Some(store))
}

/// What this process was told about retention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    days: i32,
    is_explicit: bool,
}

impl Retention {
    pub(crate) fn of(settings: &Settings) -> Self {
        let is_explicit = settings
            .effective()
            .iter()
            .any(|one| one.spec.name == "RETENTION_DAYS" && one.source != Source::Default);
        let days = i32::try_from(settings.retention_days).unwrap_or(i32::MAX);
        Self { days, is_explicit }
    }
}

/// Sets the deployment's retention where it has none, and warns where this process was told
/// another.
///
/// # Errors
/// When Postgres cannot be used.
pub(crate) async fn settle_retention(store: &Store, told: Retention) -> store::Result<()> {
    let mut conn = store.read().await?;
    let mut days = retention_days(&mut conn).await?;
    drop(conn);
    if days.is_none() {
        let mut tx = store.begin().await?;
        initialize_retention(&mut tx, told.days, told.is_explicit).await?;
        days = retention_days(tx.conn()).await?;
        let _nothing_to_publish = tx.commit().await?;
        if let Some(days) = days {
            tracing::info!(days, "this deployment's retention is now {}", in_words(days));
        }
    }
    match days {
        None => tracing::warn!(
            "this deployment's retention was never set: every message is kept. \
             `chatboard admin retention DAYS` sets it"
        ),
        Some(days) if told.is_explicit && days != told.days => tracing::warn!(
            "CHATBOARD_RETENTION_DAYS is {}, the deployment's retention is {days}: the variable \
             changes nothing. `chatboard admin retention {}` would",
            told.days,
            told.days
        ),
        Some(_) => {}
    }
    Ok(())
}

/// How long messages are kept.
pub(crate) fn in_words(days: i32) -> String {
    if days == 0 { "0: every message is kept".to_owned() } else { format!("{days} days") }
}

async fn settle(store: Store, told: Retention, life: Lifecycle) {
    // Why it failed is logged where it did.
    while !life.is_draining() && settle_retention(&store, told).await.is_err() {
        life.pause(SETTLE_PAUSE).await;
    }
}

/// Tells Prometheus how the pool is used, from time to time.
async fn watch_pool(store: Store, role: &'static str, life: Lifecycle) {
    loop {
        let Connections { open, idle } = store.connections();
        for (state, count) in [("busy", open.saturating_sub(idle)), ("idle", idle)] {
            let labels = vec![label("role", role), label("state", state)];
            Gauge::PoolConnections.set_with(f64::from(count), labels);
        }
        if !life.pause(POOL_WATCH).await {
            return;
        }
    }
}
