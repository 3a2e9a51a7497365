//! `GET /orgs/{id}/members/`, `DELETE /orgs/{id}/members/{user_id}/`,
//! `POST /orgs/{id}/members/{user_id}/role/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::organizations::{ChangedRoleView, OrgMemberView};
use domain::{FieldErrors, OrgId, Refusal, Role, UserId};
use serde::Deserialize;
use store::actions::org_members;
use store::{access, queries};
use utoipa::ToSchema;

use super::tell_moves;
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::{PathId, PathIds};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// An organization's members, by id: for members.
#[utoipa::path(
    get,
    path = "/orgs/{id}/members/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("search" = Option<String>, Query, description = "Part of a name or an e-mail address, in any case and normal form; the domain in Unicode or punycode"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<OrgMemberView>), Problems)
)]
pub(crate) async fn list_org_members(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
    mut query: Query,
) -> Result<Json<Page<OrgMemberView>>, Problem> {
    let search = query.text("search").map(|text| text.trim().to_owned());
    let search = search.filter(|text| !text.is_empty());
    if search.as_ref().is_some_and(|text| text.contains('\0')) {
        query.fault("search", "must not contain the character U+0000");
    }
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let access = access::org(&mut conn, caller, id).await?;
    let slice = page.slice();
    let members =
        queries::org_members::org_members(&mut conn, access, search.as_deref(), slice).await?;
    let url = &api.config().public_url;
    Ok(Json(page.page(url, members, |member| member.id.0, OrgMemberView::from)))
}

/// A member's new role.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeRole {
    /// `ADMIN`, `MANAGER` or `MEMBER`.
    #[schema(value_type = String, required, example = "MANAGER")]
    #[serde(default)]
    role: Field<String>,
}

impl ChangeRole {
    fn parse(self) -> Result<Role, Refusal> {
        let mut errors = FieldErrors::default();
        let role = self.role.required("role", &mut errors);
        let role = checked(role, "role", &mut errors, |role| super::role(&role));
        errors.finish()?;
        role.ok_or(Refusal::Internal)
    }
}

/// Gives a member a role: ADMINs. The last ADMIN stays one.
///
/// Who is demoted leaves the rooms that their role no longer admits; who is promoted comes into
/// the auto-join rooms that it newly admits.
#[utoipa::path(
    post,
    path = "/orgs/{id}/members/{user_id}/role/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("user_id" = i64, Path, description = "The member")
    ),
    request_body = ChangeRole,
    responses((status = 200, description = "The role", body = ChangedRoleView), Problems)
)]
pub(crate) async fn change_role(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIds(id, user): PathIds<OrgId, UserId>,
    Body(body): Body<ChangeRole>,
) -> Result<Json<ChangedRoleView>, Problem> {
    let role = body.parse();
    let now = api.clock().now();
    let (role, moved) = transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?;
        let member = org_members::member_for_promoting(tx, (caller, access), user).await?;
        let role = role.clone()?;
        Ok((role, org_members::change_role(tx, member, role, now).await?))
    })?;
    tell_moves(&api, user, &moved).await;
    Ok(Json(ChangedRoleView { org_id: id, user_id: user, role: role.as_str() }))
}

/// Removes a member, who leaves every room of the organization: ADMINs, or the member. The last
/// ADMIN stays.
#[utoipa::path(
    delete,
    path = "/orgs/{id}/members/{user_id}/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("user_id" = i64, Path, description = "The member")
    ),
    responses((status = 204, description = "Removed"), Problems)
)]
pub(crate) async fn remove_org_member(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathIds(id, user): PathIds<OrgId, UserId>,
) -> Result<StatusCode, Problem> {
    let now = api.clock().now();
    let moved = transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?;
        let member = org_members::member_for_removing(tx, (caller, access), user).await?;
        org_members::remove_member(tx, member, now).await
    })?;
    tell_moves(&api, user, &moved).await;
    Ok(StatusCode::NO_CONTENT)
}
