//! Uploads: section 5 of the contract. Bytes go straight between the client and the object store,
//! under addresses that we sign; here are only their rows.

mod complete;
mod list;
mod presign;

use contract::uploads::{UploadView, UploadWithUrlsView};
use domain::upload::{UploadStatus, disposition};
use domain::{Refusal, Upload, media_type};
use objects::{Objects, ResponseHeaders};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::problem::Problem;

/// The routes of uploads.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(presign::presign_upload))
        .routes(routes!(complete::complete_upload))
        .routes(routes!(list::list_uploads))
        .routes(routes!(list::get_upload))
}

/// The object store; `Unavailable` in a deployment without one.
fn store_of(api: &Api) -> Result<&Objects, Refusal> {
    api.objects().ok_or(Refusal::Unavailable)
}

fn view(api: &Api, upload: Upload) -> UploadView {
    let file_url = api.upload_url(upload.id);
    UploadView::new(upload, file_url)
}

/// An upload, with signed addresses of its bytes and its preview.
async fn view_with_urls(api: &Api, upload: Upload) -> Result<UploadWithUrlsView, Problem> {
    let objects = store_of(api)?;
    let during = (api.clock().now().into(), domain::limits::DOWNLOAD_URL_LIFETIME);
    let disposition = disposition(&upload.filename);
    let sign = async |key: &str, content_type: Option<&str>| {
        let headers = ResponseHeaders { content_disposition: &disposition, content_type };
        let signed = objects.presign_get(key, headers, during).await;
        signed.map_err(|error| Problem::bug(&error))
    };
    let served = media_type::served(&upload.content_type);
    let download_url = match upload.status {
        UploadStatus::Completed => Some(sign(&upload.object_key, Some(served)).await?),
        UploadStatus::Pending => None,
    };
    let preview_url = match &upload.preview_key {
        // Of our own making, with its own type.
        Some(key) => Some(sign(key, None).await?),
        None => None,
    };
    Ok(UploadWithUrlsView { upload: view(api, upload), download_url, preview_url })
}
