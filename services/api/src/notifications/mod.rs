//! Notifications: section 7 of the contract. The caller's own alone.

mod change;
mod list;

use domain::Timestamp;
use domain::notification::Decision;
use serde::Serialize;
use utoipa::ToSchema;
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

/// How many notifications are unread.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadNotifications {
    /// The number.
    unread_count: i64,
}

/// How many notifications were marked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MarkedNotifications {
    /// The number.
    updated: u64,
}

/// Why you were, or were not, told of an event on a channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationDecision)]
pub(crate) struct DecisionView {
    /// The event's id.
    event_id: String,
    /// `app` or `email`.
    channel: String,
    /// `sent` or `suppressed`.
    outcome: String,
    /// Why it was suppressed: `read`, `online`, `muted`, `deleted`, `preference` or `rate`.
    reason: Option<String>,
    /// When it was decided.
    decided_at: Timestamp,
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            event_id: decision.event,
            channel: decision.channel,
            outcome: decision.outcome,
            reason: decision.reason,
            decided_at: decision.decided_at,
        }
    }
}

/// The decisions about a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decisions {
    /// Oldest first. A channel without one is not decided yet, or the message does not concern you.
    decisions: Vec<DecisionView>,
}
