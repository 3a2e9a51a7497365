//! `GET`, `PATCH` and `DELETE /rooms/{id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::frames::LiveFrame;
use contract::rooms::RoomView;
use domain::room::{self, RoomChange};
use domain::{FieldErrors, Refusal, RoomId};
use serde::Deserialize;
use store::actions::change_room as action;
use store::{access, queries};
use utoipa::ToSchema;

use super::create::level;
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A room, for whoever sees it.
#[utoipa::path(
    get,
    path = "/rooms/{id}/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    responses((status = 200, description = "The room", body = RoomView), Problems)
)]
pub(crate) async fn get_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
) -> Result<Json<RoomView>, Problem> {
    let mut conn = api.store().read().await?;
    let access = access::room(&mut conn, caller.user, id).await?;
    let room = queries::rooms::room(&mut conn, &access, caller.user, api.clock().now()).await?;
    Ok(Json(RoomView::from(&room)))
}

/// What to change of a room; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangeRoom {
    /// 1..80 characters.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    #[serde(default)]
    name: Field<String>,
    /// At most 250 characters.
    #[schema(value_type = Option<String>, max_length = 250)]
    #[serde(default)]
    topic: Field<String>,
    /// `PUBLIC`, `MANAGER_ONLY` (who is below leaves) or `PRIVATE`.
    #[schema(value_type = Option<String>, example = "PUBLIC")]
    #[serde(default)]
    access_level: Field<String>,
    /// Makes members of everyone whom the level admits, now and as they come. Not for PRIVATE.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    auto_join: Field<bool>,
}

impl ChangeRoom {
    fn into_change(self) -> Result<RoomChange, Refusal> {
        let mut errors = FieldErrors::default();
        let name = self.name.patched("name", &mut errors);
        let topic = self.topic.patched("topic", &mut errors);
        let access_level = self.access_level.patched("access_level", &mut errors);
        let change = RoomChange {
            name: checked(name, "name", &mut errors, |name| room::room_name(&name)),
            topic: checked(topic, "topic", &mut errors, |topic| room::topic(&topic)),
            access_level: checked(access_level, "access_level", &mut errors, level),
            auto_join: self.auto_join.patched("auto_join", &mut errors),
        };
        errors.finish().map(|()| change)
    }
}

/// Changes a room: an ADMIN, a MANAGER who is in it or may join, its creator while a member.
/// Nothing new is no event. The name of another room that the caller sees: 409 `name_taken`.
#[utoipa::path(
    patch,
    path = "/rooms/{id}/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    request_body = ChangeRoom,
    responses((status = 200, description = "The room", body = RoomView), Problems)
)]
pub(crate) async fn change_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
    Body(body): Body<ChangeRoom>,
) -> Result<Json<RoomView>, Problem> {
    let change = body.into_change();
    let now = api.clock().now();
    let changed = transact!(api, |tx| {
        let target = action::room_for_changing(tx, caller, id).await?;
        action::change_room(tx, target, change.clone()?, now).await
    })?;
    let view = RoomView::from(&changed.room);
    super::push_added(&api, &changed.added, &view);
    // As with those who are added: more would crowd out what is said in rooms. Everyone also
    // hears of it from the room's log.
    for person in changed.removed.into_iter().take(super::PUSHES_MAX) {
        api.push(person, &LiveFrame::RoomRemoved { room_id: id });
    }
    Ok(Json(view))
}

/// Deletes a room with all that was said in it; who may change it may do so.
#[utoipa::path(
    delete,
    path = "/rooms/{id}/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    responses((status = 204, description = "Deleted"), Problems)
)]
pub(crate) async fn delete_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
) -> Result<StatusCode, Problem> {
    let now = api.clock().now();
    transact!(api, |tx| {
        let target = action::room_for_changing(tx, caller, id).await?;
        action::delete_room(tx, target, now).await
    })?;
    api.live(id, caller.user, &LiveFrame::RoomDeleted { room: id });
    Ok(StatusCode::NO_CONTENT)
}
