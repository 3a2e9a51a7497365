//! `GET /webhooks/`, `GET /webhooks/{id}/`.

use axum::extract::State;
use domain::{OrgId, WebhookId};
use store::{access, queries};

use super::WebhookView;
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// The webhooks of the organizations whose ADMIN the caller is, by id.
#[utoipa::path(
    get,
    path = "/webhooks/",
    tag = "webhooks",
    params(
        ("org" = Option<i64>, Query, description = "Of one organization alone"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<WebhookView>), Problems)
)]
pub(crate) async fn list_webhooks(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<Page<WebhookView>>, Problem> {
    let org = query.id("org").map(OrgId);
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let found = queries::webhooks::webhooks(&mut conn, caller, org, page.slice()).await?;
    let url = &api.config().public_url;
    Ok(Json(page.page(url, found, |webhook| webhook.id.0, WebhookView::from)))
}

/// A webhook: ADMINs.
#[utoipa::path(
    get,
    path = "/webhooks/{id}/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookView), Problems)
)]
pub(crate) async fn get_webhook(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookView>, Problem> {
    let mut conn = api.store().read().await?;
    let access = access::webhook(&mut conn, caller, id).await?;
    Ok(Json(WebhookView::from(queries::webhooks::webhook(&mut conn, access).await?)))
}
