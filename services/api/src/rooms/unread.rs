//! `GET /auth/me/unread-counts/`.

use axum::extract::State;
use domain::room::Unread;
use domain::{MessageId, RoomId, Seq};
use serde::Serialize;
use store::queries;
use utoipa::ToSchema;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::problem::{Problem, Problems};

/// What the caller has not read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadCounts {
    /// Every room of the caller, by id.
    unread_counts: Vec<RoomUnread>,
}

/// What the caller has not read in a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomUnread {
    /// The room.
    room_id: RoomId,
    /// Its name; empty for a direct message.
    room_name: String,
    /// Messages of others after the caller's marker that are not deleted, at most 1,000.
    unread_count: i64,
    /// Whether there are more.
    unread_capped: bool,
    /// Those among them that mention the caller, `@room` included, at most 1,000.
    mention_count: i64,
    /// The last message marked as read; null until one was.
    last_read_msg_id: Option<MessageId>,
    /// The room's last event that was there when this was counted: what comes later is not in it.
    #[schema(value_type = i64, minimum = 0)]
    last_seq: Seq,
}

impl From<Unread> for RoomUnread {
    fn from(unread: Unread) -> Self {
        Self {
            room_id: unread.room,
            room_name: unread.room_name,
            unread_count: unread.unread_count,
            unread_capped: unread.unread_capped,
            mention_count: unread.mention_count,
            last_read_msg_id: unread.last_read_msg_id,
            last_seq: unread.last_seq,
        }
    }
}

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
