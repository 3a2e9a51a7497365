//! Webhooks and their deliveries: section 6 of the contract. For ADMINs of the organization
//! alone; nobody else may know of them.

mod change;
mod create;
mod deliveries;
mod list;
mod secret;

use domain::webhook::{Webhook, WebhookEvent, WebhookSecret, webhook_events};
use domain::{OrgId, Timestamp, WebhookId};
use outbound::Target;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

/// The routes of webhooks.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_webhooks, create::create_webhook))
        .routes(routes!(list::get_webhook, change::change_webhook, change::delete_webhook))
        .routes(routes!(secret::rotate_webhook_secret))
        .routes(routes!(deliveries::test_webhook))
        .routes(routes!(deliveries::list_webhook_events))
        .routes(routes!(deliveries::retry_webhook_event))
        .routes(routes!(deliveries::retry_failed_webhook_events))
}

/// A webhook. Its secret is shown when it is made, and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    /// The webhook's id.
    id: WebhookId,
    /// The organization whose events it hears of.
    org: OrgId,
    /// Where deliveries go.
    url: String,
    /// What it hears of.
    events: Vec<String>,
    /// Whether it hears of PRIVATE rooms too.
    include_private: bool,
    /// Whether anything is recorded for it.
    is_active: bool,
    /// When it was made.
    created_at: Timestamp,
    /// When something was last attempted; null before.
    last_triggered: Option<Timestamp>,
    /// Why it was disabled; null unless we did.
    disabled_reason: Option<String>,
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
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(crate) struct SecretView {
    #[serde(flatten)]
    webhook: WebhookView,
    /// `whsec_` and base64: what verifies deliveries.
    secret: String,
}

fn events(words: &[String]) -> Result<Vec<WebhookEvent>, String> {
    webhook_events(words)
}

/// A secret of our own.
fn new_secret() -> WebhookSecret {
    WebhookSecret::from_random(rand::random())
}

/// Reads where deliveries are to go. Nothing is resolved: see [`check_target`].
fn target(text: &str) -> Result<Target, String> {
    Target::parse(text)
}

/// Whether deliveries of an organization may go there, by what the host resolves to now. Not
/// within a transaction.
async fn check_target(api: &Api, target: &Target, org: OrgId) -> Result<(), String> {
    let checked = api.config().guard.check(target, org).await;
    checked.map_err(|_| "must lead to a public address, and to nothing else".to_owned())
}
