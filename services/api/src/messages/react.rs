//! `POST` and `DELETE /messages/{id}/reactions/`.

use axum::extract::State;
use domain::emoji::Emoji;
use domain::{Caller, FieldErrors, MessageId};
use nats::frames::MessageView;
use serde::Deserialize;
use store::actions::change_message;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};

/// A reaction.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ReactToMessage {
    /// One emoji; a message takes 20 different ones.
    #[schema(value_type = String, example = "👍")]
    #[serde(default)]
    emoji: Field<String>,
}

/// Adds the caller's reaction. Repeating changes nothing.
#[utoipa::path(
    post,
    path = "/messages/{id}/reactions/",
    tag = "messages",
    params(("id" = i64, Path, description = "The message")),
    request_body = ReactToMessage,
    responses((status = 200, description = "The message", body = MessageView), Problems)
)]
pub(crate) async fn add_reaction(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
    Body(body): Body<ReactToMessage>,
) -> Result<Json<MessageView>, Problem> {
    react(&api, caller, id, (body, true)).await
}

/// Takes the caller's reaction back. Repeating changes nothing.
#[utoipa::path(
    delete,
    path = "/messages/{id}/reactions/",
    tag = "messages",
    params(("id" = i64, Path, description = "The message")),
    request_body = ReactToMessage,
    responses((status = 200, description = "The message", body = MessageView), Problems)
)]
pub(crate) async fn remove_reaction(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
    Body(body): Body<ReactToMessage>,
) -> Result<Json<MessageView>, Problem> {
    react(&api, caller, id, (body, false)).await
}

async fn react(
    api: &Api,
    caller: Caller,
    id: MessageId,
    (body, is_on): (ReactToMessage, bool),
) -> Result<Json<MessageView>, Problem> {
    let mut tx = api.store().begin().await?;
    let target = change_message::message_for_changing(&mut tx, caller, id).await?;
    let target = target.for_reacting()?;
    let mut errors = FieldErrors::default();
    let emoji = body.emoji.required("emoji", &mut errors);
    let emoji = checked(emoji, "emoji", &mut errors, |emoji| Emoji::parse(&emoji));
    errors.finish()?;
    let Some(emoji) = emoji else { return Ok(Json(MessageView::from(target.message()))) };
    let now = api.clock().now();
    let message = change_message::react(&mut tx, target, (emoji, is_on), now).await?;
    api.commit(tx).await?;
    Ok(Json(MessageView::from(&message)))
}
