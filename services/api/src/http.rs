//! What every REST response shares: a request id, the log line, metrics, CORS, limits' headers,
//! a deadline, and a problem for every panic.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Refusal;
use domain::limits::REQUEST_ID_CHARS_MAX;
use futures_util::FutureExt;
use runtime::meter::{Counter, Histogram, label};
use runtime::turns::Turn;
use tracing::Instrument;

use crate::Api;
use crate::caller::Anyone;
use crate::problem::Problem;

/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, X-Request-Id";
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
const EXPOSED_HEADERS: &str = "X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, \
                               Retry-After, Idempotent-Replayed, Location, Chat-Epoch";

tokio::task_local! {
    static CURRENT_REQUEST: String;
}

/// The id of the request that this task answers.
pub fn request_id() -> String {
    CURRENT_REQUEST.try_with(Clone::clone).unwrap_or_default()
}

/// What the limits said of a request, for its response's headers: the strictest that applied.
#[derive(Clone, Debug, Default)]
pub struct LimitNote(Arc<OnceLock<LimitState>>);

/// The state of a limit after a request.
#[derive(Clone, Copy, Debug)]
pub struct LimitState {
    /// Requests per period.
    pub limit: u32,
    /// Requests left now.
    pub remaining: u32,
    /// When all are back.
    pub reset: Duration,
}

impl LimitNote {
    /// Notes what the limit said.
    pub fn set(&self, state: LimitState) {
        let _ = self.0.set(state);
    }
}

/// Keeps the turn of a read until its answer is made; writing it needs neither a connection to
/// Postgres nor much of the processor.
#[derive(Clone, Debug, Default)]
pub(crate) struct UntilAnswered(Arc<OnceLock<Turn>>);

impl UntilAnswered {
    pub(crate) fn keep(&self, turn: Turn) {
        let _ = self.0.set(turn);
    }
}

/// Lets in `/api/v1/rooms` as `/api/v1/rooms/`, and `/health/live/` as `/health/live`. Applied
/// before routing, so that neither is ever a redirect.
pub fn normalize_path<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    let path = request.uri().path();
    let is_api = path.starts_with("/api/v1/") && !path.ends_with('/');
    let normal = if is_api || matches!(path, "/api/schema" | "/api/docs" | "/api/asyncapi") {
        Some(format!("{path}/"))
    } else if path.len() > 1
        && path.ends_with('/')
        && (path.starts_with("/health/") || path.starts_with("/.well-known/"))
    {
        Some(path.trim_end_matches('/').to_owned())
    } else {
        None
    };
    if let Some(mut normal) = normal {
        if let Some(query) = request.uri().query() {
            normal.push('?');
            normal.push_str(query);
        }
        let mut parts = request.uri().clone().into_parts();
        if let Ok(path) = normal.parse() {
            parts.path_and_query = Some(path);
            if let Ok(uri) = axum::http::Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// The outermost layer of every route.
pub async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = incoming_id(request.headers()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let origin = api.allowed_origin(request.headers());
    let note = LimitNote::default();
    request.extensions_mut().insert(note.clone());
    let until_answered = UntilAnswered::default();
    request.extensions_mut().insert(until_answered.clone());
    let span =
        tracing::info_span!("api.request", request.id = %id, method = %method, route = %route);
    let started = Instant::now();

    let answer = async {
        if method == Method::OPTIONS && origin.is_some() && is_preflight(request.headers()) {
            return preflight();
        }
        let answer = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => Problem::bug(&anyhow::anyhow!("a handler panicked")).into_response(),
            Err(_) => Problem::from(Refusal::Unavailable).into_response(),
        }
    };
    let mut response = CURRENT_REQUEST.scope(id.clone(), answer.instrument(span.clone())).await;
    drop(until_answered);

    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    span.in_scope(|| {
        let duration_ms = seconds * 1000.0;
        tracing::info!(
            status = status.as_u16(),
            duration_ms,
            "{method} {route} answered {} in {duration_ms:.1} ms",
            status.as_u16()
        );
    });
    Counter::HttpRequests.add_with(
        1,
        vec![
            label("method", method_label(&method)),
            label("route", route.clone()),
            label("status", status.as_u16().to_string()),
        ],
    );
    Histogram::HttpSeconds.record_with(seconds, vec![label("route", route)]);
    decorate(response.headers_mut(), &id, origin.as_ref(), &note);
    response
}

/// Methods that nobody uses would otherwise make series without end.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn incoming_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let is_fine = (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    is_fine.then(|| id.to_owned())
}

fn decorate(headers: &mut HeaderMap, id: &str, origin: Option<&HeaderValue>, note: &LimitNote) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED_HEADERS),
        );
    }
    if let Some(state) = note.0.get() {
        headers.insert("ratelimit-limit", HeaderValue::from(state.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(state.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(whole_seconds(state.reset)));
    }
}

fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    (
        StatusCode::NO_CONTENT,
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ],
    )
        .into_response()
}

/// No such route. Counts towards the limit of the client's address.
pub async fn not_found(_: Anyone) -> Problem {
    Refusal::NotFound.into()
}

/// No such method on this route; axum adds `Allow`. Counts as an unknown route does.
pub async fn method_not_allowed(_: Anyone) -> Problem {
    Refusal::MethodNotAllowed.into()
}

/// Whole seconds, rounded up.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
