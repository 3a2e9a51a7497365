//! `POST` and `DELETE /messages/{id}/reactions/`.

use axum::extract::{FromRequest, Request, State};
use contract::messages::MessageView;
use domain::emoji::Emoji;
use domain::{Caller, FieldErrors, MessageId, Refusal};
use serde::Deserialize;
use store::actions::change_message;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::Query;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

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

/// Takes the caller's reaction back, which the query or the body names. Repeating changes nothing.
#[utoipa::path(
    delete,
    path = "/messages/{id}/reactions/",
    tag = "messages",
    params(
        ("id" = i64, Path, description = "The message"),
        ("emoji" = Option<String>, Query, description = "The emoji, in the place of a body")
    ),
    request_body = Option<ReactToMessage>,
    responses((status = 200, description = "The message", body = MessageView), Problems)
)]
pub(crate) async fn remove_reaction(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<MessageId>,
    query: Query,
    request: Request,
) -> Result<Json<MessageView>, Problem> {
    let body = match query.text("emoji") {
        Some(emoji) => ReactToMessage { emoji: Field::Value(emoji.to_owned()) },
        None => Body::from_request(request, &api).await?.0,
    };
    react(&api, caller, id, (body, false)).await
}

async fn react(
    api: &Api,
    caller: Caller,
    id: MessageId,
    (body, is_on): (ReactToMessage, bool),
) -> Result<Json<MessageView>, Problem> {
    let mut errors = FieldErrors::default();
    let emoji = body.emoji.required("emoji", &mut errors);
    let emoji = checked(emoji, "emoji", &mut errors, |emoji| Emoji::parse(&emoji));
    let emoji = emoji.ok_or(Refusal::ValidationFailed(errors));
    let now = api.clock().now();
    let message = transact!(api, |tx| {
        let target =
            change_message::message_for_changing(tx, caller, id, now).await?.for_reacting()?;
        let emoji = emoji.clone()?;
        change_message::react(tx, target, (emoji, is_on), now).await
    })?;
    Ok(Json(MessageView::from(&message)))
}
