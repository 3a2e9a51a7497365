//! `GET /uploads/my-uploads/`, `GET /uploads/{id}/`.

use axum::extract::State;
use contract::uploads::{UploadView, UploadWithUrlsView};
use store::queries::uploads::{find_readable, uploads};

use super::{view, view_with_urls};
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::path::PathUpload;
use crate::problem::{Problem, Problems};

/// The caller's uploads, newest first.
#[utoipa::path(
    get,
    path = "/uploads/my-uploads/",
    tag = "uploads",
    params(
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<UploadView>), Problems)
)]
pub(crate) async fn list_uploads(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<Page<UploadView>>, Problem> {
    let page = query.page(Walk::NEWEST_FIRST)?;
    let now = api.clock().now();
    let found = uploads(&mut *api.store().read().await?, caller, page.slice(), now).await?;
    let url = &api.config().public_url;
    let view = |upload| view(&api, upload);
    Ok(Json(page.page(url, found, |upload| upload.number, view)))
}

/// An upload with an address for its bytes that lives an hour: for its owner, and for members of a
/// room where a message that is not deleted carries it.
#[utoipa::path(
    get,
    path = "/uploads/{id}/",
    tag = "uploads",
    params(("id" = domain::UploadId, Path, description = "The upload")),
    responses((status = 200, description = "The upload", body = UploadWithUrlsView), Problems)
)]
pub(crate) async fn get_upload(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathUpload(id): PathUpload,
) -> Result<Json<UploadWithUrlsView>, Problem> {
    let now = api.clock().now();
    let upload = find_readable(&mut *api.store().read().await?, caller, id, now).await?;
    Ok(Json(view_with_urls(&api, upload).await?))
}
