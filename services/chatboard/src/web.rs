//! The web client: the files of `web/`, inside the binary.
//!
//! There is no build step, so what the page imports keeps its name; that browsers may still keep
//! it for ever comes from the import map, which `page` extends: every module of ours is
//! mapped to its address with the hash of its content behind it. **Invariants:** only an address
//! whose hash is that of the content is immutable, one with another hash is none, everything else
//! is asked for again with its `ETag`; each is compressed once (`runtime::asset`); nothing runs or loads that the policy does not name; what lies below `/api`, `/ws`,
//! `/health` and `/.well-known` is none of ours. Debug builds read the files from disk each time.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use runtime::asset::Asset;
use rust_embed::{EmbeddedFile, RustEmbed};
use tower::ServiceExt;

use crate::page::{self, Page};

/// What a browser is given; tools of ours lie in the same folder.
const KINDS: [(&str, &str); 8] = [
    (".css", "text/css; charset=utf-8"),
    (".ico", "image/x-icon"),
    (".js", "text/javascript; charset=utf-8"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain; charset=utf-8"),
    (".webmanifest", "application/manifest+json"),
    (".woff2", "font/woff2"),
];
/// The first parts of the addresses that are screens of the page.
const SCREENS: [&str; 12] = [
    "",
    "invite",
    "notifications",
    "orgs",
    "profile",
    "r",
    "register",
    "reset",
    "search",
    "settings",
    "sign-in",
    "verify-email",
];
/// The first parts of the addresses that others answer.
const FOREIGN: [&str; 4] = ["api", "ws", "health", ".well-known"];

/// What the page is kept under: the path of no file.
const PAGE: &str = "/";

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The files of the page.
#[derive(RustEmbed)]
#[folder = "../../web/"]
pub(crate) struct Files;

/// Where the page may speak to besides its own origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// What clients reach us under.
    pub(crate) public_url: String,
    /// Where the object store is, whose addresses the api signs.
    pub(crate) store: Option<String>,
}

/// Puts the page before `router`, which answers everything else.
pub(crate) fn before(router: Router, origins: Origins) -> Router {
    // Only files are compressed: in what the api answers, a guess could lie beside a secret.
    let files = Router::new().fallback(answer).with_state(Arc::new(origins));
    router.layer(middleware::from_fn_with_state(files, choose))
}

async fn choose(State(files): State<Router>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    if !is_read || !(is_ours(path) || is_mistyped(path, request.headers())) {
        return next.run(request).await;
    }
    match files.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn first_part(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn is_ours(path: &str) -> bool {
    let is_foreign = FOREIGN.contains(&first_part(path));
    !is_foreign && (is_screen(path) || kind(path).is_some())
}

/// Whether a person opens an address that nothing answers: the page says so, in words for people.
fn is_mistyped(path: &str, headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|types| types.to_str().ok());
    let wants_page = accepted.is_some_and(|types| types.contains("text/html"));
    wants_page && !FOREIGN.contains(&first_part(path)) && Files::get(page::ENTRY).is_some()
}

fn is_screen(path: &str) -> bool {
    SCREENS.contains(&first_part(path)) && Files::get(page::ENTRY).is_some()
}

/// The media type of a file that a browser may have.
pub(crate) fn kind(path: &str) -> Option<&'static str> {
    KINDS.iter().find(|(ending, _)| path.ends_with(ending)).map(|&(_, kind)| kind)
}

async fn answer(State(origins): State<Arc<Origins>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let mut response = match (Files::get(path), kind(path)) {
        (Some(file), Some(kind)) => of_file(path, file, kind, &uri, &headers),
        _ if is_screen(path) => of_page(&origins, &headers),
        (None, None) if is_mistyped(path, &headers) => {
            let mut response = of_page(&origins, &HeaderMap::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        _ => missing(),
    };
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Addresses hold tokens.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // A worker takes its policy from its own file.
    if !response.headers().contains_key(header::CONTENT_SECURITY_POLICY)
        && let Ok(policy) = policy(&origins, None).parse()
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn missing() -> Response {
    let caching = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::NOT_FOUND, caching, "There is no such file.\n").into_response()
}

fn of_file(path: &str, file: EmbeddedFile, kind: &str, uri: &Uri, headers: &HeaderMap) -> Response {
    let version = page::version(&file);
    let asked = uri.query().and_then(|query| query.strip_prefix("v="));
    let caching = match asked {
        Some(asked) if asked == version => IMMUTABLE,
        // A page of before, or of after, asks for a part of its own: ours would not fit.
        Some(_) => return missing(),
        None => REVALIDATE,
    };
    let asset = kept(path, version, |version| Asset::versioned(kind, file.data, version));
    answered(&asset, headers, caching)
}

fn of_page(origins: &Origins, headers: &HeaderMap) -> Response {
    let Some(page) = page::page() else {
        return (StatusCode::NOT_FOUND, "There is no page.\n").into_response();
    };
    let Page { html, version, script } = page;
    let kind = "text/html; charset=utf-8";
    let asset = kept(PAGE, version, |version| Asset::versioned(kind, html.into_bytes(), version));
    let mut response = answered(&asset, headers, REVALIDATE);
    if let Ok(policy) = policy(origins, Some(&script)).parse() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn answered(asset: &Asset, headers: &HeaderMap, caching: HeaderValue) -> Response {
    let mut response = asset.answer(headers);
    response.headers_mut().insert(header::CACHE_CONTROL, caching);
    response
}

/// The file under this path, or the page. Each is made once, when first asked for, and kept; a debug
/// build makes it again when it has changed on disk.
fn kept(path: &str, version: String, make: impl FnOnce(String) -> Asset) -> Arc<Asset> {
    static KEPT: LazyLock<Mutex<HashMap<String, Arc<Asset>>>> = LazyLock::new(Mutex::default);
    let mut kept = KEPT.lock();
    if let Some(asset) = kept.get(path).filter(|asset| asset.version() == version) {
        return Arc::clone(asset);
    }
    let asset = Arc::new(make(version));
    kept.insert(path.to_owned(), Arc::clone(&asset));
    asset
}

/// What may run and load. `script` is the hash of the one inline script, the import map.
fn policy(origins: &Origins, script: Option<&str>) -> String {
    let script = script.map(|hash| format!(" '{hash}'")).unwrap_or_default();
    let store = origins.store.as_ref().map(|store| format!(" {store}")).unwrap_or_default();
    let host = origins.public_url.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    format!(
        "default-src 'self'; script-src 'self'{script}; style-src 'self'; \
         img-src 'self' data: blob:{store}; media-src 'self' blob:{store}; \
         connect-src 'self' ws://{host} wss://{host}{store}; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; \
         trusted-types lit-html dompurify chatboard 'allow-duplicates'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_others_is_left_to_them() {
        for path in ["/api/v1/orgs/", "/ws/", "/health/live", "/.well-known/jwks.json", "/api/x.js"]
        {
            assert!(!is_ours(path), "{path}");
        }
        for path in ["/app.js", "/vendor/lit.js", "/styles/base.css"] {
            assert!(is_ours(path), "{path}");
        }
        assert!(!is_ours("/unknown"), "an unknown address is for the api to refuse");
    }

    #[test]
    fn the_policy_names_the_store_and_our_own_sockets() {
        let origins = Origins {
            public_url: "https://chat.example/".to_owned(),
            store: Some("https://files.example".to_owned()),
        };
        let policy = policy(&origins, Some("sha256-x"));
        assert!(policy.contains("script-src 'self' 'sha256-x';"), "{policy}");
        let sockets =
            "connect-src 'self' ws://chat.example wss://chat.example https://files.example;";
        assert!(policy.contains(sockets), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
