//! Rooms and direct messages: section 3 of the contract, and the unread counts of section 1.

mod change;
mod create;
mod dm;
mod enter;
mod events;
mod list;
mod members;
mod read;
mod settings;
mod unread;

use contract::frames::LiveFrame;
use contract::rooms::RoomView;
use domain::UserId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

pub(crate) use read::mark_read;

/// People who are told by a push that they are in a room now. When more come at once, all of them
/// see it in their list of rooms instead: a push each would crowd out what is said in rooms.
pub(crate) const PUSHES_MAX: usize = 1_000;

/// The routes of rooms.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_rooms, create::create_room))
        .routes(routes!(dm::open_dm))
        .routes(routes!(change::get_room, change::change_room, change::delete_room))
        .routes(routes!(enter::join_room))
        .routes(routes!(enter::leave_room))
        .routes(routes!(enter::invite_to_room))
        .routes(routes!(members::list_room_members))
        .routes(routes!(members::remove_room_member))
        .routes(routes!(settings::room_settings, settings::change_room_settings))
        .routes(routes!(read::read_room))
        .routes(routes!(events::list_room_events))
        .routes(routes!(unread::unread_counts))
}

/// Tells people that they are in a room now. The room may have been read for another: how that one
/// has set it is nobody else's business, and who is new has set nothing.
fn push_added(api: &Api, people: &[UserId], room: &RoomView) {
    if people.len() > PUSHES_MAX {
        return;
    }
    let room = RoomView { settings: None, ..room.clone() };
    let frame = LiveFrame::RoomAdded { room_id: room.id, room };
    for &person in people {
        api.push(person, &frame);
    }
}
