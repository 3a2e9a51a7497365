//! `POST /orgs/{id}/invite/`, `GET /orgs/{id}/invites/`, `DELETE /orgs/{id}/invites/{invite_id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::organizations::{InviteView, NewInviteView};
use domain::org::NewInvite;
use domain::{Email, FieldErrors, InviteId, OrgId, Refusal, Role};
use serde::Deserialize;
use store::actions::invites::{self, InviteRequest};
use store::{access, queries};
use utoipa::ToSchema;

use crate::Api;
use crate::auth::{count_mail_limit, random_token};
use crate::body::{Body, Field, checked};
use crate::caller::{Authenticated, ClientAddress};
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::{PathId, PathIds};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateInvite {
    /// With an account or not yet.
    #[schema(value_type = String, required, format = Email, max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// `ADMIN`, `MANAGER` or `MEMBER` (the default); not above the caller's own.
    #[schema(value_type = Option<String>, example = "MEMBER")]
    #[serde(default)]
    role: Field<String>,
}

impl CreateInvite {
    fn parse(self) -> Result<NewInvite, Refusal> {
        let mut errors = FieldErrors::default();
        let email = self.email.required("email", &mut errors);
        let email = checked(email, "email", &mut errors, |email| Email::parse(&email));
        let role = self.role.patched("role", &mut errors);
        let role = checked(role, "role", &mut errors, |role| super::role(&role));
        errors.finish()?;
        let email = email.ok_or(Refusal::Internal)?;
        Ok(NewInvite { email, role: role.unwrap_or(Role::Member) })
    }
}

/// Invites an address into the organization: MANAGERs and ADMINs, not above their own role. There
/// is one open invite per address, withdrawn when its creator leaves the organization or loses the
/// role that allowed it. Mails are limited per account, organization, invited mailbox and client: 429.
#[utoipa::path(
    post,
    path = "/orgs/{id}/invite/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    request_body = CreateInvite,
    responses((status = 201, description = "The invite", body = NewInviteView), Problems)
)]
pub(crate) async fn create_invite(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    ClientAddress(address): ClientAddress,
    PathId(id): PathId<OrgId>,
    Body(body): Body<CreateInvite>,
) -> Result<Response, Problem> {
    let new = body.parse();
    let (token, mailed_token) = (random_token(), random_token());
    let now = api.clock().now();
    let invite = transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?.at_least(Role::Manager)?;
        let request = InviteRequest {
            new: new.clone()?,
            answered_token: &token,
            mailed_token: &mailed_token,
            limits: api.config().abuse,
            source: Some(api.mail_source(address)),
        };
        invites::create_invite(tx, (caller, access), request, now).await
    })
    .inspect_err(count_mail_limit)?;
    let view = NewInviteView {
        id: invite.id,
        token,
        email: invite.email,
        role: invite.role.as_str(),
        expires_at: invite.expires_at,
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// The organization's open invites, newest first: MANAGERs and ADMINs.
#[utoipa::path(
    get,
    path = "/orgs/{id}/invites/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<InviteView>), Problems)
)]
pub(crate) async fn list_invites(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
    query: Query,
) -> Result<Json<Page<InviteView>>, Problem> {
    let page = query.page(Walk::NEWEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let access = access::org(&mut conn, caller, id).await?.at_least(Role::Manager)?;
    let now = api.clock().now();
    let invites = queries::orgs::open_invites(&mut conn, access, page.slice(), now).await?;
    let url = &api.config().public_url;
    Ok(Json(page.page(url, invites, |invite| invite.id.0, InviteView::from)))
}

/// Withdraws an open invite: MANAGERs and ADMINs.
#[utoipa::path(
    delete,
    path = "/orgs/{id}/invites/{invite_id}/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("invite_id" = i64, Path, description = "The invite")
    ),
    responses((status = 204, description = "Withdrawn"), Problems)
)]
pub(crate) async fn delete_invite(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIds(id, invite): PathIds<OrgId, InviteId>,
) -> Result<StatusCode, Problem> {
    transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?;
        invites::delete_invite(tx, access, invite).await
    })?;
    Ok(StatusCode::NO_CONTENT)
}
