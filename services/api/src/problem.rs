//! The one conversion from what we say no with to HTTP: RFC 9457 problem details.
//!
//! Errors are logged here, once: refusals at debug, `Unavailable` at warn, bugs at error with
//! their chain. The client of a bug sees `internal` and the request id.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{FieldErrors, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::epoch;
use crate::http::{request_id, whole_seconds};

/// When a client may try again after `unavailable`.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem(Refusal);

/// What a refused client gets, as `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// Always `about:blank`: `code` says what it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status.
    #[schema(example = 404)]
    status: u16,
    /// A sentence for people.
    detail: String,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    code: &'static str,
    /// The id of the request, as in `X-Request-Id`.
    request_id: String,
    /// Faults by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<BTreeMap<String, Vec<String>>>,
}

/// The status of each refusal. Those that only sockets know are bugs here.
pub fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::MalformedRequest { .. } => StatusCode::BAD_REQUEST,
        Refusal::Unauthenticated
        | Refusal::InvalidCredentials
        | Refusal::TokenExpired
        | Refusal::RefreshReused => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden
        | Refusal::NotAMember
        | Refusal::InviteEmailMismatch
        | Refusal::EmailUnverified
        | Refusal::RegistrationClosed => StatusCode::FORBIDDEN,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::EmailTaken
        | Refusal::NameTaken
        | Refusal::AlreadyAccepted
        | Refusal::AlreadyMember
        | Refusal::LastAdmin
        | Refusal::LegalHold
        | Refusal::InviteExists
        | Refusal::UploadIncomplete
        | Refusal::EpochChanged { .. }
        | Refusal::NonceConflict => StatusCode::CONFLICT,
        Refusal::InviteExpired => StatusCode::GONE,
        Refusal::ValidationFailed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Internal | Refusal::UnknownType | Refusal::TooManyRooms | Refusal::Removed => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

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
        let status = status(&refusal);
        let body = ProblemView {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: refusal.to_string(),
            code: refusal.code(),
            request_id: request_id(),
            errors: refusal.field_errors().map(FieldErrors::to_map),
        };
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

/// The problems that any call may answer, for the OpenAPI document.
#[derive(Debug, utoipa::IntoResponses)]
pub enum Problems {
    /// Not JSON, not an object, or a malformed query.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemView),
    /// No token, or one that is no good.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemView),
    /// Known to the caller, not allowed.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemView),
    /// Does not exist, or the caller may not know that it does.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemView),
    /// Conflicts with the state.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemView),
    /// The body is larger than 256 KiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemView),
    /// The body is not declared as JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(ProblemView),
    /// Well-formed but invalid: `errors` names each field.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemView),
    /// Over a limit: come back after `Retry-After` seconds.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemView),
    /// Our bug.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemView),
    /// Postgres is away: come back after `Retry-After` seconds; nothing is half-done.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemView),
}
