//! The pages that show caught mails.
//!
//! What a mail holds is hostile: it is shown as escaped text, and its HTML in a frame that runs
//! nothing, loads nothing and has no origin. Since mails hold links that sign people in, pages of
//! other hosts that resolve to loopback are refused.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::mail::{self, Mail};
use super::{MAILS_MAX, State};

/// For our own pages.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// For a mail's HTML: links open beside it, images only from within.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                           form-action 'none'; frame-ancestors 'self'; \
                           sandbox allow-popups allow-popups-to-escape-sandbox";

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
padding:0 1rem;color:#1d2433;background:#fff}table{width:100%;border-collapse:collapse}\
td,th{text-align:left;padding:.5rem .6rem;border-bottom:1px solid #e3e6ec;vertical-align:top}\
a{color:#3049b8}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f6f9;\
padding:1rem;border-radius:.5rem}iframe{width:100%;height:36rem;border:1px solid #e3e6ec;\
border-radius:.5rem}.dim{color:#667085}";

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/mails/{id}/", get(show))
        .route("/mails/{id}/html", get(html))
        .route("/mails/{id}/raw", get(raw))
        .layer(middleware::from_fn(around))
        .with_state(state)
}

async fn around(request: Request, next: Next) -> Response {
    let mut response = if is_ours(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "open this page by its address on localhost\n")
            .into_response()
    };
    let headers = response.headers_mut();
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(header::HeaderValue::from_static(POLICY));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// Whether a request was made to a name of this machine.
fn is_ours(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

async fn list(Shared(state): Shared<Arc<State>>) -> Html<String> {
    let ids = mail::ids(&state.folder);
    let mails = ids.into_iter().filter_map(|id| Mail::read(&state.folder, id));
    let mut rows = String::new();
    for mail in mails {
        let _ = write!(
            rows,
            "<tr><td><a href=\"/mails/{}/\">{}</a><br><span class=dim>{}</span></td>\
             <td>{}</td><td class=dim>{}</td></tr>",
            mail.id,
            escaped(if mail.subject.is_empty() { "(no subject)" } else { &mail.subject }),
            escaped(&mail.from),
            escaped(&mail.recipients.join(", ")),
            escaped(&mail.date),
        );
    }
    let body = if rows.is_empty() {
        "<p>None yet. What ChatBoard mails comes here and goes nowhere else.</p>".to_owned()
    } else {
        format!("<table><tr><th>Mail<th>To<th>Written</tr>{rows}</table>")
    };
    let note = format!("<p class=dim>The newest {MAILS_MAX} are kept. Looks again every 5 s.</p>");
    page("Mails", "<meta http-equiv=refresh content=5>", &format!("<h1>Mails</h1>{body}{note}"))
}

async fn show(Shared(state): Shared<Arc<State>>, Path(id): Path<u64>) -> Response {
    let Some(mail) = Mail::read(&state.folder, id) else { return nothing() };
    let mut body = format!(
        "<p><a href=\"/\">All mails</a></p><h1>{}</h1><p>{} → {}<br><span class=dim>{}</span> · \
         <a href=\"/mails/{id}/raw\">as it came</a></p>",
        escaped(&mail.subject),
        escaped(&mail.from),
        escaped(&mail.recipients.join(", ")),
        escaped(&mail.date),
    );
    if mail.html.is_some() {
        let _ = write!(
            body,
            "<iframe title=\"The mail\" sandbox=\"allow-popups allow-popups-to-escape-sandbox\" \
             src=\"/mails/{id}/html\"></iframe>"
        );
    }
    let _ = write!(body, "<h2>Text</h2><pre>{}</pre>", escaped(&mail.text));
    page(&mail.subject, "", &body).into_response()
}

async fn html(Shared(state): Shared<Arc<State>>, Path(id): Path<u64>) -> Response {
    let mail = Mail::read(&state.folder, id);
    let Some(html) = mail.and_then(|mail| mail.html) else { return nothing() };
    let html = format!("<!doctype html><base target=\"_blank\">{html}");
    ([(header::CONTENT_SECURITY_POLICY, MAIL_POLICY)], Html(html)).into_response()
}

async fn raw(Shared(state): Shared<Arc<State>>, Path(id): Path<u64>) -> Response {
    let Some(mail) = Mail::read(&state.folder, id) else { return nothing() };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], mail.raw).into_response()
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "no such mail\n").into_response()
}

fn page(title: &str, head: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\">{head}\
         <title>{} · ChatBoard</title><style>{STYLE}</style>{body}</html>",
        escaped(title)
    ))
}

/// A text that HTML shows as it is, in elements and in attributes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}
