//! The OpenAPI document, and Swagger UI to read and try it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use domain::Refusal;
use parking_lot::Mutex;
use runtime::asset::Asset;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::Api;
use crate::problem::Problem;

/// What Swagger UI may load and run. It writes styles into its elements, and shares its origin with
/// the page and its tokens: so nothing may frame it, and nothing else may run in it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const SCHEMA_PATH: &str = "/api/schema/";

/// Serves the OpenAPI document.
pub(crate) fn schema(document: &OpenApi) -> MethodRouter<Api> {
    let text = document.to_json().unwrap_or_default();
    let schema = Arc::new(Asset::new("application/json", text.into_bytes()));
    get(move |headers: HeaderMap| {
        let mut response = schema.answer(&headers);
        response.headers_mut().insert(header::CACHE_CONTROL, REVALIDATE);
        std::future::ready(response)
    })
}

/// Serves Swagger UI under `/api/docs/`.
pub(crate) fn docs() -> Router<Api> {
    let docs =
        Arc::new(Docs { config: Arc::new(Config::from(SCHEMA_PATH)), files: Mutex::default() });
    let page = Arc::clone(&docs);
    let index = move |headers: HeaderMap| std::future::ready(page.answer("index.html", &headers));
    let file = move |Path(path): Path<String>, headers: HeaderMap| {
        std::future::ready(docs.answer(&path, &headers))
    };
    Router::new().route("/api/docs/", get(index)).route("/api/docs/{*path}", get(file))
}

/// Swagger UI's files.
struct Docs {
    config: Arc<Config<'static>>,
    /// Those that were asked for: at most as many as there are.
    files: Mutex<HashMap<String, Arc<Asset>>>,
}

impl Docs {
    fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        let Some(file) = self.file(path) else {
            return Problem::from(Refusal::NotFound).into_response();
        };
        let mut response = file.answer(headers);
        let fixed = [
            (header::CACHE_CONTROL, REVALIDATE),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        for (name, value) in fixed {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn file(&self, path: &str) -> Option<Arc<Asset>> {
        if let Some(known) = self.files.lock().get(path) {
            return Some(Arc::clone(known));
        }
        let file = utoipa_swagger_ui::serve(path, Arc::clone(&self.config)).ok()??;
        let asset = Arc::new(Asset::new(&file.content_type, file.bytes.into_owned()));
        self.files.lock().insert(path.to_owned(), Arc::clone(&asset));
        Some(asset)
    }
}
