//! `POST /webhooks/{id}/rotate-secret/`.

use axum::extract::State;
use domain::WebhookId;
use store::actions::webhooks;
use store::{access, queries};

use super::{WebhookView, WebhookWithSecretView, new_secret};
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Gives a webhook a new secret, shown this once: ADMINs. For 24 hours the one before signs too.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate-secret/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookWithSecretView), Problems)
)]
pub(crate) async fn rotate_webhook_secret(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookWithSecretView>, Problem> {
    let secret = new_secret();
    let now = api.clock().now();
    let webhook = transact!(api, |tx| {
        let access = access::webhook_for_changing(tx, caller, id).await?;
        webhooks::rotate_secret(tx, access, &secret, now).await?;
        queries::webhooks::webhook(tx.conn(), access).await
    })?;
    Ok(Json(WebhookWithSecretView { webhook: WebhookView::from(webhook), secret: secret.expose() }))
}
