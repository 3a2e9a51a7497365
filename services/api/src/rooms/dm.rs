//! `POST /rooms/dm/`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use contract::rooms::RoomView;
use domain::{FieldErrors, OrgId, Refusal, UserId};
use serde::Deserialize;
use store::access;
use store::actions::open_dm as action;
use utoipa::ToSchema;

use super::create::org_id;
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::{Created, Json};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A direct message to open.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OpenDm {
    /// The organization.
    #[schema(value_type = i64)]
    #[serde(default)]
    org: Field<i64>,
    /// 1..8 other people of the organization; your own id and repeats are ignored.
    #[schema(value_type = Vec<i64>)]
    #[serde(default)]
    user_ids: Field<Vec<i64>>,
}

impl OpenDm {
    fn into_people(self) -> Result<(OrgId, Result<Vec<UserId>, Refusal>), Refusal> {
        let mut errors = FieldErrors::default();
        let org = org_id(self.org, &mut errors);
        let ids = self.user_ids.required("user_ids", &mut errors);
        let people = checked(ids, "user_ids", &mut errors, |ids| {
            let people = ids.into_iter().map(UserId::from_client).collect::<Option<Vec<_>>>();
            people.ok_or_else(|| "must be a list of ids from 1 to 9223372036854775807".to_owned())
        });
        let Some(org) = org else { return Err(Refusal::ValidationFailed(errors)) };
        Ok((org, errors.finish().map(|()| people.unwrap_or_default())))
    }
}

/// Opens the direct message that a set of people has, or makes it. Who had left the organization
/// and is back is put into it again.
#[utoipa::path(
    post,
    path = "/rooms/dm/",
    tag = "rooms",
    request_body = OpenDm,
    responses(
        (status = 201, description = "The new room", body = RoomView),
        (status = 200, description = "The room that these people have already", body = RoomView),
        Problems
    )
)]
pub(crate) async fn open_dm(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<OpenDm>,
) -> Result<Response, Problem> {
    let (org, people) = body.into_people()?;
    let now = api.clock().now();
    let opened = transact!(api, |tx| {
        let org = access::org_for_changing(tx, caller, org).await?;
        action::open_dm(tx, org, caller, &people.clone()?, now).await
    })?;
    let view = RoomView::from(&opened.room);
    super::push_added(&api, &opened.added, &view);
    if !opened.is_new {
        return Ok(Json(view).into_response());
    }
    // Their other tabs and devices list it too.
    super::push_added(&api, &[caller.user], &view);
    Ok(Created { location: api.link(&format!("/rooms/{}/", view.id)), view }.into_response())
}
