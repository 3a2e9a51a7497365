//! `POST /uploads/{id}/complete/`.

use axum::extract::State;
use contract::uploads::UploadView;
use domain::media_type::{self, START_BYTES, fits, is_image, is_served};
use domain::upload::UploadStatus;
use domain::{Refusal, Upload};
use objects::Objects;
use store::actions::uploads::complete;
use store::queries::uploads::find_own;

use super::{store_of, view};
use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathUpload;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

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
        return Ok(Json(view(&api, upload)));
    }
    let Some(content_type) = verified_type(store_of(&api)?, &upload).await? else {
        return Err(Refusal::UploadIncomplete.into());
    };
    let upload = transact!(api, |tx| complete(tx, caller, id, content_type, now).await)?;
    Ok(Json(view(&api, upload)))
}

/// The type of the stored object: the announced one, or [`media_type::UNKNOWN`] where a browser
/// would be given the announced one and the bytes do not agree with it. `None` when the object is
/// not what was announced: the signature enforced size and type already, this does not rely on it.
async fn verified_type<'a>(
    objects: &Objects,
    upload: &'a Upload,
) -> Result<Option<&'a str>, Refusal> {
    let content_type = upload.content_type.as_str();
    let head = objects.head(&upload.object_key).await.map_err(unavailable)?;
    let is_announced =
        head.is_some_and(|head| head.size == upload.file_size && head.content_type == content_type);
    if !is_announced {
        return Ok(None);
    }
    if !is_served(content_type) {
        return Ok(Some(content_type));
    }
    let start = objects.start_of(&upload.object_key, START_BYTES).await.map_err(unavailable)?;
    if fits(content_type, &start) {
        return Ok(Some(content_type));
    }
    // A picture is shown in place, so a damaged one is refused while its sender can still act.
    Ok((!is_image(content_type)).then_some(media_type::UNKNOWN))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: objects::Error) -> Refusal {
    tracing::warn!(error = %error, "an upload cannot be looked at: {error}");
    Refusal::Unavailable
}
