//! `POST /webhooks/{id}/test/`, `GET /webhooks/{id}/events/`,
//! `POST /webhooks/{id}/events/{event_id}/retry/`, `POST /webhooks/{id}/retry-failed/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use contract::webhooks::{DeliveryView, EventAcceptedView, RetriedFailed};
use domain::{FieldErrors, Timestamp, WebhookId};
use serde::Deserialize;
use store::actions::webhooks;
use store::{access, queries};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Field, OptionalBody, checked};
use crate::caller::Authenticated;
use crate::epoch::{self, InEpoch};
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::{PathId, PathIdWord};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Sends a test event to a webhook, whatever it hears of otherwise: ADMINs. 422 while it is not
/// active.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/test/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    responses((status = 202, description = "It will be delivered", body = EventAcceptedView), Problems)
)]
pub(crate) async fn test_webhook(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
) -> Result<Response, Problem> {
    let event_id = format!("evt_t{id}_{:016x}", rand::random::<u64>());
    let now = api.clock().now();
    transact!(api, |tx| {
        let access = access::webhook_for_changing(tx, caller, id).await?;
        webhooks::test_webhook(tx, access, &event_id, now).await
    })?;
    let detail = "the test event will be delivered";
    Ok((StatusCode::ACCEPTED, Json(EventAcceptedView { detail, event_id })).into_response())
}

/// A webhook's deliveries, newest first: ADMINs. With `after`, those that follow the delivery of
/// that `sequence`, oldest first and with their payloads: a receiver that misses a number finds
/// here what it missed.
#[utoipa::path(
    get,
    path = "/webhooks/{id}/events/",
    tag = "webhooks",
    params(
        ("id" = i64, Path, description = "The webhook"),
        ("after" = Option<i64>, Query, description = "A `sequence`; 0 is everything kept"),
        ("epoch" = Option<String>, Query, description = "The epoch that `after` belongs to; 409 `epoch_changed` when it is not the present one"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<DeliveryView>, headers(("Chat-Epoch" = String, description = "The epoch that the numbers belong to"))), Problems)
)]
pub(crate) async fn list_webhook_events(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
    mut query: Query,
) -> Result<InEpoch<Page<DeliveryView>>, Problem> {
    let after = query.number("after");
    let walk = match after {
        Some(after) => Walk { after, ..Walk::OLDEST_FIRST },
        None => Walk::NEWEST_FIRST,
    };
    let page = query.page(walk)?;
    let mut conn = api.store().read().await?;
    let access = access::webhook(&mut conn, caller, id).await?;
    let epoch = epoch::require(&api, page.text("epoch"))?;
    let has_payloads = after.is_some();
    let found =
        queries::webhooks::deliveries(&mut conn, access, has_payloads, page.slice()).await?;
    let url = &api.config().public_url;
    let page = page.page(url, found, |delivery| delivery.sequence, DeliveryView::from);
    Ok(InEpoch(epoch, page))
}

/// Delivers an event again, from any state, with all its retries: ADMINs.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/events/{event_id}/retry/",
    tag = "webhooks",
    params(
        ("id" = i64, Path, description = "The webhook"),
        ("event_id" = String, Path, description = "The event")
    ),
    responses((status = 202, description = "It will be delivered", body = EventAcceptedView), Problems)
)]
pub(crate) async fn retry_webhook_event(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIdWord(id, event_id): PathIdWord<WebhookId>,
) -> Result<Response, Problem> {
    let now = api.clock().now();
    transact!(api, |tx| {
        let access = access::webhook_for_changing(tx, caller, id).await?;
        webhooks::retry_delivery(tx, access, &event_id, now).await
    })?;
    let detail = "the event will be delivered again";
    Ok((StatusCode::ACCEPTED, Json(EventAcceptedView { detail, event_id })).into_response())
}

/// What to deliver again.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RetryFailed {
    /// Only what has failed since then.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    since: Field<String>,
}

/// Delivers again everything that has failed, or has since a time: ADMINs.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/retry-failed/",
    tag = "webhooks",
    params(("id" = i64, Path, description = "The webhook")),
    request_body = Option<RetryFailed>,
    responses((status = 202, description = "They will be delivered", body = RetriedFailed), Problems)
)]
pub(crate) async fn retry_failed_webhook_events(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<WebhookId>,
    OptionalBody(body): OptionalBody<RetryFailed>,
) -> Result<Response, Problem> {
    access::webhook(&mut *api.store().read().await?, caller, id).await?;
    let mut errors = FieldErrors::default();
    let since = body.since.optional("since", &mut errors);
    let since = checked(since, "since", &mut errors, |text| time(&text));
    errors.finish()?;
    let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
    let now = api.clock().now();
    let mut count = 0;
    // In bounded transactions: planning waits for the webhook's row meanwhile.
    loop {
        let (retried, has_more) = transact!(api, |tx| {
            let access = access::webhook_for_changing(tx, caller, id).await?;
            webhooks::retry_failed(tx, access, since, now).await
        })?;
        count += retried;
        if !has_more {
            break;
        }
    }
    let detail = "what has failed will be delivered again";
    Ok((StatusCode::ACCEPTED, Json(RetriedFailed { detail, count })).into_response())
}

fn time(text: &str) -> Result<Timestamp, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| Timestamp::from(time.with_timezone(&Utc)))
        .map_err(|_| "must be a time as RFC 3339 writes it".to_owned())
}
