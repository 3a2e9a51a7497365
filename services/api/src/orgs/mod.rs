//! Organizations, their members and invites: section 2 of the contract.

mod accept;
mod invites;
mod members;
mod organizations;
mod retention;

use contract::frames::LiveFrame;
use contract::rooms::RoomView;
use domain::{Role, UserId};
use store::actions::membership::Moved;
use store::{access, queries};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

/// The routes of organizations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(organizations::list_orgs, organizations::create_org))
        .routes(routes!(
            organizations::get_org,
            organizations::change_org,
            organizations::delete_org
        ))
        .routes(routes!(retention::get_retention, retention::change_org_retention))
        .routes(routes!(retention::list_purges))
        .routes(routes!(members::list_org_members))
        .routes(routes!(members::change_role))
        .routes(routes!(members::remove_org_member))
        .routes(routes!(invites::create_invite))
        .routes(routes!(invites::list_invites))
        .routes(routes!(invites::delete_invite))
        .routes(routes!(accept::accept_invite))
        .routes(routes!(accept::check_invite))
}

/// Reads a role as the contract spells it.
fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "must be ADMIN, MANAGER or MEMBER".to_owned())
}

/// Tells a user's sockets which rooms they came into and went out of. Best effort, after the
/// commit: the durable events tell the rooms, and a client that missed this finds the rooms in
/// its list.
async fn tell_moves(api: &Api, user: UserId, moved: &Moved) {
    for &room_id in &moved.removed {
        api.push(user, &LiveFrame::RoomRemoved { room_id });
    }
    if moved.added.is_empty() {
        return;
    }
    if let Err(error) = tell_added(api, user, moved).await {
        tracing::debug!(error = %error, "a user was not told of their new rooms: {error}");
    }
}

async fn tell_added(api: &Api, user: UserId, moved: &Moved) -> store::Result<()> {
    let mut conn = api.store().read().await?;
    for &room_id in &moved.added {
        let access = access::room(&mut conn, user, room_id).await?;
        let now = api.clock().now();
        let room = queries::rooms::room(&mut conn, &access, user, now).await?;
        api.push(user, &LiveFrame::RoomAdded { room_id, room: RoomView::from(&room) });
    }
    Ok(())
}
