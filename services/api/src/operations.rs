//! Health and documents: public, and outside `/api/v1`.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use runtime::asset::Asset;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

/// The routes of operations.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(asyncapi))
}

/// Whether this process runs.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operations",
    security(()),
    responses((status = 200, description = "`{\"status\":\"ok\"}`", body = Object))
)]
async fn live() -> Response {
    json_text(r#"{"status":"ok"}"#)
}

/// Whether this node can do its work: it cannot without Postgres, and does less without NATS.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operations",
    security(()),
    responses(
        (status = 200, description = "`ok`, or `degraded` without NATS", body = Object),
        (status = 503, description = "`unavailable`: Postgres is away, or the node is about to stop", body = Object)
    )
)]
async fn ready(State(api): State<Api>) -> Response {
    api.readiness().await.into_response()
}

/// The AsyncAPI 3 document of the WebSocket.
#[utoipa::path(
    get,
    path = "/api/asyncapi/",
    tag = "operations",
    security(()),
    responses((status = 200, description = "The document", body = Object))
)]
async fn asyncapi(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<Asset> =
        LazyLock::new(|| Asset::new("application/json", contract::asyncapi::text().into_bytes()));
    let mut response = DOCUMENT.answer(&headers);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn json_text(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
