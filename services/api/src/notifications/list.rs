//! `GET /notifications/`, `GET /notifications/{id}/`, `GET /notifications/unread-count/`,
//! `GET /notifications/decisions/`.

use axum::extract::State;
use contract::notifications::NotificationView;
use domain::{MessageId, NotificationId, Refusal};
use store::queries::notifications as queries;

use super::{DecisionView, Decisions, UnreadNotifications};
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// Your notifications, newest first.
#[utoipa::path(
    get,
    path = "/notifications/",
    tag = "notifications",
    params(
        ("is_read" = Option<bool>, Query, description = "Those that were read, or were not, alone"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<NotificationView>), Problems)
)]
pub(crate) async fn list_notifications(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<Page<NotificationView>>, Problem> {
    let is_read = query.bool("is_read");
    let page = query.page(Walk::NEWEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let now = api.clock().now();
    let found = queries::notifications(&mut conn, caller.user, is_read, page.slice(), now).await?;
    let url = &api.config().public_url;
    Ok(Json(page.page(url, found, |one| one.id.0, NotificationView::from)))
}

/// One of your notifications.
#[utoipa::path(
    get,
    path = "/notifications/{id}/",
    tag = "notifications",
    params(("id" = i64, Path, description = "The notification")),
    responses((status = 200, description = "The notification", body = NotificationView), Problems)
)]
pub(crate) async fn get_notification(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<NotificationId>,
) -> Result<Json<NotificationView>, Problem> {
    let mut conn = api.store().read().await?;
    let found = queries::find_notification(&mut conn, caller.user, id, api.clock().now()).await?;
    Ok(Json(found.ok_or(Refusal::NotFound)?.into()))
}

/// How many of your notifications are unread.
#[utoipa::path(
    get,
    path = "/notifications/unread-count/",
    tag = "notifications",
    responses((status = 200, description = "The number", body = UnreadNotifications), Problems)
)]
pub(crate) async fn count_unread_notifications(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<UnreadNotifications>, Problem> {
    let mut conn = api.store().read().await?;
    let unread_count =
        queries::unread_notifications(&mut conn, caller.user, api.clock().now()).await?;
    Ok(Json(UnreadNotifications { unread_count }))
}

/// Why you were, or were not, notified of a message: what was decided for each channel.
#[utoipa::path(
    get,
    path = "/notifications/decisions/",
    tag = "notifications",
    params(("message" = i64, Query, description = "The message")),
    responses((status = 200, description = "What was decided", body = Decisions), Problems)
)]
pub(crate) async fn list_notification_decisions(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<Decisions>, Problem> {
    let message = query.id("message").map(MessageId);
    if query.text("message").is_none() {
        query.fault("message", "is required");
    }
    query.finish()?;
    let message = message.unwrap_or(MessageId::NOWHERE);
    let mut conn = api.store().read().await?;
    let found = queries::decisions(&mut conn, caller.user, message).await?;
    Ok(Json(Decisions { decisions: found.into_iter().map(DecisionView::from).collect() }))
}
