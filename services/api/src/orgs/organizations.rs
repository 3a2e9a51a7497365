//! `GET` and `POST /orgs/`, `GET`, `PATCH` and `DELETE /orgs/{id}/`.

use axum::extract::State;
use axum::http::StatusCode;
use contract::frames::LiveFrame;
use contract::organizations::OrgView;
use domain::org::org_name;
use domain::{FieldErrors, OrgId, Refusal, Role};
use serde::Deserialize;
use store::actions::orgs;
use store::{access, queries};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::{Created, Json};
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// The caller's organizations, by id.
#[utoipa::path(
    get,
    path = "/orgs/",
    tag = "orgs",
    params(
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<OrgView>), Problems)
)]
pub(crate) async fn list_orgs(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<Page<OrgView>>, Problem> {
    let page = query.page(Walk::OLDEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let orgs = queries::orgs::orgs(&mut conn, caller.user, page.slice()).await?;
    Ok(Json(page.page(&api.config().public_url, orgs, |org| org.id.0, OrgView::from)))
}

/// A new organization.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateOrg {
    /// 1..120 characters.
    #[schema(value_type = String, required, min_length = 1, max_length = 120)]
    #[serde(default)]
    name: Field<String>,
}

/// Creates an organization, whose ADMIN is the caller. One account can create 10, unless the
/// operator says otherwise.
#[utoipa::path(
    post,
    path = "/orgs/",
    tag = "orgs",
    request_body = CreateOrg,
    responses((status = 201, description = "The organization", body = OrgView), Problems)
)]
pub(crate) async fn create_org(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<CreateOrg>,
) -> Result<Created<OrgView>, Problem> {
    let mut errors = FieldErrors::default();
    let name = body.name.required("name", &mut errors);
    let name = checked(name, "name", &mut errors, |name| org_name(&name));
    errors.finish()?;
    let name = name.ok_or(Refusal::Internal)?;
    let now = api.clock().now();
    let by = (caller, api.config().abuse.organizations);
    let org = transact!(api, |tx| orgs::create_org(tx, by, name.clone(), now).await)?;
    Ok(Created { location: api.link(&format!("/orgs/{}/", org.id)), view: OrgView::from(org) })
}

/// An organization, for its members.
#[utoipa::path(
    get,
    path = "/orgs/{id}/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    responses((status = 200, description = "The organization", body = OrgView), Problems)
)]
pub(crate) async fn get_org(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
) -> Result<Json<OrgView>, Problem> {
    let mut conn = api.store().read().await?;
    let access = access::org(&mut conn, caller, id).await?;
    Ok(Json(OrgView::from(queries::orgs::org(&mut conn, access).await?)))
}

/// What changes of an organization; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeOrg {
    /// 1..120 characters.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 120)]
    #[serde(default)]
    name: Field<String>,
}

impl ChangeOrg {
    fn parse(self) -> Result<Option<String>, Refusal> {
        let mut errors = FieldErrors::default();
        let name = self.name.patched("name", &mut errors);
        let name = checked(name, "name", &mut errors, |name| org_name(&name));
        errors.finish()?;
        Ok(name)
    }
}

/// Renames an organization: ADMINs.
#[utoipa::path(
    patch,
    path = "/orgs/{id}/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    request_body = ChangeOrg,
    responses((status = 200, description = "The organization", body = OrgView), Problems)
)]
pub(crate) async fn change_org(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
    Body(body): Body<ChangeOrg>,
) -> Result<Json<OrgView>, Problem> {
    let name = body.parse();
    let org = transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?.at_least(Role::Admin)?;
        match name.clone()? {
            Some(name) => orgs::rename_org(tx, access, &name).await,
            None => queries::orgs::org(tx.conn(), access).await,
        }
    })?;
    Ok(Json(OrgView::from(org)))
}

/// Deletes an organization with its rooms and messages: ADMINs. Sockets get `room.deleted` for
/// each of its rooms.
#[utoipa::path(
    delete,
    path = "/orgs/{id}/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    responses((status = 204, description = "Deleted"), Problems)
)]
pub(crate) async fn delete_org(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
) -> Result<StatusCode, Problem> {
    let now = api.clock().now();
    let rooms = transact!(api, |tx| {
        let access = access::org_for_changing(tx, caller, id).await?;
        orgs::delete_org(tx, access, now).await
    })?;
    for room in rooms {
        api.live(room, caller.user, &LiveFrame::RoomDeleted { room });
    }
    Ok(StatusCode::NO_CONTENT)
}
