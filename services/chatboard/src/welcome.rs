//! The pages behind the links in mails, which work in any browser and for people without a login.

use axum::Router;
use axum::http::header;
use axum::routing::{MethodRouter, get};

/// Nothing but its own style is loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The pages behind links run one script of ours, which speaks to us alone.
const LINK_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";

/// The pages, none of which is below `/api`.
pub(crate) fn router() -> Router {
    let invite = || served(HTML, LINK_POLICY, include_str!("pages/invite.html"));
    let reset = || served(HTML, LINK_POLICY, include_str!("pages/reset.html"));
    let script = include_str!("pages/links.js");
    let style = include_str!("pages/links.css");
    Router::new()
        .route("/invite", invite())
        .route("/invite/", invite())
        .route("/reset", reset())
        .route("/reset/", reset())
        .route("/pages/links.js", served("text/javascript; charset=utf-8", POLICY, script))
        .route("/pages/links.css", served("text/css; charset=utf-8", POLICY, style))
}

fn served(kind: &'static str, policy: &'static str, text: &'static str) -> MethodRouter {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Links hold tokens.
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    get(move || async move { (headers, text) })
}
