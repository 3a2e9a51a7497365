//! The one conversion from what we say no with to HTTP: RFC 9457 problem details.
//!
//! Errors are logged here, once: refusals at debug, `Unavailable` at warn, bugs at error with
//! their chain. The client of a bug sees `internal` and the request id.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
pub use contract::problem::{ProblemView, Problems};
use domain::Refusal;

use crate::epoch;
use crate::http::{request_id, whole_seconds};

/// When a client may try again after `unavailable`.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem(Refusal);

impl Problem {
    /// The refusal.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }

    /// A bug, logged with its chain.
    pub fn bug(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed by our bug: {error:#}");
        Self(Refusal::Internal)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        tracing::debug!(code = refusal.code(), "refused: {refusal}");
        Self(refusal)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Refused(refusal) => refusal.into(),
            store::Error::Unavailable(source)
            | store::Error::Contended(source)
            | store::Error::Held(source) => {
                tracing::warn!(error = %source, "Postgres is unavailable: {source}");
                Self(Refusal::Unavailable)
            }
            store::Error::Unusable(reason) => {
                tracing::warn!("{reason}");
                Self(Refusal::Unavailable)
            }
            store::Error::TimedOut => {
                tracing::warn!("Postgres is unavailable: no answer in time");
                Self(Refusal::Unavailable)
            }
            other => Self::bug(&anyhow::Error::new(other)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let refusal = self.0;
        let body = ProblemView::new(&refusal, request_id());
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, contract::text(&body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match refusal {
            Refusal::RateLimited { retry_after } => {
                headers.insert(header::RETRY_AFTER, seconds(retry_after));
            }
            Refusal::Unavailable => {
                headers.insert(header::RETRY_AFTER, seconds(UNAVAILABLE_RETRY));
            }
            Refusal::EpochChanged { present } => epoch::stamp(headers, present),
            _ if status == StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

/// Whole seconds, rounded up, 1 at least.
fn seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(whole_seconds(duration).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_status_and_title_of_its_answer() {
        for refusal in Refusal::all() {
            let view = ProblemView::new(&refusal, String::new());
            let status = Problem::from(refusal).into_response().status();
            assert_eq!(view.status, status.as_u16(), "{}", view.code);
            assert_eq!(Some(view.title), status.canonical_reason(), "{}", view.code);
        }
    }
}
