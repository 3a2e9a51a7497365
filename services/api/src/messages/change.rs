//! `GET`, `PATCH` and `DELETE /messages/{id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::messages::MessageView;
use domain::message::{self, MessageText};
use domain::{FieldErrors, MessageId, Refusal};
use serde::Deserialize;
use store::actions::change_message;
use store::{access, queries};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A message, for members of its room.
#[utoipa::path(
    get,
    path = "/messages/{id}/",
    tag = "messages",
    params(("id" = i64, Path, description = "The message")),
    responses((status = 200, description = "The message", body = MessageView), Problems)
)]
pub(crate) async fn get_message(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
) -> Result<Json<MessageView>, Problem> {
    let mut conn = api.store().read().await?;
    let message = queries::messages::find_message(&mut conn, id, api.clock().now())
        .await?
        .ok_or(Refusal::NotFound)?;
    access::room_as_member(&mut conn, caller.user, message.room).await?;
    Ok(Json(MessageView::from(&message)))
}

/// A message's new text.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EditMessage {
    /// `CommonMark`, at most 10,000 characters.
    #[schema(value_type = Option<String>, max_length = 10_000)]
    #[serde(default)]
    body: Field<String>,
}

/// Changes a message's text: its sender, while a member. The same text is no event.
#[utoipa::path(
    patch,
    path = "/messages/{id}/",
    tag = "messages",
    params(("id" = i64, Path, description = "The message")),
    request_body = EditMessage,
    responses((status = 200, description = "The message", body = MessageView), Problems)
)]
pub(crate) async fn edit_message(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
    Body(edit): Body<EditMessage>,
) -> Result<Json<MessageView>, Problem> {
    let now = api.clock().now();
    // Read before the transaction: the room's lock does not wait for it.
    let mut faults = FieldErrors::default();
    let body = edit.body.patched("body", &mut faults);
    let text = checked(body, "body", &mut faults, |body| MessageText::parse(body, true));
    let (message, here) = transact!(api, |tx| {
        let target =
            change_message::message_for_changing(tx, caller, id, now).await?.for_editing()?;
        let mut errors = faults.clone();
        let may_be_blank = target.message().file_url.is_some();
        if !may_be_blank && text.as_ref().is_some_and(MessageText::is_blank) {
            errors.add("body", message::BLANK_WITHOUT_FILE);
        }
        errors.finish()?;
        match &text {
            Some(text) => change_message::edit_message(tx, target, text).await,
            None => Ok((target.message().clone(), None)),
        }
    })?;
    if let Some(seq) = here {
        api.here().said(message.room, message.id, seq);
    }
    Ok(Json(MessageView::from(&message)))
}

/// Deletes a message: its sender, or (in no direct message) a MANAGER or ADMIN, while a member.
/// Its place stays, its text is gone.
#[utoipa::path(
    delete,
    path = "/messages/{id}/",
    tag = "messages",
    params(("id" = i64, Path, description = "The message")),
    responses((status = 204, description = "Deleted, now or before"), Problems)
)]
pub(crate) async fn delete_message(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
) -> Result<StatusCode, Problem> {
    let now = api.clock().now();
    transact!(api, |tx| {
        let target = change_message::message_for_changing(tx, caller, id, now).await?;
        change_message::delete_message(tx, target, now).await
    })?;
    Ok(StatusCode::NO_CONTENT)
}
