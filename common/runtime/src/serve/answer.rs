//! Answers that are counted until the client has taken them.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use ring::rand::SecureRandom;

use super::gate::{Gate, OpenRequest, Reservation, Unread, UntilWritten, refused};

/// What is held until an answer is written.
struct Kept {
    _request: OpenRequest,
    _by_handlers: UntilWritten,
    _reservation: Option<Reservation>,
}

/// Counts an answer until it is written; refuses instead where too much waits to be read already.
pub(super) fn counted(
    gate: &Gate,
    client: IpAddr,
    request: OpenRequest,
    by_handlers: UntilWritten,
    response: Response,
) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let size = response.body().size_hint().exact();
    let reservation = match size.filter(|&size| size > 0).map(|size| gate.reserve(client, size)) {
        Some(Err(whose)) => return too_much_unread(whose),
        Some(Ok(reservation)) => Some(reservation),
        None => None,
    };
    let is_reserved = size.is_some();
    let kept = Kept { _request: request, _by_handlers: by_handlers, _reservation: reservation };
    let (parts, inner) = response.into_parts();
    let body = Counted { inner, is_reserved, gate: gate.clone(), client, kept: Arc::new(kept) };
    Response::from_parts(parts, Body::new(body))
}

/// A body whose bytes hold on to what was counted for it.
struct Counted {
    inner: Body,
    is_reserved: bool,
    gate: Gate,
    client: IpAddr,
    kept: Arc<Kept>,
}

/// Bytes of an answer, with what is given back when they are dropped.
struct CountedBytes {
    bytes: Bytes,
    _kept: Arc<Kept>,
    _reservation: Option<Reservation>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(frame) => return Poll::Ready(Some(Ok(frame))),
        };
        // An answer of unknown length is counted as it comes.
        let mut reservation = None;
        if !self.is_reserved {
            reservation = self.gate.reserve(self.client, bytes.len() as u64).ok();
            if reservation.is_none() {
                refused("response_bytes");
                let error = axum::Error::new("too many bytes of answers wait to be read");
                return Poll::Ready(Some(Err(error)));
            }
        }
        let kept = Arc::clone(&self.kept);
        let counted = CountedBytes { bytes, _kept: kept, _reservation: reservation };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(counted)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The client has too many requests open.
pub(super) fn too_many_requests() -> Response {
    refused("requests");
    let detail = "too many requests of this address are open";
    problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
}

fn too_much_unread(whose: Unread) -> Response {
    refused("response_bytes");
    match whose {
        Unread::OfClient => {
            let detail = "read the answers that this address was sent before asking for more";
            problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        }
        Unread::OfOthers => {
            let detail = "too many answers wait to be read, try again later";
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }
}

/// What HTTP/1.1 asks of every request and hyper does not: one `Host` (RFC 9112, section 3.2).
pub(super) fn has_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        hosts => hosts == 1,
    }
}

pub(super) fn without_host() -> Response {
    let detail = "a request needs one Host header";
    problem(StatusCode::BAD_REQUEST, "malformed_request", detail)
}

/// A refusal; one that may be granted a moment later says so.
fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let mut random = [0; 16];
    // Without randomness the id is all zeros, and the refusal stands.
    let _ = ring::rand::SystemRandom::new().fill(&mut random);
    let id = format!("{:032x}", u128::from_be_bytes(random));
    let mut response = crate::problem::problem(status, code, detail, &id);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status != StatusCode::BAD_REQUEST {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
