//! `GET /rooms/{id}/events/`.

use axum::extract::State;
use contract::frames::EventFrame;
use domain::{LogEvent, Refusal, RoomId, Seq};
use store::access;
use store::page::Slice;
use store::queries::room_log::room_log;

use crate::Api;
use crate::caller::Authenticated;
use crate::epoch::{self, InEpoch};
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// A room's durable events, oldest first: the very frames that a socket would get, for members.
#[utoipa::path(
    get,
    path = "/rooms/{id}/events/",
    tag = "rooms",
    params(
        ("id" = i64, Path, description = "The room"),
        ("after_seq" = Option<i64>, Query, description = "Events with a greater seq; default 0: from the first that is kept"),
        ("epoch" = Option<String>, Query, description = "The epoch that `after_seq` belongs to; 409 `epoch_changed` when it is not the present one"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<EventFrame>, headers(("Chat-Epoch" = String, description = "The epoch that the numbers belong to"))), Problems)
)]
pub(crate) async fn list_room_events(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
    mut query: Query,
) -> Result<InEpoch<Page<EventFrame>>, Problem> {
    let after = query.number("after_seq").unwrap_or(0);
    let page = query.page(Walk { after, ..Walk::OLDEST_FIRST })?;
    let mut conn = api.store().read().await?;
    access::room_as_member(&mut conn, caller.user, id).await?;
    drop(conn);
    let epoch = epoch::require(&api, page.text("epoch"))?;
    let events = stretch(&api, id, page.slice()).await?;
    let views = |event| EventFrame::from(&event);
    let page = page.page(&api.config().public_url, events, |event| event.seq.0, views);
    Ok(InEpoch(epoch, page))
}

/// A stretch of the log, which has no gaps: a page that leads back begins where counting back
/// from its end says.
async fn stretch(api: &Api, room: RoomId, slice: Slice) -> Result<Vec<LogEvent>, Problem> {
    let after = if slice.descending {
        slice.after.max(slice.before.saturating_sub(slice.limit + 1))
    } else {
        slice.after
    };
    let log = room_log(api.store(), room, Seq(after), slice.limit, api.clock().now()).await?;
    let mut events = log.ok_or(Refusal::NotFound)?.events;
    events.retain(|event| event.seq.0 < slice.before);
    if slice.descending {
        events.reverse();
    }
    Ok(events)
}
