//! Webhooks and their deliveries.

use domain::webhook::{Delivery, Webhook};
use domain::{OrgId, Timestamp, WebhookId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A webhook. Its secret is shown when it is made, and never again.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// The webhook's id.
    pub id: WebhookId,
    /// The organization whose events it hears of.
    pub org: OrgId,
    /// Where deliveries go.
    pub url: String,
    /// What it hears of.
    pub events: Vec<String>,
    /// Whether it hears of PRIVATE rooms too.
    pub include_private: bool,
    /// Whether anything is recorded for it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something was last attempted; null before.
    pub last_triggered: Option<Timestamp>,
    /// Why it was disabled; null unless we did.
    pub disabled_reason: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            org: webhook.org,
            url: webhook.url,
            events: webhook.events,
            include_private: webhook.include_private,
            is_active: webhook.is_active,
            created_at: webhook.created_at,
            last_triggered: webhook.last_triggered,
            disabled_reason: webhook.disabled_reason,
        }
    }
}

/// A webhook with its secret, which is shown this once.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub struct WebhookWithSecretView {
    #[expect(missing_docs, reason = "it would describe the flattened fields in the document")]
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// `whsec_` and base64: what verifies deliveries.
    pub secret: String,
}

/// An event's delivery to a webhook.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookEvent)]
pub struct DeliveryView {
    /// The event's id: `webhook-id` of every attempt.
    pub id: String,
    /// `webhook-sequence` of every attempt: 1, 2, 3, … for this webhook, without gaps.
    pub sequence: i64,
    /// The event's type.
    pub event_type: String,
    /// `pending`, `retrying`, `sent` or `failed`.
    #[schema(example = "sent")]
    pub status: String,
    /// Attempts after the first.
    pub retries: i32,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// The last attempt.
    pub last_attempt_at: Option<Timestamp>,
    /// The next attempt.
    pub next_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last attempt; null when there was no answer.
    pub last_status_code: Option<i32>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What is delivered; with `after` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Box<RawValue>>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.event,
            sequence: delivery.sequence,
            event_type: delivery.event_type,
            status: delivery.status,
            retries: delivery.retries,
            created_at: delivery.created_at,
            last_attempt_at: delivery.last_attempt_at,
            next_attempt_at: delivery.next_attempt_at,
            last_status_code: delivery.last_status_code,
            last_error: delivery.last_error,
            payload: delivery.payload.and_then(|text| RawValue::from_string(text).ok()),
        }
    }
}

/// A delivery was put on the schedule.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookEventAccepted)]
pub struct EventAcceptedView {
    /// What follows.
    pub detail: &'static str,
    /// The event's id.
    pub event_id: String,
}

/// How much is delivered again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RetriedFailed {
    /// What follows.
    pub detail: &'static str,
    /// How many deliveries.
    pub count: u64,
}
