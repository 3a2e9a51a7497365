//! Who is asking: the extractors that check tokens and limits.

use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use domain::{Caller, Refusal, Timestamp, UserId};
use runtime::meter::{Counter, label};
use runtime::rate::Decision;
use runtime::serve::UntilWritten;
use runtime::tokens::{TokenError, Verified};

use crate::Api;
use crate::http::{LimitNote, LimitState, UntilAnswered};
use crate::limits::Key;
use crate::problem::Problem;

/// When a client with too many open requests may try again.
const OPEN_REQUESTS_RETRY: Duration = Duration::from_secs(1);

/// The verified author of a request, within their limit.
///
/// Refuses with `Unauthenticated` or `TokenExpired`, which count towards the limit of the client's
/// address, then with `RateLimited`, also when too many of the user's requests are open. A request
/// that reads waits for the user's turn ([`Api::turn_to_read`]) until the request's deadline.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated(pub Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let now = api.clock().now();
        let verified = match verify(parts, api, now) {
            Ok(verified) => verified,
            Err(refusal) => {
                // Without a user, the request counts for its address.
                within_limit(parts, api, &Key::Client(api.client_address(parts)))?;
                return Err(refusal.into());
            }
        };
        within_limit(parts, api, &Key::User(verified.caller.user))?;
        open_request(parts, api, verified.caller.user)?;
        if parts.method.is_safe() {
            running_read(parts, api, verified.caller.user).await;
        }
        api.seen(verified.caller.login, now);
        Ok(Self(verified.caller))
    }
}

/// Someone without a token, within the limit of their address.
///
/// Refuses with `RateLimited`.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl FromRequestParts<Api> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let address = api.client_address(parts);
        within_limit(parts, api, &Key::Client(address))?;
        Ok(Self)
    }
}

/// The client that a request comes from, not counted towards any limit.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub std::net::IpAddr);

impl FromRequestParts<Api> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Api,
    ) -> Result<Self, std::convert::Infallible> {
        Ok(Self(api.client_address(parts)))
    }
}

fn verify(parts: &Parts, api: &Api, now: Timestamp) -> Result<Verified, Refusal> {
    let token = bearer(parts).ok_or(Refusal::Unauthenticated)?;
    let verified = api.verifier().verify(token, now).map_err(|error| match error {
        TokenError::Expired => Refusal::TokenExpired,
        TokenError::UnknownKey | TokenError::Invalid => Refusal::Unauthenticated,
    })?;
    let is_revoked = api.revoked().contains(verified.caller.login);
    if is_revoked { Err(Refusal::Unauthenticated) } else { Ok(verified) }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Counts a request of a user until its answer is written.
fn open_request(parts: &Parts, api: &Api, user: UserId) -> Result<(), Problem> {
    let Some(slot) = api.open_requests().take(&user, 1) else {
        Counter::RateLimited.add_with(1, vec![label("limit", "open_requests")]);
        return Err(Refusal::RateLimited { retry_after: OPEN_REQUESTS_RETRY }.into());
    };
    if let Some(until_written) = parts.extensions.get::<UntilWritten>() {
        until_written.keep(slot);
    }
    Ok(())
}

/// Waits until a read of a user may run, which it then does until it is answered.
async fn running_read(parts: &Parts, api: &Api, user: UserId) {
    let turn = api.turn_to_read(user).await;
    if let Some(until_answered) = parts.extensions.get::<UntilAnswered>() {
        until_answered.keep(turn);
    }
}

fn within_limit(parts: &Parts, api: &Api, key: &Key) -> Result<(), Problem> {
    let Some(decision) = api.limits().request(key, Instant::now()) else { return Ok(()) };
    let is_user = matches!(key, Key::User(_));
    let (state, refused) = match decision {
        Decision::Allowed { limit, remaining, reset } => {
            (LimitState { limit, remaining, reset }, None)
        }
        Decision::Refused { limit, retry_after, reset } => {
            (LimitState { limit, remaining: 0, reset }, Some(retry_after))
        }
    };
    if is_user && let Some(note) = parts.extensions.get::<LimitNote>() {
        note.set(state);
    }
    match refused {
        None => Ok(()),
        Some(retry_after) => {
            let limit = if is_user { "user" } else { "address" };
            Counter::RateLimited.add_with(1, vec![label("limit", limit)]);
            Err(Refusal::RateLimited { retry_after }.into())
        }
    }
}
