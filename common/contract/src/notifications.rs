//! Notifications.

use domain::notification::{Decision, Notification};
use domain::{InviteId, MessageId, NotificationId, OrgId, RoomId, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// A notification, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// The notification's id.
    pub id: NotificationId,
    /// One line.
    pub title: String,
    /// What it says: of a message, the beginning of its text as it is now; empty once deleted.
    pub message: String,
    /// `mention`, `dm`, `org_invite`, `room_invite` or `role_change`.
    pub notification_type: String,
    /// Whether it was read.
    pub is_read: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// What it points at.
    pub data: NotificationData,
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        Self {
            id: notification.id,
            title: notification.title,
            message: notification.message,
            notification_type: notification.kind,
            is_read: notification.is_read,
            created_at: notification.created_at,
            read_at: notification.read_at,
            data: NotificationData {
                org: notification.data.org,
                room: notification.data.room,
                message: notification.data.message,
                invite_id: notification.data.invite,
                by: notification.data.by,
            },
        }
    }
}

/// What a notification points at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NotificationData {
    /// The organization.
    pub org: OrgId,
    /// The room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The invite; never its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_id: Option<InviteId>,
    /// Whose doing it is.
    pub by: UserId,
}

/// How many notifications are unread.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnreadNotifications {
    /// The number.
    pub unread_count: i64,
}

/// How many notifications were marked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MarkedNotifications {
    /// The number.
    pub updated: u64,
}

/// Why you were, or were not, told of an event on a channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NotificationDecision)]
pub struct DecisionView {
    /// The event's id.
    pub event_id: String,
    /// `app` or `email`.
    pub channel: String,
    /// `sent` or `suppressed`.
    pub outcome: String,
    /// Why it was suppressed: `read`, `online`, `muted`, `deleted`, `preference` or `rate`.
    pub reason: Option<String>,
    /// When it was decided.
    pub decided_at: Timestamp,
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decisions {
    /// Oldest first. A channel without one is not decided yet, or the message does not concern you.
    pub decisions: Vec<DecisionView>,
}
