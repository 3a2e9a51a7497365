//! `GET /.well-known/jwks.json`.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};

use crate::Api;
use crate::json::Json;

/// How long others may keep the keys.
const CACHEABLE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The public keys that verify access tokens: a JWK set (RFC 7517) of Ed25519 keys (RFC 8037).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "auth",
    security(()),
    responses((status = 200, description = "The keys, cacheable for 5 minutes", body = Object))
)]
pub(crate) async fn get_jwks(
    State(api): State<Api>,
) -> ([(HeaderName, HeaderValue); 1], Json<runtime::tokens::PublicKeys>) {
    ([(header::CACHE_CONTROL, CACHEABLE)], Json(api.keys().public().clone()))
}
