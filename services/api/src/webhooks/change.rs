//! `PATCH` and `DELETE /webhooks/{id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::webhook::WebhookChange;
use domain::{FieldErrors, OrgId, Refusal, WebhookId};
use serde::Deserialize;
use store::actions::webhooks;
use store::{access, queries};
use utoipa::ToSchema;

use super::{WebhookView, check_target, events, target};
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// What changes of a webhook; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeWebhook {
    /// Where deliveries go: http or https, no credentials, no fragment, a public address.
    #[schema(value_type = Option<String>, max_length = 2000)]
    #[serde(default)]
    url: Field<String>,
    /// What it hears of.
    #[schema(value_type = Option<Vec<String>>, min_items = 1)]
    #[serde(default)]
    events: Field<Vec<String>>,
    /// Whether it hears of PRIVATE rooms too.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    include_private: Field<bool>,
    /// While false nothing is recorded, and what was still to be delivered has failed; true clears
    /// `disabled_reason`.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_active: Field<bool>,
}

impl ChangeWebhook {
    async fn parse(self, api: &Api, org: OrgId) -> Result<WebhookChange, Refusal> {
        let mut errors = FieldErrors::default();
        let url = self.url.patched("url", &mut errors);
        let url = checked(url, "url", &mut errors, |url| target(&url));
        if let Some(url) = &url
            && let Err(why) = check_target(api, url, org).await
        {
            errors.add("url", why);
        }
        let heard = self.events.patched("events", &mut errors);
        let heard = checked(heard, "events", &mut errors, |words| events(&words));
        let include_private = self.include_private.patched("include_private", &mut errors);
        let is_active = self.is_active.patched("is_active", &mut errors);
        errors.finish()?;
        let url = url.map(|url| url.as_str().to_owned());
        Ok(WebhookChange { url, events: heard, include_private, is_active })
    }
}

/// Changes a webhook: ADMINs.
#[utoipa::path(
    patch,
    path = "/webhooks/{id}/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    request_body = ChangeWebhook,
    responses((status = 200, description = "The webhook", body = WebhookView), Problems)
)]
pub(crate) async fn change_webhook(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
    Body(body): Body<ChangeWebhook>,
) -> Result<Json<WebhookView>, Problem> {
    // A stranger's host is not even resolved.
    let access = access::webhook(&mut *api.store().read().await?, caller, id).await?;
    let change = body.parse(&api, access.org()).await?;
    let now = api.clock().now();
    let webhook = transact!(api, |tx| {
        let access = access::webhook_for_changing(tx, caller, id).await?;
        webhooks::change_webhook(tx, access, change.clone(), now).await?;
        queries::webhooks::webhook(tx.conn(), access).await
    })?;
    Ok(Json(WebhookView::from(webhook)))
}

/// Deletes a webhook with its deliveries: ADMINs.
#[utoipa::path(
    delete,
    path = "/webhooks/{id}/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    responses((status = 204, description = "Deleted"), Problems)
)]
pub(crate) async fn delete_webhook(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
) -> Result<StatusCode, Problem> {
    transact!(api, |tx| {
        let access = access::webhook_for_changing(tx, caller, id).await?;
        webhooks::delete_webhook(tx, access).await
    })?;
    Ok(StatusCode::NO_CONTENT)
}
