//! `GET /auth/me/unread-counts/`.

use axum::extract::State;
use contract::rooms::{RoomUnread, UnreadCounts};
use store::queries;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::problem::{Problem, Problems};

/// What the caller has not read, in every room of theirs: the one list that is not a page.
#[utoipa::path(
    get,
    path = "/auth/me/unread-counts/",
    tag = "auth",
    responses((status = 200, description = "The counts", body = UnreadCounts), Problems)
)]
pub(crate) async fn unread_counts(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<UnreadCounts>, Problem> {
    let mut conn = api.store().read().await?;
    let counts = queries::unread::unread_counts(&mut conn, caller.user, api.clock().now()).await?;
    let unread_counts = counts.into_iter().map(RoomUnread::from).collect();
    Ok(Json(UnreadCounts { unread_counts }))
}
