//! Webhooks and their deliveries: section 6 of the contract. For ADMINs of the organization
//! alone; nobody else may know of them.

mod change;
mod create;
mod deliveries;
mod list;
mod secret;

use contract::webhooks::{WebhookView, WebhookWithSecretView};
use domain::OrgId;
use domain::webhook::{WebhookEvent, WebhookSecret, webhook_events};
use outbound::Target;
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
