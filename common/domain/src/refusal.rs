//! The closed set of things we say no with.
//!
//! One variant per `code` of the contract. There is no HTTP in here: each edge of the system has
//! one conversion (`contract/src/problem.rs`, `edge/src/frame.rs`), and `docs/errors.md` shows them all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::Epoch;

/// What is wrong with each field, by its name in the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<String, Vec<String>>);

impl FieldErrors {
    /// One fault of one field.
    pub fn one(field: &str, fault: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, fault);
        errors
    }

    /// Adds a fault.
    pub fn add(&mut self, field: &str, fault: impl Into<String>) {
        self.0.entry(field.to_owned()).or_default().push(fault.into());
    }

    /// Adds faults of one field.
    pub fn extend(&mut self, field: &str, faults: &[String]) {
        self.0.entry(field.to_owned()).or_default().extend_from_slice(faults);
    }

    /// Whether something is wrong with a field.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults by field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, faults)| (field.as_str(), faults.as_slice()))
    }

    /// The faults as a map.
    pub fn to_map(&self) -> BTreeMap<String, Vec<String>> {
        self.0.clone()
    }

    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// `ValidationFailed` with all faults.
    pub fn finish(self) -> Result<(), Refusal> {
        if self.is_empty() { Ok(()) } else { Err(Refusal::ValidationFailed(self)) }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, not an object, or a malformed query (then with the parameter's faults).
    #[error("the request is malformed: {reason}")]
    MalformedRequest {
        /// A sentence for the client.
        reason: String,
        /// Faults of query parameters.
        errors: FieldErrors,
    },
    /// No token, or one that is no good.
    #[error("authentication is required")]
    Unauthenticated,
    /// Wrong e-mail or password.
    #[error("the e-mail or the password is wrong")]
    InvalidCredentials,
    /// The access token was good once.
    #[error("the access token has expired")]
    TokenExpired,
    /// A refresh token was presented after its successor: the login is revoked.
    #[error("the refresh token has already been used; this login is revoked")]
    RefreshReused,
    /// Known to the caller, not allowed.
    #[error("you may not do this")]
    Forbidden,
    /// The caller sees the room and is not in it.
    #[error("you are not a member of this room")]
    NotAMember,
    /// The invite is for another address.
    #[error("this invite is for another e-mail address")]
    InviteEmailMismatch,
    /// The caller's account has not proven its address.
    #[error("verify your e-mail address first")]
    EmailUnverified,
    /// Nobody registers here, or invited people only.
    #[error("registration is closed; ask for an invitation")]
    RegistrationClosed,
    /// Does not exist, or the caller may not know that it does.
    #[error("not found")]
    NotFound,
    /// No such method on this path.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The body or frame is too large.
    #[error("the request is too large; the limit is 256 KiB")]
    PayloadTooLarge,
    /// The body did not come in time.
    #[error("the body of the request did not come in time")]
    RequestTimeout,
    /// The body is not declared as JSON.
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    /// An account has this address.
    #[error("an account with this e-mail exists")]
    EmailTaken,
    /// A room that the caller sees has this name.
    #[error("a room with this name exists")]
    NameTaken,
    /// The invite has been used.
    #[error("this invite has already been accepted")]
    AlreadyAccepted,
    /// The person is in the organization.
    #[error("this person is a member already")]
    AlreadyMember,
    /// The organization would be left without an ADMIN.
    #[error("an organization must keep at least one ADMIN")]
    LastAdmin,
    /// Nothing of the organization may be removed.
    #[error("the organization is under a legal hold")]
    LegalHold,
    /// An open invite for this address exists.
    #[error("an open invite for this e-mail exists")]
    InviteExists,
    /// The upload has not been completed.
    #[error("the upload is not complete")]
    UploadIncomplete,
    /// The nonce was used for another content.
    #[error("this nonce was used for a message with another content")]
    NonceConflict,
    /// The client's numbers belong to another history than the present one.
    #[error("events may have been lost: the epoch has changed, reload what you have")]
    EpochChanged {
        /// The present epoch.
        present: Epoch,
    },
    /// The invite was not accepted in time.
    #[error("this invite has expired")]
    InviteExpired,
    /// Well-formed, but invalid.
    #[error("some fields are invalid")]
    ValidationFailed(FieldErrors),
    /// Over a limit.
    #[error("too many requests")]
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// Our bug; the client learns the request id and nothing else.
    #[error("something went wrong on our side")]
    Internal,
    /// The record (or, on a socket, the way to it) is away.
    #[error("the service is unavailable for a moment; please try again")]
    Unavailable,
    /// A socket frame of a type that we do not know.
    #[error("unknown frame type")]
    UnknownType,
    /// The socket has as many rooms as it may.
    #[error("a socket can subscribe to 1,000 rooms")]
    TooManyRooms,
    /// The caller was removed from the room, or left it on another device.
    #[error("you are no longer in this room")]
    Removed,
}

impl Refusal {
    /// A malformed request for a stated reason.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::MalformedRequest { reason: reason.into(), errors: FieldErrors::default() }
    }

    /// One invalid field.
    pub fn invalid(field: &str, fault: impl Into<String>) -> Self {
        Self::ValidationFailed(FieldErrors::one(field, fault))
    }

    /// The stable word of the contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedRequest { .. } => "malformed_request",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidCredentials => "invalid_credentials",
            Self::TokenExpired => "token_expired",
            Self::RefreshReused => "refresh_reused",
            Self::Forbidden => "forbidden",
            Self::NotAMember => "not_a_member",
            Self::InviteEmailMismatch => "invite_email_mismatch",
            Self::EmailUnverified => "email_unverified",
            Self::RegistrationClosed => "registration_closed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::EmailTaken => "email_taken",
            Self::NameTaken => "name_taken",
            Self::AlreadyAccepted => "already_accepted",
            Self::AlreadyMember => "already_member",
            Self::LastAdmin => "last_admin",
            Self::LegalHold => "legal_hold",
            Self::InviteExists => "invite_exists",
            Self::UploadIncomplete => "upload_incomplete",
            Self::NonceConflict => "nonce_conflict",
            Self::EpochChanged { .. } => "epoch_changed",
            Self::InviteExpired => "invite_expired",
            Self::ValidationFailed(_) => "validation_failed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::UnknownType => "unknown_type",
            Self::TooManyRooms => "too_many_rooms",
            Self::Removed => "removed",
        }
    }

    /// The faults by field, where there are any.
    pub fn field_errors(&self) -> Option<&FieldErrors> {
        match self {
            Self::ValidationFailed(errors) | Self::MalformedRequest { errors, .. }
                if !errors.is_empty() =>
            {
                Some(errors)
            }
            _ => None,
        }
    }

    /// One of each variant, for tables and tests.
    pub fn all() -> Vec<Self> {
        vec![
            Self::malformed("expected a JSON object"),
            Self::Unauthenticated,
            Self::InvalidCredentials,
            Self::TokenExpired,
            Self::RefreshReused,
            Self::Forbidden,
            Self::NotAMember,
            Self::InviteEmailMismatch,
            Self::EmailUnverified,
            Self::RegistrationClosed,
            Self::NotFound,
            Self::MethodNotAllowed,
            Self::PayloadTooLarge,
            Self::RequestTimeout,
            Self::UnsupportedMediaType,
            Self::EmailTaken,
            Self::NameTaken,
            Self::AlreadyAccepted,
            Self::AlreadyMember,
            Self::LastAdmin,
            Self::LegalHold,
            Self::InviteExists,
            Self::UploadIncomplete,
            Self::NonceConflict,
            Self::EpochChanged { present: Epoch::EXAMPLE },
            Self::InviteExpired,
            Self::invalid("name", "must not be blank"),
            Self::RateLimited { retry_after: Duration::from_secs(1) },
            Self::Internal,
            Self::Unavailable,
            Self::UnknownType,
            Self::TooManyRooms,
            Self::Removed,
        ]
    }
}
