//! `GET` and `PATCH /orgs/{id}/retention/`, `GET /orgs/{id}/purges/`.

use axum::extract::State;
use contract::organizations::{PurgeView, RetentionView};
use domain::retention::{RETENTION_DAYS_MAX, RetentionChange};
use domain::{FieldErrors, OrgId, Refusal, Role};
use serde::Deserialize;
use store::actions::retention::change_retention;
use store::{access, queries};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// How long the organization's messages are kept, for its ADMINs.
#[utoipa::path(
    get,
    path = "/orgs/{id}/retention/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    responses((status = 200, description = "The rule", body = RetentionView), Problems)
)]
pub(crate) async fn get_retention(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
) -> Result<Json<RetentionView>, Problem> {
    let mut conn = api.store().read().await?;
    let access = access::org(&mut conn, caller, id).await?.at_least(Role::Admin)?;
    Ok(Json(queries::retention::retention(&mut conn, access).await?.into()))
}

/// What changes of the rule; what is absent stays.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct ChangeRetention {
    /// 1 to the days that the operator has set; null for these.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 36_500)]
    #[serde(default)]
    retention_days: Field<i64>,
    /// True: nothing is removed until it is false again.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    legal_hold: Field<bool>,
}

impl ChangeRetention {
    fn parse(self) -> Result<RetentionChange, Refusal> {
        let mut errors = FieldErrors::default();
        let days = match self.retention_days.cleared("retention_days", &mut errors) {
            Some(Some(days)) => checked(Some(days), "retention_days", &mut errors, |days| {
                let days = i32::try_from(days).ok();
                days.filter(|days| (1..=RETENTION_DAYS_MAX).contains(days))
                    .ok_or_else(|| format!("must be 1 to {RETENTION_DAYS_MAX}"))
            })
            .map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let legal_hold = self.legal_hold.patched("legal_hold", &mut errors);
        errors.finish()?;
        Ok(RetentionChange { days, legal_hold })
    }
}

/// Changes how long the organization's messages are kept: ADMINs. What expires by that is served
/// no more from now on, and removed soon after.
#[utoipa::path(
    patch,
    path = "/orgs/{id}/retention/",
    tag = "orgs",
    params(("id" = i64, Path, description = "The organization")),
    request_body = ChangeRetention,
    responses((status = 200, description = "The rule", body = RetentionView), Problems)
)]
pub(crate) async fn change_org_retention(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
    Body(body): Body<ChangeRetention>,
) -> Result<Json<RetentionView>, Problem> {
    let change = body.parse();
    let retention = transact!(api, |tx| {
        let access = access::org(tx.conn(), caller, id).await?.at_least(Role::Admin)?;
        change_retention(tx, access, change.clone()?).await
    })?;
    Ok(Json(retention.into()))
}

/// What was removed of the organization because its time was over, newest first, for its ADMINs.
#[utoipa::path(
    get,
    path = "/orgs/{id}/purges/",
    tag = "orgs",
    params(
        ("id" = i64, Path, description = "The organization"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<PurgeView>), Problems)
)]
pub(crate) async fn list_purges(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrgId>,
    query: Query,
) -> Result<Json<Page<PurgeView>>, Problem> {
    let page = query.page(Walk::NEWEST_FIRST)?;
    let mut conn = api.store().read().await?;
    let access = access::org(&mut conn, caller, id).await?.at_least(Role::Admin)?;
    let purges = queries::retention::purges(&mut conn, access, page.slice()).await?;
    Ok(Json(page.page(&api.config().public_url, purges, |purge| purge.id.0, PurgeView::from)))
}
