//! Notifications: section 7 of the contract. The caller's own alone.

mod change;
mod list;

use contract::notifications::{DecisionView, Decisions, MarkedNotifications, UnreadNotifications};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

/// The routes of notifications.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_notifications))
        .routes(routes!(list::get_notification, change::change_notification))
        .routes(routes!(list::count_unread_notifications))
        .routes(routes!(list::list_notification_decisions))
        .routes(routes!(change::mark_all_notifications_read))
}
