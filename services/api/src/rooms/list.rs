//! `GET /rooms/`.

use axum::extract::State;
use contract::rooms::RoomView;
use domain::OrgId;
use store::queries::rooms;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::problem::{Problem, Problems};

/// The caller's rooms, by id; with `scope=joinable`, what they could join and have not.
#[utoipa::path(
    get,
    path = "/rooms/",
    tag = "rooms",
    params(
        ("org" = Option<i64>, Query, description = "Rooms of this organization alone; none of a foreign one"),
        ("scope" = Option<String>, Query, description = "`joinable`: what the caller could join and has not"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<RoomView>), Problems)
)]
pub(crate) async fn list_rooms(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<Page<RoomView>>, Problem> {
    let org = query.id("org").map(OrgId);
    let scope = query.text("scope").map(|scope| scope == "joinable");
    if scope == Some(false) {
        query.fault("scope", "must be joinable");
    }
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let now = api.clock().now();
    let found = if scope.is_some() {
        rooms::joinable_rooms(&mut conn, caller.user, org, page.slice(), now).await?
    } else {
        rooms::rooms_of(&mut conn, caller.user, org, page.slice(), now).await?
    };
    let views = |room| RoomView::from(&room);
    Ok(Json(page.page(&api.config().public_url, found, |room| room.id.0, views)))
}
