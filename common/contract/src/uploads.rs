//! Uploads.

use std::collections::BTreeMap;

use domain::{Timestamp, Upload, UploadId};
use serde::Serialize;
use utoipa::ToSchema;

/// An upload.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadView {
    /// The upload's id.
    pub id: UploadId,
    /// The file's name, as text.
    pub filename: String,
    /// Bytes.
    pub file_size: i64,
    /// The type: the announced one in its usual form; once completed,
    /// `application/octet-stream` where the bytes do not agree with it.
    pub content_type: String,
    /// The upload's stable address; its bytes are at `download_url`.
    pub file_url: String,
    /// `pending` until the object is there, then `completed`.
    #[schema(value_type = String, pattern = "^(pending|completed)$")]
    pub status: &'static str,
    /// When it was completed; null before.
    pub uploaded_at: Option<Timestamp>,
    /// When it is removed unless it is completed, or posted, before; null once it was posted.
    pub expires_at: Option<Timestamp>,
    /// Pixels; null until they are known, and for what is no image.
    pub width: Option<i32>,
    /// Pixels; null until they are known, and for what is no image.
    pub height: Option<i32>,
}

/// An upload with the way to its bytes.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UploadWithUrls)]
pub struct UploadWithUrlsView {
    #[expect(missing_docs, reason = "it would describe the flattened fields in the document")]
    #[serde(flatten)]
    pub upload: UploadView,
    /// Where its bytes are, for an hour; null until it is completed. They are served as an
    /// attachment; pictures, sound, films, PDF and plain text with their type, all else as
    /// `application/octet-stream`.
    pub download_url: Option<String>,
    /// Where a small picture of it is, for an hour; null until there is one.
    pub preview_url: Option<String>,
}

/// Where the bytes go.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PresignedUpload)]
pub struct PresignedUploadView {
    /// The upload's id.
    pub id: UploadId,
    /// Where to PUT the bytes, once.
    pub upload_url: String,
    /// `PUT`.
    pub method: &'static str,
    /// What must be sent with them, exactly so; the length is sent by itself.
    pub headers: BTreeMap<String, String>,
    /// The upload's stable address.
    pub file_url: String,
    /// The end of `upload_url`.
    pub expires_at: Timestamp,
}

impl UploadView {
    /// An upload with its stable address.
    pub fn new(upload: Upload, file_url: String) -> Self {
        Self {
            id: upload.id,
            filename: upload.filename,
            file_size: upload.file_size,
            content_type: upload.content_type,
            file_url,
            status: upload.status.word(),
            uploaded_at: upload.uploaded_at,
            expires_at: upload.expires_at,
            width: upload.width,
            height: upload.height,
        }
    }
}
