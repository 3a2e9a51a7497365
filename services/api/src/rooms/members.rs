//! `GET /rooms/{id}/members/` and `DELETE /rooms/{id}/members/{user_id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::frames::LiveFrame;
use contract::rooms::RoomMemberView;
use domain::room::RoomMember;
use domain::{RoomId, UserId};
use store::actions::change_room as action;
use store::{access, queries};

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::{PathId, PathIds};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Who is in a room, for its members.
#[utoipa::path(
    get,
    path = "/rooms/{id}/members/",
    tag = "rooms",
    params(
        ("id" = i64, Path, description = "The room"),
        ("search" = Option<String>, Query, description = "Part of a name or an e-mail address, in any case and normal form; the domain in Unicode or punycode"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<RoomMemberView>), Problems)
)]
pub(crate) async fn list_room_members(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
    mut query: Query,
) -> Result<Json<Page<RoomMemberView>>, Problem> {
    let search = query.text("search").map(|text| text.trim().to_owned());
    if search.as_ref().is_some_and(|search| search.contains('\0')) {
        query.fault("search", "must not contain the character U+0000");
    }
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let room = access::room_as_member(&mut conn, caller.user, id).await?;
    let search = search.as_deref();
    let members =
        queries::room_members::room_members(&mut conn, &room, search, page.slice()).await?;
    drop(conn);
    let online = api.presence().online_now(members.iter().map(|member| member.person.id));
    let views = |member: RoomMember| {
        let is_online = online.contains(&member.person.id);
        RoomMemberView::new(member, is_online)
    };
    Ok(Json(page.page(&api.config().public_url, members, |member| member.id.0, views)))
}

/// Takes someone out of a room; who may change it may do so.
#[utoipa::path(
    delete,
    path = "/rooms/{id}/members/{user_id}/",
    tag = "rooms",
    params(
        ("id" = i64, Path, description = "The room"),
        ("user_id" = i64, Path, description = "The member")
    ),
    responses((status = 204, description = "No longer a member"), Problems)
)]
pub(crate) async fn remove_room_member(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIds(id, user): PathIds<RoomId, UserId>,
) -> Result<StatusCode, Problem> {
    transact!(api, |tx| {
        let target = action::room_for_changing(tx, caller, id).await?;
        action::remove_from_room(tx, target, user).await
    })?;
    api.push(user, &LiveFrame::RoomRemoved { room_id: id });
    Ok(StatusCode::NO_CONTENT)
}
