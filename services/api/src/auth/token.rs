//! `POST /auth/token/refresh/` and `/auth/logout/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::accounts::TokensView;
use domain::{FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::logins::{self, Refreshed};
use store::refresh_token::RefreshToken;
use utoipa::ToSchema;

use super::{issue, issue_tokens};
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Anyone;
use crate::json::Json;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

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
        Refreshed::Renewed(caller, token) => Ok(Json(issue_tokens(&api, caller, &token)?)),
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
