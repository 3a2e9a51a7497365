//! `POST /orgs/accept-invite/`, and `/orgs/check-invite/` before it.

use axum::extract::State;
use contract::organizations::{AcceptedInviteView, InviteDetailsView};
use domain::{FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::invites;
use utoipa::ToSchema;

use super::tell_moves;
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::{Anyone, Authenticated};
use crate::json::Json;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// An invite's token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct InviteToken {
    /// As it was given.
    #[schema(value_type = String, required)]
    #[serde(default)]
    token: Field<String>,
}

impl InviteToken {
    fn checked(self) -> Result<String, Problem> {
        let mut errors = FieldErrors::default();
        let token = self.token.required("token", &mut errors);
        errors.finish()?;
        Ok(token.ok_or(Refusal::Internal)?)
    }
}

/// Returns the details of an open invite. Needs only its token, and does not consume it. Refused as
/// accepting would be, except that nobody's address is compared.
#[utoipa::path(
    post,
    path = "/orgs/check-invite/",
    tag = "orgs",
    security(()),
    request_body = InviteToken,
    responses(
        (status = 200, description = "It can be accepted", body = InviteDetailsView),
        (status = 410, description = "The invite has expired", body = crate::problem::ProblemView,
         content_type = "application/problem+json"),
        Problems
    )
)]
pub(crate) async fn check_invite(
    State(api): State<Api>,
    _: Anyone,
    Body(body): Body<InviteToken>,
) -> Result<Json<InviteDetailsView>, Problem> {
    let token = body.checked()?;
    let mut conn = api.store().read().await?;
    let found = invites::invite_details(&mut conn, &token, api.clock().now()).await?;
    Ok(Json(InviteDetailsView {
        org_id: found.org,
        org_name: found.org_name,
        invited_by: found.invited_by,
        email: found.email,
        role: found.role.as_str(),
        expires_at: found.expires_at,
    }))
}

/// Accepts an invite for the caller, whose address must be the invited one. The mailed token proves
/// that address; with the answered one, where verification is required, it must be proven before
/// (`email_unverified`). Who became a member by another way meanwhile keeps the higher of the two
/// roles.
#[utoipa::path(
    post,
    path = "/orgs/accept-invite/",
    tag = "orgs",
    request_body = InviteToken,
    responses(
        (status = 200, description = "Accepted", body = AcceptedInviteView),
        (status = 410, description = "The invite has expired", body = crate::problem::ProblemView,
         content_type = "application/problem+json"),
        Problems
    )
)]
pub(crate) async fn accept_invite(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<InviteToken>,
) -> Result<Json<AcceptedInviteView>, Problem> {
    let token = body.checked()?;
    let now = api.clock().now();
    let accepted = transact!(api, |tx| invites::accept_invite(tx, caller, &token, now).await)?;
    tell_moves(&api, caller.user, &accepted.moved).await;
    Ok(Json(AcceptedInviteView {
        detail: "invite accepted",
        org_id: accepted.org,
        role: accepted.role.as_str(),
    }))
}
