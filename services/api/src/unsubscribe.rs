//! `GET` and `POST /notifications/unsubscribe/?token=`: the link in every digest (RFC 8058).
//!
//! Mail programs follow links by themselves, so GET shows a page and changes nothing; the mail
//! provider's button, and the page's, POST.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::Refusal;
use store::actions::accounts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Api;
use crate::caller::Anyone;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Nothing but the page's own style is loaded, nothing runs, and its form leads here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The routes, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_unsubscribe, unsubscribe))
}

/// A page that asks whether to unsubscribe; it changes nothing.
#[utoipa::path(
    get,
    path = "/notifications/unsubscribe/",
    tag = "notifications",
    security(()),
    params(("token" = String, Query, description = "From the mail")),
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), Problems)
)]
pub(crate) async fn show_unsubscribe(_: Anyone, request: Request) -> Result<Response, Problem> {
    let token = token(&request)?;
    Ok(page(&format!(
        "<h1>No more notifications by e-mail?</h1>\
         <p>Invites and new passwords are mailed all the same. You can change your mind in your \
         settings at any time.</p>\
         <form method=post action=\"?token={token}\"><button>Unsubscribe</button></form>"
    )))
}

/// Ends e-mail notifications for whom the token belongs to. Needs no login and no body.
#[utoipa::path(
    post,
    path = "/notifications/unsubscribe/",
    tag = "notifications",
    security(()),
    params(("token" = String, Query, description = "From the mail")),
    responses((status = 200, description = "Unsubscribed", body = String, content_type = "text/html"), Problems)
)]
pub(crate) async fn unsubscribe(
    State(api): State<Api>,
    _: Anyone,
    request: Request,
) -> Result<Response, Problem> {
    let token = token(&request)?;
    transact!(api, |tx| accounts::unsubscribe(tx, &token).await)?;
    Ok(page(
        "<h1>Done</h1><p>You get no more notifications by e-mail. You can change your mind in \
         your settings at any time.</p>",
    ))
}

/// The token of a query, in the one spelling that tokens have.
fn token(request: &Request) -> Result<String, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    let token = value.and_then(|value| Uuid::parse_str(value).ok()).ok_or(Refusal::NotFound)?;
    Ok(token.to_string())
}

fn page(body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>ChatBoard</title>\
         <style>body{{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;\
         padding:0 1rem;color:#1d2433}}button{{font:inherit;color:#fff;background:#3b5bdb;\
         border:0;border-radius:.5rem;padding:.7rem 1.2rem}}</style>{body}</html>"
    );
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer")];
    (StatusCode::OK, headers, Html(html)).into_response()
}
