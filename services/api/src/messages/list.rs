//! `GET /messages/rooms/{room}/`.

use axum::extract::State;
use contract::messages::MessageView;
use domain::{MessageId, RoomId, Seq};
use store::{access, queries};

use crate::Api;
use crate::caller::Authenticated;
use crate::epoch::{self, InEpoch};
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// A room's messages, newest first; deleted ones stay in the list.
///
/// `before` and `after` are message ids and combine; the page nearest the bound comes first, and
/// `next` leads away from it. `after_seq` lists oldest first.
#[utoipa::path(
    get,
    path = "/messages/rooms/{room}/",
    tag = "messages",
    params(
        ("room" = i64, Path, description = "The room"),
        ("before" = Option<i64>, Query, description = "Messages with a smaller id"),
        ("after" = Option<i64>, Query, description = "Messages with a greater id"),
        ("after_seq" = Option<i64>, Query, description = "Messages with a greater seq, oldest first; not with the others"),
        ("epoch" = Option<String>, Query, description = "The epoch that `after_seq` belongs to; 409 `epoch_changed` when it is not the present one"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<MessageView>, headers(("Chat-Epoch" = String, description = "The epoch that the numbers belong to"))), Problems)
)]
pub(crate) async fn list_messages(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(room): PathId<RoomId>,
    mut query: Query,
) -> Result<InEpoch<Page<MessageView>>, Problem> {
    let before = query.id("before");
    let after = query.number("after");
    let after_seq = query.number("after_seq");
    if after_seq.is_some() && (before.is_some() || after.is_some()) {
        query.fault("after_seq", "does not go with before or after");
    }
    let walk = match (before, after, after_seq) {
        (_, _, Some(_)) => Walk::OLDEST_FIRST,
        (None, Some(after), None) => Walk { after, is_descending: false, ..Walk::NEWEST_FIRST },
        (before, after, None) => Walk {
            before: before.unwrap_or(i64::MAX),
            after: after.unwrap_or(0),
            ..Walk::NEWEST_FIRST
        },
    };
    let mut page = query.page(walk)?;
    let mut conn = api.store().read().await?;
    let room = access::room_as_member(&mut conn, caller.user, room).await?;
    let epoch = epoch::require(&api, page.text("epoch"))?;
    if let Some(seq) = after_seq {
        let MessageId(id) = queries::messages::last_id_up_to(&mut conn, &room, Seq(seq)).await?;
        page.start_after(id);
    }
    let messages =
        queries::messages::messages(&mut conn, &room, page.slice(), api.clock().now()).await?;
    let views = |message| MessageView::from(&message);
    let page = page.page(&api.config().public_url, messages, |message| message.id.0, views);
    Ok(InEpoch(epoch, page))
}
