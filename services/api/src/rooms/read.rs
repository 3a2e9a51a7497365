//! `POST /rooms/{id}/read/{msg_id}/`, and the same reading from a socket.

use axum::extract::State;
use contract::frames::LiveFrame;
use contract::rooms::ReadAnswer;
use domain::{Caller, MessageId, RoomId};
use store::access;
use store::actions::mark_read as action;

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathIds;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Marks a room as read up to a message. An earlier message than the last one changes nothing.
#[utoipa::path(
    post,
    path = "/rooms/{id}/read/{msg_id}/",
    tag = "rooms",
    params(
        ("id" = i64, Path, description = "The room"),
        ("msg_id" = i64, Path, description = "A message of this room")
    ),
    responses((status = 200, description = "Where the caller stands", body = ReadAnswer), Problems)
)]
pub(crate) async fn read_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIds(id, message): PathIds<RoomId, MessageId>,
) -> Result<Json<ReadAnswer>, Problem> {
    Ok(Json(mark_read(&api, caller, id, message).await?))
}

/// Marks a room as read up to a message, and tells the room and the reader's own sockets when
/// that moved the reader.
pub(crate) async fn mark_read(
    api: &Api,
    caller: Caller,
    room: RoomId,
    message: MessageId,
) -> Result<ReadAnswer, Problem> {
    let now = api.clock().now();
    let marked = transact!(api, |tx| {
        let room = access::room_as_member(tx.conn(), caller.user, room).await?;
        action::mark_read(tx, &room, caller.user, message, now).await
    })?;
    let last_read_msg_id = marked.unread.last_read_msg_id.unwrap_or(message);
    if marked.has_moved {
        let frame = |unread_count| LiveFrame::Read {
            room,
            user_id: caller.user,
            last_read_msg_id,
            unread_count,
        };
        api.live(room, caller.user, &frame(None));
        api.push(caller.user, &frame(Some(marked.unread.unread_count)));
    }
    Ok(ReadAnswer {
        room_id: room,
        last_read_msg_id,
        unread_count: marked.unread.unread_count,
        unread_capped: marked.unread.unread_capped,
    })
}
