//! Start and stop, the same for every role.
//!
//! Stopping is two signals. *Draining*: take nothing new, finish what was accepted. *Aborting*:
//! time is up. Every task is spawned here, under a name; a task that ends by itself while the
//! process is meant to run stops the process, which then exits with 1.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything ended by itself.
    Clean,
    /// Something took too long and was cut off: what others do with their connections is not in
    /// our hands, and no failure.
    CutOff,
    /// An essential task failed, or did not end.
    Failed,
}

/// The process's (or one test deployment's) life. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
    essential: TaskTracker,
    has_failed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// A life that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that is waited for at the end, and cut off when time is up.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned")]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let aborting = self.aborting.clone();
        tokio::spawn(self.tasks.track_future(async move {
            tokio::select! {
                () = future => {}
                () = aborting.cancelled() => {}
            }
        }))
    }

    /// Spawns a task that lives as long as the process: if it ends, or panics, while nobody asked
    /// it to stop, the whole process stops and fails.
    pub fn spawn_essential<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let life = self.clone();
        let token = self.essential.token();
        self.spawn(async move {
            let guard = EssentialGuard { life: &life, name, is_done: false };
            let result = future.await;
            guard.finish(result);
            drop(token);
        });
    }

    /// Asks everything to stop.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Resolves once draining has been asked for.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether draining has been asked for.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Resolves when time is up.
    pub async fn aborting(&self) {
        self.aborting.cancelled().await;
    }

    /// Drains, and cuts off at once what is left.
    pub fn abort(&self) {
        self.draining.cancel();
        self.aborting.cancel();
    }

    /// Drains at the first SIGTERM or SIGINT, aborts at the second.
    ///
    /// # Errors
    /// When the system lets no signal be handled.
    pub fn heed_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let life = self.clone();
        // Not tracked: it would keep the end waiting for a signal that need not come.
        #[expect(clippy::disallowed_methods, reason = "must outlive the drain")]
        tokio::spawn(async move {
            for is_second in [false, true] {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                // First the deed, then its log line: no log may stand in the way of stopping.
                if is_second {
                    life.abort();
                    tracing::warn!(signal = name, "{name} again: stopping at once");
                } else {
                    life.drain();
                    tracing::info!(signal = name, "{name}: finishing what was accepted");
                }
            }
        });
        Ok(())
    }

    /// Stops with failure.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
        self.draining.cancel();
    }

    /// Drains, waits for the tasks for at most `grace`, then cuts off the rest.
    pub async fn stop(&self, grace: Duration) -> End {
        self.drain();
        self.tasks.close();
        let is_clean = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        if !is_clean {
            tracing::warn!("stopping took longer than {grace:?}: cutting off what is left");
        }
        let has_failed = self.has_failed.load(Ordering::Relaxed) || !self.essential.is_empty();
        self.aborting.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        match (has_failed, is_clean) {
            (true, _) => End::Failed,
            (false, true) => End::Clean,
            (false, false) => End::CutOff,
        }
    }
}

/// Notices the end of an essential task, a panic included.
struct EssentialGuard<'a> {
    life: &'a Lifecycle,
    name: &'static str,
    is_done: bool,
}

impl EssentialGuard<'_> {
    fn finish(mut self, result: anyhow::Result<()>) {
        self.is_done = true;
        let name = self.name;
        match result {
            Ok(()) if self.life.is_draining() => {}
            Ok(()) => {
                self.life.fail();
                tracing::error!(task = name, "{name} ended by itself: stopping");
            }
            Err(error) => {
                self.life.fail();
                tracing::error!(
                    task = name,
                    error = format!("{error:#}"),
                    "{name} failed: {error:#}"
                );
            }
        }
    }
}

impl Drop for EssentialGuard<'_> {
    fn drop(&mut self) {
        if !self.is_done && std::thread::panicking() {
            self.life.fail();
            tracing::error!(task = self.name, "{} panicked: stopping", self.name);
        }
    }
}
