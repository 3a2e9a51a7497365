//! The HTTP side: which requests become sockets, and what the others are told.
//!
//! What a token or a room is worth is looked at after the upgrade, since browsers cannot see a
//! refused one: see [`crate::connect`]. **Invariant:** a token never reaches a log.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{
    self, AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::Edge;
use crate::connect::{self, Wanted};

/// The subprotocol that carries a token.
const PROTOCOL: &str = "chatboard.v1";

/// The routes under `/ws`.
pub(crate) fn routes(edge: Edge) -> Router {
    Router::new()
        .route("/ws", any(many))
        .route("/ws/", any(many))
        .route("/ws/rooms/{room}", any(room))
        .route("/ws/rooms/{room}/", any(room))
        .route("/ws/{*path}", any(not_found))
        .with_state(edge)
}

async fn many(State(edge): State<Edge>, request: Request) -> Response {
    upgrade(edge, None, request)
}

async fn room(State(edge): State<Edge>, Path(room): Path<String>, request: Request) -> Response {
    upgrade(edge, Some(room), request)
}

async fn not_found(request: Request) -> Response {
    problem(&request, StatusCode::NOT_FOUND, "not_found", "not found")
}

fn upgrade(edge: Edge, room: Option<String>, mut request: Request) -> Response {
    if request.method() != Method::GET {
        let detail = "this method is not allowed here";
        let mut response =
            problem(&request, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let headers = request.headers();
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return upgrade_required(&request);
    }
    if !edge.admits_origin(headers.get(ORIGIN), headers.get(HOST)) {
        let detail = "this origin may not connect";
        return problem(&request, StatusCode::FORBIDDEN, "forbidden", detail);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return upgrade_required(&request);
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).cloned() else {
        let detail = "Sec-WebSocket-Key is missing";
        return problem(&request, StatusCode::BAD_REQUEST, "malformed_request", detail);
    };
    let offer = Offer::read(headers);
    let query = request.uri().query().unwrap_or_default();
    let token = bearer(headers).or(offer.token).or_else(|| parameter(query, "token"));
    let (after, epoch) = (parameter(query, "after"), parameter(query, "epoch"));
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return upgrade_required(&request);
    };
    let wanted = Wanted { token: token.unwrap_or_default(), room, after, epoch };
    edge.life().clone().spawn(Box::pin(connect::serve(edge, on_upgrade, wanted)));
    switching(&key, offer.is_ours)
}

fn switching(key: &HeaderValue, is_ours: bool) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if is_ours {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    response
}

fn upgrade_required(request: &Request) -> Response {
    let detail = "this is a WebSocket endpoint";
    let mut response = problem(request, StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// The few refusals that a socket's request gets over HTTP, as RFC 9457 problems.
fn problem(request: &Request, status: StatusCode, code: &str, detail: &str) -> Response {
    let given = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let is_good = |id: &&str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=domain::limits::REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(is_plain)
    };
    let id = given.filter(is_good).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    runtime::problem::problem(status, code, detail, &id)
}

/// Whether a header's list names a word.
fn has_token(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The subprotocols that a client offers.
#[derive(Debug, Default)]
struct Offer {
    is_ours: bool,
    token: Option<String>,
}

impl Offer {
    fn read(headers: &HeaderMap) -> Self {
        let offered: Vec<&str> = headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let place = offered.iter().position(|&name| name == PROTOCOL);
        let token = place.and_then(|place| offered.get(place + 1));
        Self { is_ours: place.is_some(), token: token.map(|&token| token.to_owned()) }
    }
}

/// A parameter of the query, percent-decoded; the first if it is repeated.
fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_come_as_a_subprotocol() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("x, chatboard.v1, t.o.k"));
        let offer = Offer::read(&headers);
        assert!(offer.is_ours);
        assert_eq!(offer.token.as_deref(), Some("t.o.k"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chatboard.v1"));
        assert_eq!(Offer::read(&headers).token, None);
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("a=1&token=x%2By", "token").as_deref(), Some("x+y"));
        assert_eq!(parameter("after=", "after").as_deref(), Some(""));
        assert_eq!(parameter("", "after"), None);
    }
}
