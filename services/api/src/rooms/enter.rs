//! `POST /rooms/{id}/join/`, `/leave/` and `/invite/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::frames::LiveFrame;
use contract::rooms::MembershipAnswer;
use contract::rooms::RoomView;
use domain::{FieldErrors, Refusal, RoomId, UserId};
use serde::Deserialize;
use store::actions::enter_room as action;
use store::queries;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

fn membership_answer(
    is_new: bool,
    detail: (&'static str, &'static str),
    room_id: RoomId,
) -> Response {
    let (status, detail) =
        if is_new { (StatusCode::CREATED, detail.0) } else { (StatusCode::OK, detail.1) };
    (status, Json(MembershipAnswer { detail, room_id })).into_response()
}

/// Makes the caller a member of a room that they may join.
#[utoipa::path(
    post,
    path = "/rooms/{id}/join/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    responses(
        (status = 201, description = "A member now", body = MembershipAnswer),
        (status = 200, description = "A member already", body = MembershipAnswer),
        Problems
    )
)]
pub(crate) async fn join_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
) -> Result<Response, Problem> {
    let now = api.clock().now();
    let (is_new, room) = transact!(api, |tx| {
        let target = action::room_for_joining(tx, caller, id).await?;
        let access = target.access();
        let is_new = action::join_room(tx, target, now).await?;
        let room = queries::rooms::room(tx.conn(), &access, caller.user, now).await?;
        Ok((is_new, room))
    })?;
    if is_new {
        // The caller's other tabs and devices list it too.
        super::push_added(&api, &[caller.user], &RoomView::from(&room));
    }
    let detail = ("you have joined this room", "you are in this room already");
    Ok(membership_answer(is_new, detail, id))
}

/// Takes the caller out of a room.
#[utoipa::path(
    post,
    path = "/rooms/{id}/leave/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    responses((status = 200, description = "No longer a member", body = MembershipAnswer), Problems)
)]
pub(crate) async fn leave_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
) -> Result<Json<MembershipAnswer>, Problem> {
    transact!(api, |tx| action::leave_room(tx, caller, id).await)?;
    // The caller's other devices list it no longer.
    api.push(caller.user, &LiveFrame::RoomRemoved { room_id: id });
    Ok(Json(MembershipAnswer { detail: "you have left this room", room_id: id }))
}

/// Someone to bring into a room.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InviteToRoom {
    /// A person of the organization whom the room's level admits.
    #[schema(value_type = i64)]
    #[serde(default)]
    user_id: Field<i64>,
}

impl InviteToRoom {
    fn into_user(self) -> Result<UserId, Refusal> {
        let mut errors = FieldErrors::default();
        let user = self.user_id.required("user_id", &mut errors);
        let user = checked(user, "user_id", &mut errors, |user| {
            UserId::from_client(user).ok_or_else(|| domain::ids::NotAnId.to_string())
        });
        user.ok_or(Refusal::ValidationFailed(errors))
    }
}

/// Makes someone else a member: the room's creator, or a MANAGER or ADMIN, being a member.
#[utoipa::path(
    post,
    path = "/rooms/{id}/invite/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    request_body = InviteToRoom,
    responses(
        (status = 201, description = "A member now", body = MembershipAnswer),
        (status = 200, description = "A member already", body = MembershipAnswer),
        Problems
    )
)]
pub(crate) async fn invite_to_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
    Body(body): Body<InviteToRoom>,
) -> Result<Response, Problem> {
    let user = body.into_user();
    let now = api.clock().now();
    let (user, is_new, room) = transact!(api, |tx| {
        let target = action::room_for_inviting(tx, caller, id).await?;
        let access = target.access();
        let user = user.clone()?;
        let is_new = action::invite_to_room(tx, target, user, now).await?;
        let room = queries::rooms::room(tx.conn(), &access, user, now).await?;
        Ok((user, is_new, room))
    })?;
    if is_new {
        super::push_added(&api, &[user], &RoomView::from(&room));
    }
    let detail = ("this person has joined the room", "this person is in the room already");
    Ok(membership_answer(is_new, detail, id))
}
