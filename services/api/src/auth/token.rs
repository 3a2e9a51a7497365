//! `POST /auth/token/`, `/auth/token/refresh/` and `/auth/logout/`.

use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{Email, FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::logins::{self, Refreshed};
use store::queries::users::credentials_by_email;
use store::refresh_token::RefreshToken;
use utoipa::ToSchema;

use super::{TokensView, issue, user_agent};
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Anyone;
use crate::json::Json;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignIn {
    /// Compared without case.
    #[schema(value_type = String, required, format = Email)]
    #[serde(default)]
    email: Field<String>,
    /// As it is: nothing is trimmed.
    #[schema(value_type = String, required, format = Password)]
    #[serde(default)]
    password: Field<String>,
}

/// Signs in: a new login, with its tokens. An unknown address costs the same time as a wrong
/// password.
#[utoipa::path(
    post,
    path = "/auth/token/",
    tag = "auth",
    security(()),
    request_body = SignIn,
    responses((status = 200, description = "The login's tokens", body = TokensView), Problems)
)]
pub(crate) async fn sign_in(
    State(api): State<Api>,
    Anyone { address }: Anyone,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> Result<Json<TokensView>, Problem> {
    let mut errors = FieldErrors::default();
    let email = body.email.required("email", &mut errors);
    let password = body.password.required("password", &mut errors).unwrap_or_default();
    errors.finish()?;
    // What is no address is nobody's, and they are all counted as one.
    let email = email.and_then(|email| Email::parse(&email).ok()).map(|email| email.key());
    let email = email.unwrap_or_default();
    api.limits().sign_in(address, &email, Instant::now())?;

    let credentials = {
        let mut conn = api.store().read().await?;
        credentials_by_email(&mut conn, &email).await?
    };
    let hash = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
    let is_right = api.passwords().verify(password, hash).await?;
    let credentials = credentials.filter(|_| is_right).ok_or(Refusal::InvalidCredentials)?;

    let token = RefreshToken::new(rand::random());
    let user_agent = user_agent(&headers);
    let (issue, now) = (issue(&api), api.clock().now());
    let caller = transact!(api, |tx| {
        logins::sign_in(tx, &credentials, &user_agent, (&token, issue), now).await
    })?;
    Ok(Json(TokensView::issue(&api, caller, &token)?))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PresentRefresh {
    /// As it was given.
    #[schema(value_type = String, required)]
    #[serde(default)]
    refresh: Field<String>,
}

impl PresentRefresh {
    fn parse(self) -> Result<RefreshToken, Refusal> {
        let mut errors = FieldErrors::default();
        let token = self.refresh.required("refresh", &mut errors);
        errors.finish()?;
        token.map(RefreshToken::presented).ok_or(Refusal::Internal)
    }
}

/// Renews a login: a fresh access token, and the refresh token that follows the presented one.
///
/// Until that is first presented, the old one gives the same again, however often and however
/// parallel. Presenting the old one later is `refresh_reused` and revokes the login.
#[utoipa::path(
    post,
    path = "/auth/token/refresh/",
    tag = "auth",
    security(()),
    request_body = PresentRefresh,
    responses((status = 200, description = "The login's tokens", body = TokensView), Problems)
)]
pub(crate) async fn refresh_token(
    State(api): State<Api>,
    _: Anyone,
    Body(body): Body<PresentRefresh>,
) -> Result<Json<TokensView>, Problem> {
    let presented = body.parse()?;
    let (issue, now) = (issue(&api), api.clock().now());
    let refreshed = transact!(api, |tx| logins::refresh(tx, &presented, issue, now).await)?;
    match refreshed {
        Refreshed::Renewed(caller, token) => Ok(Json(TokensView::issue(&api, caller, &token)?)),
        Refreshed::Reused(login) => {
            api.revoke(&[login]);
            Err(Refusal::RefreshReused.into())
        }
    }
}

/// Signs out: the login of this refresh token is revoked. Any string is answered alike.
#[utoipa::path(
    post,
    path = "/auth/logout/",
    tag = "auth",
    security(()),
    request_body = PresentRefresh,
    responses((status = 204, description = "Signed out, now or before"), Problems)
)]
pub(crate) async fn sign_out(
    State(api): State<Api>,
    _: Anyone,
    Body(body): Body<PresentRefresh>,
) -> Result<StatusCode, Problem> {
    let presented = body.parse()?;
    let now = api.clock().now();
    let login = transact!(api, |tx| logins::sign_out(tx, &presented, now).await)?;
    api.revoke(login.as_slice());
    Ok(StatusCode::NO_CONTENT)
}
