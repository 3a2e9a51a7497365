//! `POST /messages/rooms/{room}/`, and the same send from a socket.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use contract::messages::MessageView;
use domain::message::MessageDraft;
use domain::{Caller, FieldErrors, NewMessage, Refusal, RoomId};
use serde::Deserialize;
use store::access;
use store::actions::post_messages::{Post, Posted};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Authenticated;
use crate::json::{Created, Json};
use crate::path::PathId;
use crate::poster::Pending;
use crate::problem::{Problem, Problems};

/// Says that an earlier send with the same nonce made the message.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A message to send: a body or a file.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PostMessage {
    /// `CommonMark`, at most 10,000 characters.
    #[schema(value_type = Option<String>, max_length = 10_000)]
    #[serde(default)]
    body: Field<String>,
    /// An http or https address, at most 2,000 characters.
    #[schema(value_type = Option<String>, max_length = 2_000)]
    #[serde(default)]
    file_url: Field<String>,
    /// A completed upload of yours.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    upload_id: Field<String>,
    /// The message of this room that it answers.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    reply_to: Field<i64>,
    /// Your own id for this send: a retry with the same nonce never sends twice.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    #[serde(default)]
    nonce: Field<String>,
}

impl PostMessage {
    fn into_message(self) -> Result<NewMessage, Refusal> {
        let mut errors = FieldErrors::default();
        let draft = MessageDraft {
            body: self.body.optional("body", &mut errors),
            file_url: self.file_url.optional("file_url", &mut errors),
            // One that could not be read is a file all the same: the body may be blank.
            upload_id: self
                .upload_id
                .optional("upload_id", &mut errors)
                .or_else(|| errors.names("upload_id").then(String::new)),
            reply_to: self.reply_to.optional("reply_to", &mut errors),
            nonce: self.nonce.optional("nonce", &mut errors),
        };
        match NewMessage::parse(draft) {
            Ok(message) if errors.is_empty() => Ok(message),
            Ok(_) => Err(Refusal::ValidationFailed(errors)),
            Err(Refusal::ValidationFailed(more)) => {
                // A field that could not be read is not also missing.
                let mut unread = errors.clone();
                for (field, faults) in more.iter().filter(|(field, _)| !errors.names(field)) {
                    unread.extend(field, faults);
                }
                Err(Refusal::ValidationFailed(unread))
            }
            Err(other) => Err(other),
        }
    }
}

/// A send that was looked at: on its way, or refused before it could be.
pub(crate) enum Submitted {
    /// In the queue.
    Pending(Pending),
    /// Invalid; whether the sender may know that is still to be asked.
    Invalid(Caller, RoomId, Refusal),
    /// Turned away.
    Refused(Problem),
}

/// Puts a send in the queue of the next group commit, at once: the order of calls is kept.
pub(crate) fn post_message(
    api: &Api,
    caller: Caller,
    room: RoomId,
    message: PostMessage,
) -> Submitted {
    match message.into_message() {
        Err(refusal) => Submitted::Invalid(caller, room, refusal),
        Ok(message) => {
            let message = message.with_upload_url(|upload| api.upload_url(upload));
            match api.poster().submit(Post { caller, room, message }) {
                Ok(pending) => Submitted::Pending(pending),
                Err(problem) => Submitted::Refused(problem),
            }
        }
    }
}

impl Submitted {
    /// The answer, once the message is on disk.
    pub(crate) async fn answer(self, api: &Api) -> Result<Posted, Problem> {
        match self {
            Self::Pending(pending) => pending.answer().await,
            Self::Refused(problem) => Err(problem),
            Self::Invalid(caller, room, refusal) => {
                // A stranger's invalid message tells nothing.
                let mut conn = api.store().read().await?;
                access::room_as_member(&mut conn, caller.user, room).await?;
                Err(refusal.into())
            }
        }
    }
}

/// Sends a message. When 201 is answered, it is on disk.
#[utoipa::path(
    post,
    path = "/messages/rooms/{room}/",
    tag = "messages",
    params(("room" = i64, Path, description = "The room")),
    request_body = PostMessage,
    responses(
        (status = 201, description = "Sent", body = MessageView),
        (status = 200, description = "Had been sent with this nonce: `Idempotent-Replayed: true`", body = MessageView),
        Problems
    )
)]
pub(crate) async fn create_message(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(room): PathId<RoomId>,
    Body(body): Body<PostMessage>,
) -> Result<Response, Problem> {
    let posted = post_message(&api, caller, room, body).answer(&api).await?;
    let view = MessageView::from(&posted.message);
    if posted.is_replay {
        return Ok(([(REPLAYED, HeaderValue::from_static("true"))], Json(view)).into_response());
    }
    let location = api.link(&format!("/messages/{}/", posted.message.id));
    Ok(Created { location, view }.into_response())
}
