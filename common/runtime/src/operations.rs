//! The operations port: health and metrics, never public.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

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

    /// Says of a check that failed what is wrong.
    #[must_use]
    pub fn explained(mut self, check: &'static str, fault: Option<String>) -> Self {
        if let Some(check) = self.checks.get_mut(check).filter(|check| check.latency_ms.is_none()) {
            check.detail = fault;
        }
        self
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

/// Asks a role whether it is ready.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Readiness> + Send>> + Send + Sync>;

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
