//! `POST /uploads/{id}/complete/`.

use axum::extract::State;
use domain::upload::{UploadStatus, fits, is_image};
use domain::{Refusal, Upload};
use objects::Objects;
use store::actions::uploads::complete;
use store::queries::uploads::find_own;

use super::{UploadView, store_of};
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathUpload;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Bytes of a file that tell what it is.
const START_BYTES: usize = 16;

/// Says that the bytes are there. Again answers the same.
#[utoipa::path(
    post,
    path = "/uploads/{id}/complete/",
    tag = "uploads",
    params(("id" = domain::UploadId, Path, description = "The upload")),
    responses((status = 200, description = "The upload", body = UploadView), Problems)
)]
pub(crate) async fn complete_upload(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathUpload(id): PathUpload,
) -> Result<Json<UploadView>, Problem> {
    let now = api.clock().now();
    let upload = find_own(&mut *api.store().read().await?, caller, id, now).await?;
    if upload.status == UploadStatus::Completed {
        return Ok(Json(UploadView::new(&api, upload)));
    }
    if !is_there(store_of(&api)?, &upload).await? {
        return Err(Refusal::UploadIncomplete.into());
    }
    let upload = transact!(api, |tx| complete(tx, caller, id, now).await)?;
    Ok(Json(UploadView::new(&api, upload)))
}

/// Whether the store has what was announced. The signature saw to it already; this does not trust
/// the store to have heeded it.
async fn is_there(objects: &Objects, upload: &Upload) -> Result<bool, Refusal> {
    let head = objects.head(&upload.object_key).await.map_err(unavailable)?;
    let is_announced = head.is_some_and(|head| {
        head.size == upload.file_size && head.content_type == upload.content_type
    });
    if !is_announced || !is_image(&upload.content_type) {
        return Ok(is_announced);
    }
    let start = objects.start_of(&upload.object_key, START_BYTES).await.map_err(unavailable)?;
    Ok(fits(&upload.content_type, &start))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: objects::Error) -> Refusal {
    tracing::warn!(error = %error, "an upload cannot be looked at: {error}");
    Refusal::Unavailable
}
