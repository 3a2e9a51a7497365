//! `GET /users/{id}/`.

use axum::extract::State;
use contract::accounts::ProfileView;
use domain::{Refusal, UserId};
use store::queries::users::user_seen_by;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// Someone who shares or shared an organization with the caller, or the caller.
#[utoipa::path(
    get,
    path = "/users/{id}/",
    tag = "auth",
    params(("id" = i64, Path, description = "The user")),
    responses((status = 200, description = "The user", body = ProfileView), Problems)
)]
pub(crate) async fn get_user(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<UserId>,
) -> Result<Json<ProfileView>, Problem> {
    let mut conn = api.store().read().await?;
    let user = user_seen_by(&mut conn, caller.user, id).await?.ok_or(Refusal::NotFound)?;
    Ok(Json(ProfileView {
        id: user.id,
        email: user.email,
        first_name: user.first_name,
        last_name: user.last_name,
        avatar_url: user.avatar_url,
    }))
}
