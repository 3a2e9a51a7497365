//! `PATCH /notifications/{id}/` and `POST /notifications/mark-all-read/`.

use axum::extract::State;
use contract::notifications::NotificationView;
use domain::{FieldErrors, NotificationId, Refusal};
use serde::Deserialize;
use store::actions::notifications as action;
use store::queries::notifications::find_notification;
use utoipa::ToSchema;

use super::MarkedNotifications;
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// What changes of a notification.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangeNotification {
    /// Whether it was read.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_read: Field<bool>,
}

/// Marks a notification as read or unread.
#[utoipa::path(
    patch,
    path = "/notifications/{id}/",
    tag = "notifications",
    params(("id" = i64, Path, description = "The notification")),
    request_body = ChangeNotification,
    responses((status = 200, description = "The notification", body = NotificationView), Problems)
)]
pub(crate) async fn change_notification(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<NotificationId>,
    Body(body): Body<ChangeNotification>,
) -> Result<Json<NotificationView>, Problem> {
    // Who may not see it is told so, whatever the body says.
    let mut conn = api.store().read().await?;
    let now = api.clock().now();
    find_notification(&mut conn, caller.user, id, now).await?.ok_or(Refusal::NotFound)?;
    drop(conn);
    let mut errors = FieldErrors::default();
    let is_read = body.is_read.patched("is_read", &mut errors);
    errors.finish()?;
    let notification =
        transact!(api, |tx| action::set_read(tx, caller.user, id, is_read, now).await)?;
    Ok(Json(notification.into()))
}

/// Marks all of your notifications as read.
#[utoipa::path(
    post,
    path = "/notifications/mark-all-read/",
    tag = "notifications",
    responses((status = 200, description = "Marked", body = MarkedNotifications), Problems)
)]
pub(crate) async fn mark_all_notifications_read(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<MarkedNotifications>, Problem> {
    let now = api.clock().now();
    let updated = transact!(api, |tx| action::mark_all_read(tx, caller.user, now).await)?;
    Ok(Json(MarkedNotifications { updated }))
}
