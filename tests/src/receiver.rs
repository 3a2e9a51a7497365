//! The other side of webhooks: a real HTTP server that records what it gets and answers as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::wait::eventually;

/// How long a delivery may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a receiver answers.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// With a status.
    Status(u16),
    /// With a status and a header.
    Header(u16, &'static str, String),
    /// Never.
    Hang,
}

/// What came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The headers.
    pub headers: HeaderMap,
    /// The body's very text.
    pub body: String,
}

impl Received {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().expect("headers are text")
    }

    /// `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// `webhook-sequence`.
    pub fn sequence(&self) -> i64 {
        self.header("webhook-sequence").parse().expect("a number")
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Whether one of the signatures is this secret's.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key =
            STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        let signed = format!("{}.{}.{}", self.id(), self.header("webhook-timestamp"), self.body);
        mac.update(signed.as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|one| one == wanted)
    }
}

/// An endpoint. Dropping it leaves it running until the test ends.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    received: parking_lot::Mutex<Vec<Received>>,
    next: parking_lot::Mutex<VecDeque<Reaction>>,
    otherwise: parking_lot::Mutex<Reaction>,
    /// Every so many requests fail.
    fails_every: AtomicUsize,
    connections: AtomicUsize,
}

impl Receiver {
    /// A receiver that answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let inner = Arc::new(Inner {
            received: parking_lot::Mutex::default(),
            next: parking_lot::Mutex::default(),
            otherwise: parking_lot::Mutex::new(Reaction::Status(200)),
            fails_every: AtomicUsize::new(usize::MAX),
            connections: AtomicUsize::new(0),
        });
        let counted = Arc::clone(&inner);
        let listener = listener.tap_io(move |_| {
            counted.connections.fetch_add(1, Ordering::SeqCst);
        });
        let router = axum::Router::new().fallback(receive).with_state(Arc::clone(&inner));
        crate::wait::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, inner }
    }

    /// Its address: `http://127.0.0.1:…/hook`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers so to the next request, after those that were told before.
    pub fn next(&self, reaction: Reaction) {
        self.inner.next.lock().push_back(reaction);
    }

    /// Answers so to all that nothing else was told for.
    pub fn always(&self, reaction: Reaction) {
        *self.inner.otherwise.lock() = reaction;
    }

    /// Answers 500 to every so-manieth request, whatever was told otherwise.
    pub fn fails_every(&self, requests: usize) {
        self.inner.fails_every.store(requests, Ordering::SeqCst);
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn gets(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} deliveries"), PATIENCE, || {
            let received = self.received();
            std::future::ready((received.len() >= count).then_some(received))
        })
        .await
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let count = {
        let mut received = inner.received.lock();
        received.push(Received { headers, body });
        received.len()
    };
    if count % inner.fails_every.load(Ordering::SeqCst) == 0 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let next = inner.next.lock().pop_front();
    match next.unwrap_or_else(|| inner.otherwise.lock().clone()) {
        Reaction::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Reaction::Header(status, name, value) => {
            let value = HeaderValue::from_str(&value).expect("a header's value");
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [(name, value)]).into_response()
        }
        Reaction::Hang => std::future::pending().await,
    }
}
