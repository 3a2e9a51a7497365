//! `POST /orgs/accept-invite/`.

use axum::extract::State;
use domain::{FieldErrors, OrgId, Refusal};
use serde::{Deserialize, Serialize};
use store::actions::invites;
use utoipa::ToSchema;

use super::tell_moves;
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// An invite's token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AcceptInvite {
    /// As it was given.
    #[schema(value_type = String, required)]
    #[serde(default)]
    token: Field<String>,
}

/// What was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedInvite)]
pub(crate) struct AcceptedView {
    /// A sentence for people.
    detail: &'static str,
    /// The organization.
    org_id: OrgId,
    /// The caller's role in it now.
    role: &'static str,
}

/// Accepts an invite for the caller, whose address must be the invited one. The mailed token proves
/// that address; with the answered one, where verification is required, it must be proven before
/// (`email_unverified`). Who became a member by another way meanwhile keeps the higher of the two
/// roles.
#[utoipa::path(
    post,
    path = "/orgs/accept-invite/",
    tag = "orgs",
    request_body = AcceptInvite,
    responses(
        (status = 200, description = "Accepted", body = AcceptedView),
        (status = 410, description = "The invite has expired", body = crate::problem::ProblemView,
         content_type = "application/problem+json"),
        Problems
    )
)]
pub(crate) async fn accept_invite(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<AcceptInvite>,
) -> Result<Json<AcceptedView>, Problem> {
    let mut errors = FieldErrors::default();
    let token = body.token.required("token", &mut errors);
    errors.finish()?;
    let token = token.ok_or(Refusal::Internal)?;
    let now = api.clock().now();
    let accepted = transact!(api, |tx| invites::accept_invite(tx, caller, &token, now).await)?;
    tell_moves(&api, caller.user, &accepted.moved).await;
    Ok(Json(AcceptedView {
        detail: "invite accepted",
        org_id: accepted.org,
        role: accepted.role.as_str(),
    }))
}
