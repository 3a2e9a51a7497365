//! `POST /uploads/presign/`.

use axum::extract::State;
use contract::uploads::PresignedUploadView;
use domain::FieldErrors;
use domain::limits::UPLOAD_URL_LIFETIME;
use domain::upload::NewUpload;
use serde::Deserialize;
use store::actions::uploads::announce;
use utoipa::ToSchema;

use super::store_of;
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::Authenticated;
use crate::json::Created;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A file that is to be uploaded.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PresignUpload {
    /// Its name: text alone, never a path.
    #[schema(value_type = String, required, min_length = 1, max_length = 255)]
    #[serde(default)]
    filename: Field<String>,
    /// Its type; parameters are dropped, synonyms replaced, and an empty or unreadable type is
    /// `application/octet-stream`.
    #[schema(value_type = String, required, example = "image/png")]
    #[serde(default)]
    content_type: Field<String>,
    /// Bytes: exactly as many as will be put.
    #[schema(value_type = i64, required, minimum = 1, maximum = 104_857_600)]
    #[serde(default)]
    file_size: Field<i64>,
}

/// Announces a file, and signs the address under which exactly it can be put. Then complete it.
#[utoipa::path(
    post,
    path = "/uploads/presign/",
    tag = "uploads",
    request_body = PresignUpload,
    responses((status = 201, description = "Where the bytes go", body = PresignedUploadView), Problems)
)]
pub(crate) async fn presign_upload(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<PresignUpload>,
) -> Result<Created<PresignedUploadView>, Problem> {
    let mut errors = FieldErrors::default();
    let filename = body.filename.required("filename", &mut errors);
    let content_type = body.content_type.required("content_type", &mut errors);
    let file_size = body.file_size.required("file_size", &mut errors);
    let rules = &api.config().uploads;
    let new = NewUpload::parse(filename, content_type, file_size, rules, errors)?;
    let objects = store_of(&api)?;
    let now = api.clock().now();
    // Of nothing that a client said, and not to be guessed.
    let key = format!("files/{:032x}", rand::random::<u128>());
    let announced = transact!(api, |tx| {
        announce(tx, caller, (&new, key.clone()), rules.user_quota, now).await
    })?;
    let what = (new.content_type(), new.file_size());
    let during = (now.into(), UPLOAD_URL_LIFETIME);
    let put = objects.presign_put(&announced.object_key, what, during).await;
    let put = put.map_err(|error| Problem::bug(&error))?;
    let file_url = api.upload_url(announced.id);
    let view = PresignedUploadView {
        id: announced.id,
        upload_url: put.url,
        method: "PUT",
        headers: put.headers.into_iter().collect(),
        file_url: file_url.clone(),
        expires_at: announced.put_until,
    };
    Ok(Created { location: file_url, view })
}
