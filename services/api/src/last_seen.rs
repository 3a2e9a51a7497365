//! When each login was last used: a hint for its owner, written at most once a minute for each,
//! many at once, and dropped rather than waited for.

use std::collections::HashMap;
use std::time::Duration;

use domain::{LoginId, Timestamp};
use runtime::Lifecycle;
use store::Store;
use store::actions::logins::note_seen;
use tokio::sync::mpsc;

/// How often one login is written.
const PERIOD: Duration = Duration::from_mins(1);
/// Logins whose last writing is remembered.
const NOTED_MAX: usize = 100_000;
/// Logins that may wait to be written.
const QUEUE_MAX: usize = 4_096;
/// Logins in one statement.
const BATCH_MAX: usize = 1_000;
/// How long writing them may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long others are gathered with the first.
const GATHER: Duration = Duration::from_secs(1);

/// Notes that logins are used.
pub(crate) struct LastSeen {
    noted: quick_cache::sync::Cache<LoginId, Timestamp>,
    queue: mpsc::Sender<(LoginId, Timestamp)>,
}

impl std::fmt::Debug for LastSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LastSeen")
    }
}

impl LastSeen {
    /// Starts the task that writes.
    pub(crate) fn start(store: Store, life: &Lifecycle) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        life.spawn_essential("last seen", write_all(store, receiver, life.clone()));
        Self { noted: quick_cache::sync::Cache::new(NOTED_MAX), queue }
    }

    /// Notes that a login is used now.
    pub(crate) fn note(&self, login: LoginId, now: Timestamp) {
        let is_fresh = self.noted.get(&login).is_some_and(|noted| now.since(noted) < PERIOD);
        if !is_fresh && self.queue.try_send((login, now)).is_ok() {
            self.noted.insert(login, now);
        }
    }
}

async fn write_all(
    store: Store,
    mut queue: mpsc::Receiver<(LoginId, Timestamp)>,
    life: Lifecycle,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            () = life.draining() => return Ok(()),
            count = queue.recv_many(&mut batch, 1) => if count == 0 { return Ok(()) },
        }
        life.pause(GATHER).await;
        while batch.len() < BATCH_MAX {
            let Ok(seen) = queue.try_recv() else { break };
            batch.push(seen);
        }
        let latest: HashMap<LoginId, Timestamp> = batch.drain(..).collect();
        let latest: Vec<(LoginId, Timestamp)> = latest.into_iter().collect();
        if let Err(error) = store::within(WRITE_TIMEOUT, note_seen(&store, &latest)).await {
            tracing::debug!(error = %error, "last uses of logins were not written: {error}");
        }
    }
}
