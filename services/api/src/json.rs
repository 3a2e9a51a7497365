//! JSON answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A value as a JSON answer.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], contract::text(&self.0)).into_response()
    }
}

/// 201 with what GET of the new thing would answer, and where that is.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// The path of the new thing below the public URL.
    pub location: String,
    /// The new thing.
    pub view: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(header::LOCATION, self.location)], Json(self.view)).into_response()
    }
}
