//! Start and stop, the same for every role.
//!
//! Stopping has three steps. *Leaving*: serve as before, but say "not ready", so that load balancers
//! send new work elsewhere. *Draining*: take nothing new, finish what was accepted. *Aborting*: time
//! is up. Every task is spawned here, under a name; a task that ends by itself while the
//! process is meant to run stops the process, which then exits with 1.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SIGTERM: &str = "SIGTERM";

/// The signals that stop a process.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Waits for one; returns its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => SIGTERM,
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

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
    leaving: CancellationToken,
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

    /// Makes the process say that it is not ready, while it serves as before.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// Whether load balancers should send new work elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled() || self.is_draining()
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

    /// Waits for so long, or until draining has been asked for. Returns whether it has not been.
    pub async fn pause(&self, pause: Duration) -> bool {
        self.unless_drained(Duration::ZERO, tokio::time::sleep(pause)).await.is_some()
    }

    /// Gives up on `work` when it has not ended `grace` after draining has been asked for.
    pub async fn unless_drained<T>(
        &self,
        grace: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = async {
                self.draining().await;
                tokio::time::sleep(grace).await;
            } => None,
        }
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

    /// Handles SIGTERM and SIGINT. The first SIGTERM makes the process leave, and drain after
    /// `drain_delay`; the first SIGINT, which a person at a terminal sends, drains at once. A second
    /// signal drains at once, and one that comes while draining aborts.
    ///
    /// # Errors
    /// When the system lets no signal be handled.
    pub fn heed_signals(&self, drain_delay: Duration) -> std::io::Result<()> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let signals = Signals { terminate, interrupt };
        let life = self.clone();
        // Not tracked: it would keep the end waiting for a signal that need not come.
        #[expect(clippy::disallowed_methods, reason = "must outlive the drain")]
        tokio::spawn(life.stop_at_signals(signals, drain_delay));
        Ok(())
    }

    /// First the deed, then its log line: no log may stand in the way of stopping.
    async fn stop_at_signals(self, mut signals: Signals, drain_delay: Duration) {
        let mut name = signals.next().await;
        if name == SIGTERM && !drain_delay.is_zero() && !self.is_draining() {
            self.leave();
            tracing::info!(signal = name, "{name}: not ready; draining in {drain_delay:?}");
            tokio::select! {
                () = tokio::time::sleep(drain_delay) => {}
                () = self.draining() => {}
                next = signals.next() => name = next,
            }
        }
        self.drain();
        tracing::info!(signal = name, "{name}: finishing what was accepted");
        let name = signals.next().await;
        self.abort();
        tracing::warn!(signal = name, "{name} again: stopping at once");
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
