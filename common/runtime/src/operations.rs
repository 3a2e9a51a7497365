//! The operations port: health and metrics, never public.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::watch;

use crate::Lifecycle;
use crate::meter::{Gauge, label};

/// How often readiness is probed.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The reason while the probe does not answer in time.
const PROBE_SILENT: &str = "the readiness probe does not answer";

/// Whether a role can do its work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Readiness {
    /// `ok`, `degraded` or `unavailable`.
    pub status: &'static str,
    /// Each thing it needs.
    pub checks: BTreeMap<&'static str, Check>,
}

/// One thing that a role needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `ok` or `unavailable`.
    pub status: &'static str,
    /// How long it took to answer.
    pub latency_ms: Option<f64>,
    /// What is wrong, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// A check that took this long; `None` when there was no answer.
    pub fn of(latency: Option<Duration>) -> Self {
        let micros = |latency: Duration| (latency.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            status: if latency.is_some() { "ok" } else { "unavailable" },
            latency_ms: latency.map(micros),
            detail: None,
        }
    }

    /// A check of something that is observed elsewhere; `None` is no fault.
    pub fn known(fault: Option<String>) -> Self {
        Self {
            status: if fault.is_none() { "ok" } else { "unavailable" },
            latency_ms: None,
            detail: fault,
        }
    }
}

impl Readiness {
    /// A role that cannot do without Postgres, and does less without NATS: `None` is away.
    pub fn with_record(postgres: Option<Duration>, nats: Option<Duration>) -> Self {
        let status = match (postgres, nats) {
            (Some(_), Some(_)) => "ok",
            (Some(_), None) => "degraded",
            (None, _) => "unavailable",
        };
        let checks = BTreeMap::from([("postgres", Check::of(postgres)), ("nats", Check::of(nats))]);
        Self { status, checks }
    }

    /// A role that needs Postgres alone.
    pub fn with_record_alone(postgres: Option<Duration>) -> Self {
        let status = if postgres.is_some() { "ok" } else { "unavailable" };
        Self { status, checks: BTreeMap::from([("postgres", Check::of(postgres))]) }
    }

    /// A role that needs NATS alone.
    pub fn with_nats(nats: Option<Duration>) -> Self {
        let status = if nats.is_some() { "ok" } else { "unavailable" };
        Self { status, checks: BTreeMap::from([("nats", Check::of(nats))]) }
    }

    /// A role that consumes a stream: it needs Postgres, NATS and its consumer.
    pub fn of_worker(
        postgres: Option<Duration>,
        nats: Option<Duration>,
        consumer_fault: Option<String>,
    ) -> Self {
        let checks = BTreeMap::from([
            ("postgres", Check::of(postgres)),
            ("nats", Check::of(nats)),
            ("consumer", Check::known(consumer_fault)),
        ]);
        let is_ok = checks.values().all(|check| check.status == "ok");
        Self { status: if is_ok { "ok" } else { "unavailable" }, checks }
    }

    /// A process that was asked to stop: new work goes elsewhere.
    pub fn stopping() -> Self {
        Self::unavailable("the process was asked to stop")
    }

    /// Adds the reason to a check that failed.
    #[must_use]
    pub fn explained(mut self, check: &'static str, fault: Option<String>) -> Self {
        if let Some(check) = self.checks.get_mut(check).filter(|check| check.latency_ms.is_none()) {
            check.detail = fault;
        }
        self
    }

    /// Adds a dependency without which the process is degraded.
    #[must_use]
    pub fn with_helper(mut self, name: &'static str, fault: Option<String>) -> Self {
        if fault.is_some() && self.status == "ok" {
            self.status = "degraded";
        }
        self.checks.insert(name, Check::known(fault));
        self
    }

    /// A process that cannot be judged, or is not to be used any more.
    fn unavailable(reason: &str) -> Self {
        let check = Check::known(Some(reason.to_owned()));
        Self { status: "unavailable", checks: BTreeMap::from([(PROCESS, check)]) }
    }

    fn export(&self) {
        Gauge::Ready.set(f64::from(u8::from(self.is_ready())));
        // The process itself is no dependency.
        for (&name, check) in self.checks.iter().filter(|(name, _)| **name != PROCESS) {
            let is_up = f64::from(u8::from(check.status == "ok"));
            Gauge::DependencyUp.set_with(is_up, vec![label("dependency", name)]);
        }
    }

    /// Whether load balancers should send work here.
    pub fn is_ready(&self) -> bool {
        self.status != "unavailable"
    }
}

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let status = if self.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let text = serde_json::to_string(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
    }
}

/// The check of a process that cannot be judged, or is stopping.
const PROCESS: &str = "process";
/// How long an answer about readiness is given again.
const READINESS_LIFETIME: Duration = Duration::from_secs(1);

/// The last answer about readiness, so that probing costs at most one look at Postgres and NATS a
/// second, however often it is asked for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ReadinessCache(Arc<tokio::sync::Mutex<Option<(tokio::time::Instant, Readiness)>>>);

impl ReadinessCache {
    /// The answer of the last second, or that of `probe`. Those who ask meanwhile wait for it.
    pub async fn get(&self, probe: impl Future<Output = Readiness>) -> Readiness {
        let mut last = self.0.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < READINESS_LIFETIME
        {
            return readiness.clone();
        }
        let readiness = probe.await;
        *last = Some((tokio::time::Instant::now(), readiness.clone()));
        readiness
    }
}

/// Asks a role whether it is ready.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Readiness> + Send>> + Send + Sync>;

/// Runs a probe every second in the background and exports its result as metrics. Returns a probe
/// that answers at once with the latest result, so that requests for readiness cost the
/// dependencies nothing.
pub fn in_background(probe: Probe, life: &Lifecycle) -> Probe {
    let (sender, receiver) = watch::channel::<Option<(Instant, Readiness)>>(None);
    let life_of_task = life.clone();
    life.spawn(async move {
        loop {
            let probed = tokio::time::timeout(PROBE_TIMEOUT, probe()).await;
            let readiness = probed.unwrap_or_else(|_| Readiness::unavailable(PROBE_SILENT));
            readiness.export();
            sender.send_replace(Some((Instant::now(), readiness)));
            if !life_of_task.pause(PROBE_EVERY).await {
                return;
            }
        }
    });
    let life = life.clone();
    Arc::new(move || {
        let (mut receiver, life) = (receiver.clone(), life.clone());
        Box::pin(async move {
            if life.is_draining() {
                return Readiness::stopping();
            }
            let first = receiver.wait_for(Option::is_some);
            let known = match tokio::time::timeout(PROBE_TIMEOUT * 2, first).await {
                Ok(Ok(known)) => known.clone(),
                Ok(Err(_)) | Err(_) => None,
            };
            match known {
                Some((at, readiness)) if at.elapsed() < PROBE_TIMEOUT * 2 => readiness,
                Some(_) | None => Readiness::unavailable(PROBE_SILENT),
            }
        })
    })
}

/// The operations port's routes: `metrics` renders the Prometheus text.
pub fn router(
    probe: Probe,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    health(probe).route("/metrics", get(move || async move { (text, metrics()) }))
}

/// `/health/live` and `/health/ready`.
pub fn health(probe: Probe) -> Router {
    let live = ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#);
    Router::new()
        .route("/health/live", get(move || async move { live }))
        .route("/health/ready", get(move || async move { probe().await }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{READINESS_LIFETIME, Readiness, ReadinessCache};

    #[tokio::test(start_paused = true)]
    async fn probes_are_one_look_a_second() {
        let cache = ReadinessCache::default();
        let looks = AtomicUsize::new(0);
        let probe = || async {
            looks.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Readiness::with_nats(None)
        };
        let (first, second) = tokio::join!(cache.get(probe()), cache.get(probe()));
        assert_eq!((first.status, second.status), ("unavailable", "unavailable"));
        for _ in 0..100 {
            cache.get(probe()).await;
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        tokio::time::advance(READINESS_LIFETIME).await;
        cache.get(probe()).await;
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }
}
