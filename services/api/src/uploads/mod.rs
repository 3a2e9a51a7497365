//! Uploads: section 5 of the contract. Bytes go straight between the client and the object store,
//! under addresses that we sign; here are only their rows.

mod complete;
mod list;
mod presign;

use domain::upload::{UploadStatus, disposition};
use domain::{Refusal, Timestamp, Upload, UploadId, media_type};
use objects::{Objects, ResponseHeaders};
use serde::Serialize;
use utoipa::ToSchema;
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

/// An upload.
#[derive(Serialize, ToSchema)]
#[schema(as = Upload)]
pub(crate) struct UploadView {
    /// The upload's id.
    id: UploadId,
    /// The file's name, as text.
    filename: String,
    /// Bytes.
    file_size: i64,
    /// The type: the announced one in its usual form; once completed,
    /// `application/octet-stream` where the bytes do not agree with it.
    content_type: String,
    /// The upload's stable address; its bytes are at `download_url`.
    file_url: String,
    /// `pending` until the object is there, then `completed`.
    #[schema(value_type = String, pattern = "^(pending|completed)$")]
    status: &'static str,
    /// When it was completed; null before.
    uploaded_at: Option<Timestamp>,
    /// When it is removed unless it is completed, or posted, before; null once it was posted.
    expires_at: Option<Timestamp>,
    /// Pixels; null until they are known, and for what is no image.
    width: Option<i32>,
    /// Pixels; null until they are known, and for what is no image.
    height: Option<i32>,
}

/// An upload with the way to its bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadWithUrls)]
pub(crate) struct DownloadView {
    #[serde(flatten)]
    upload: UploadView,
    /// Where its bytes are, for an hour; null until it is completed. They are served as an
    /// attachment; pictures, sound, films, PDF and plain text with their type, all else as
    /// `application/octet-stream`.
    download_url: Option<String>,
    /// Where a small picture of it is, for an hour; null until there is one.
    preview_url: Option<String>,
}

impl UploadView {
    fn new(api: &Api, upload: Upload) -> Self {
        Self {
            id: upload.id,
            filename: upload.filename,
            file_size: upload.file_size,
            content_type: upload.content_type,
            file_url: api.upload_url(upload.id),
            status: upload.status.word(),
            uploaded_at: upload.uploaded_at,
            expires_at: upload.expires_at,
            width: upload.width,
            height: upload.height,
        }
    }
}

impl DownloadView {
    async fn new(api: &Api, upload: Upload) -> Result<Self, Problem> {
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
        Ok(Self { upload: UploadView::new(api, upload), download_url, preview_url })
    }
}

/// The object store; `Unavailable` in a deployment without one.
fn store_of(api: &Api) -> Result<&Objects, Refusal> {
    api.objects().ok_or(Refusal::Unavailable)
}
