//! Accounts, sign-in and sessions: section 1 of the contract.

mod delete;
mod jwks;
mod me;
mod password;
mod register;
mod registration;
mod reset;
mod sessions;
mod sign_in;
mod token;
mod users;
mod verify_email;

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::accounts::TokensView;
use domain::limits::USER_AGENT_CHARS_MAX;
use domain::{Caller, Refusal};
use runtime::meter::{Counter, label};
use store::actions::logins::Issue;
use store::refresh_token::RefreshToken;
use tokio::sync::SemaphorePermit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::passwords::Turn;
use crate::problem::Problem;

pub(crate) use verify_email::apply_policy as apply_verification_policy;

/// A new random token of 256 bits.
pub(crate) fn random_token() -> String {
    let random: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(random)
}

/// Permission to look up an account for a call without a signed-in user. A flood of such calls
/// holds no more connections to Postgres than there are permits of both kinds.
enum LookupPermit<'a> {
    /// The client's turn to hash a password, taken before the lookup.
    Turn(Turn),
    /// The client is over its limit: only a valid token admits the call.
    TokenCheck(SemaphorePermit<'a>),
}

impl<'a> LookupPermit<'a> {
    /// Waits for the turn of a client that its limit `admitted`.
    ///
    /// # Errors
    /// `Unavailable` when too many wait; the limit's refusal when too many tokens are being checked.
    async fn acquire(
        api: &'a Api,
        client: IpAddr,
        admitted: &Result<(), Refusal>,
    ) -> Result<Self, Problem> {
        match admitted {
            Ok(()) => api.passwords().turn(client).await.map(Self::Turn),
            Err(limited) => api.token_check(limited.clone()).map(Self::TokenCheck),
        }
    }

    /// The turn, once the lookup is done.
    ///
    /// # Errors
    /// `Unavailable` when too many wait.
    async fn into_turn(self, api: &Api, client: IpAddr) -> Result<Turn, Problem> {
        match self {
            Self::Turn(turn) => Ok(turn),
            Self::TokenCheck(permit) => {
                drop(permit);
                api.passwords().turn(client).await
            }
        }
    }
}

/// Counts a refusal by a limit on mails.
pub(crate) fn count_mail_limit(problem: &Problem) {
    if matches!(problem.refusal(), Refusal::RateLimited { .. }) {
        Counter::RateLimited.add_with(1, vec![label("limit", "mail")]);
    }
}

/// The routes of accounts, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(registration::get_registration))
        .routes(routes!(verify_email::verify_email))
        .routes(routes!(verify_email::resend_verification))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(token::refresh_token))
        .routes(routes!(token::sign_out))
        .routes(routes!(me::get_me, me::change_me, delete::delete_me))
        .routes(routes!(password::change_password))
        .routes(routes!(reset::request_reset))
        .routes(routes!(reset::confirm_reset))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::revoke_session))
        .routes(routes!(users::get_user))
}

/// The routes of accounts outside `/api/v1`.
pub(crate) fn root_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(jwks::get_jwks))
}

/// Signs an access token that goes with a refresh token.
fn issue_tokens(api: &Api, caller: Caller, refresh: &RefreshToken) -> Result<TokensView, Problem> {
    let id = uuid::Uuid::new_v4().to_string();
    let lifetime = api.config().access_token_ttl;
    let access = api
        .keys()
        .sign(caller, id, api.clock().now(), lifetime)
        .map_err(|error| Problem::bug(&error))?;
    Ok(TokensView { access, refresh: refresh.reveal().to_owned() })
}

/// How the next refresh token is made.
fn issue(api: &Api) -> Issue {
    Issue { salt: rand::random(), lifetime: api.config().refresh_token_ttl }
}

/// What signs in, for the list of sessions: bounded, and fit to be shown.
fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn a_user_agent_is_cut_and_cleaned() {
        let mut headers = HeaderMap::new();
        assert_eq!(super::user_agent(&headers), "");
        let long = format!("a\tb{}", "ü".repeat(400));
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(long.as_bytes()).unwrap());
        let kept = super::user_agent(&headers);
        assert!(kept.starts_with("abü"), "{kept}");
        assert_eq!(kept.chars().count(), 300);
    }
}
