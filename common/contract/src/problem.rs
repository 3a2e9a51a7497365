//! Problem details (RFC 9457): what a refused client gets over HTTP.

use std::collections::BTreeMap;

use domain::{FieldErrors, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

/// What a refused client gets, as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// Always `about:blank`: `code` says what it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The status.
    #[schema(example = 404)]
    pub status: u16,
    /// A sentence for people.
    pub detail: String,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    pub code: &'static str,
    /// The id of the request, as in `X-Request-Id`.
    pub request_id: String,
    /// Faults by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<BTreeMap<String, Vec<String>>>,
}

impl ProblemView {
    /// The problem of a refusal.
    pub fn new(refusal: &Refusal, request_id: String) -> Self {
        let status = status(refusal);
        Self {
            kind: "about:blank",
            title: title(status),
            status,
            detail: refusal.to_string(),
            code: refusal.code(),
            request_id,
            errors: refusal.field_errors().map(FieldErrors::to_map),
        }
    }
}

/// The status of each refusal. Those that only sockets know are bugs here.
pub fn status(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::MalformedRequest { .. } => 400,
        Refusal::Unauthenticated
        | Refusal::InvalidCredentials
        | Refusal::TokenExpired
        | Refusal::RefreshReused => 401,
        Refusal::Forbidden
        | Refusal::NotAMember
        | Refusal::InviteEmailMismatch
        | Refusal::EmailUnverified
        | Refusal::RegistrationClosed => 403,
        Refusal::NotFound => 404,
        Refusal::MethodNotAllowed => 405,
        Refusal::RequestTimeout => 408,
        Refusal::PayloadTooLarge => 413,
        Refusal::UnsupportedMediaType => 415,
        Refusal::EmailTaken
        | Refusal::NameTaken
        | Refusal::AlreadyAccepted
        | Refusal::AlreadyMember
        | Refusal::LastAdmin
        | Refusal::LegalHold
        | Refusal::InviteExists
        | Refusal::UploadIncomplete
        | Refusal::EpochChanged { .. }
        | Refusal::NonceConflict => 409,
        Refusal::InviteExpired => 410,
        Refusal::ValidationFailed(_) => 422,
        Refusal::RateLimited { .. } => 429,
        Refusal::Unavailable => 503,
        Refusal::Internal | Refusal::UnknownType | Refusal::TooManyRooms | Refusal::Removed => 500,
    }
}

/// The words of a status (RFC 9110, section 15) that [`status`] gives.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
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
    /// The body did not come in time; the connection ends.
    #[response(status = 408, content_type = "application/problem+json")]
    TimedOut(ProblemView),
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
