//! The page that greets who opens our address in a browser.

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// Nothing but its own style is loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`.
pub(crate) fn router() -> Router {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Router::new().route("/", get(move || async move { (headers, include_str!("welcome.html")) }))
}
