//! `GET /auth/sessions/` and `DELETE /auth/sessions/{sid}/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::accounts::SessionView;
use domain::LoginId;
use store::actions::logins::revoke_login;
use store::queries;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// The caller's logins that are neither revoked nor expired, by id.
#[utoipa::path(
    get,
    path = "/auth/sessions/",
    tag = "auth",
    params(
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<SessionView>), Problems)
)]
pub(crate) async fn list_sessions(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<Page<SessionView>>, Problem> {
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let now = api.clock().now();
    let logins = queries::logins::logins(&mut conn, caller.user, page.slice(), now).await?;
    let url = &api.config().public_url;
    Ok(Json(page.page(
        url,
        logins,
        |login| login.id.0,
        |login| SessionView {
            sid: login.id,
            user_agent: login.user_agent,
            created_at: login.created_at,
            last_seen: login.last_seen_at,
            current: login.id == caller.login,
        },
    )))
}

/// Revokes one of the caller's logins, this one included.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{sid}/",
    tag = "auth",
    params(("sid" = i64, Path, description = "The login")),
    responses((status = 204, description = "Revoked"), Problems)
)]
pub(crate) async fn revoke_session(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(login): PathId<LoginId>,
) -> Result<StatusCode, Problem> {
    let now = api.clock().now();
    transact!(api, |tx| revoke_login(tx, caller, login, now).await)?;
    api.revoke(&[login]);
    Ok(StatusCode::NO_CONTENT)
}
