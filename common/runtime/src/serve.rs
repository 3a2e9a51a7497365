//! Serving HTTP/1.1, upgrades included, to clients that may be slow, many or hostile.
//!
//! [`Gate`] bounds what clients hold: connections, heads that do not end, open requests, answers
//! that are not read. [`wire`] aborts an answer that its client does not take; [`answer`] counts
//! an answer until it is taken. [`linger`] reads what a client still sends after it was answered.
//! hyper itself sets no deadline for a request's head, and axum's `serve` offers none: half-open
//! connections are cut off here.

mod answer;
mod gate;
mod linger;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::Lifecycle;
use crate::meter::Gauge;

pub use gate::{Gate, Limits, UntilWritten};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long what was accepted may take once the process drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection without a request may take to send one once the process drains.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that wait to be accepted and are, once the process drains.
const BACKLOG_MAX: usize = 4_096;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The pause after the system has refused to accept (out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often refused connections are logged.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Serves a router on a listener until the process drains; requests that were accepted are
/// finished then. Spawns its tasks and returns.
pub fn serve(listener: TcpListener, router: Router, gate: &Gate, life: &Lifecycle) {
    let server = Server { router, gate: gate.clone(), life: life.clone() };
    life.spawn_essential("listener", accept_all(listener, server));
}

#[derive(Clone)]
struct Server {
    router: Router,
    gate: Gate,
    life: Lifecycle,
}

async fn accept_all(listener: TcpListener, server: Server) -> anyhow::Result<()> {
    let mut refusals = Refusals::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.life.draining() => break,
        };
        match accepted {
            Ok((stream, peer)) => server.take(stream, peer, &mut refusals),
            Err(error) => {
                gate::refused("accept");
                refusals.note(&error.to_string());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closing the listener resets the connections that it still holds, with the requests on them.
    let listener = listener.into_std()?;
    for _ in 0..BACKLOG_MAX {
        let Ok((stream, peer)) = listener.accept() else { break };
        stream.set_nonblocking(true)?;
        server.take(TcpStream::from_std(stream)?, peer, &mut refusals);
    }
    Ok(())
}

impl Server {
    /// Serves a connection in a task of its own, if the gate admits it.
    fn take(&self, stream: TcpStream, peer: SocketAddr, refusals: &mut Refusals) {
        let admission = match self.gate.admit(peer.ip()) {
            Ok(admission) => admission,
            Err(bound) => {
                gate::refused(bound);
                refusals.note(&format!("bound of {bound} reached"));
                return;
            }
        };
        let connection = connection(self.clone(), stream, peer, admission);
        self.life.spawn(async move {
            let _open = Gauge::Connections.hold(1.0);
            connection.await;
        });
    }
}

/// Logs refused connections at most every 10 s, so that clients cannot fill the disk with log lines.
#[derive(Debug, Default)]
struct Refusals {
    logged_at: Option<Instant>,
    unlogged: u64,
}

impl Refusals {
    fn note(&mut self, reason: &str) {
        self.unlogged += 1;
        if self.logged_at.is_none_or(|at| at.elapsed() >= REFUSALS_LOGGED_EVERY) {
            let count = self.unlogged;
            tracing::warn!(count, reason, "{count} connections refused, the last one: {reason}");
            self.logged_at = Some(Instant::now());
            self.unlogged = 0;
        }
    }
}

fn connection(
    server: Server,
    stream: TcpStream,
    peer: SocketAddr,
    admission: gate::Admission,
) -> impl Future<Output = ()> + Send + 'static {
    let gate::Admission { socket, connection: slot, head } = admission;
    let upgraded = wire::Upgraded::default();
    let unread = linger::Unread::default();
    let marks = wire::Marks { upgraded: upgraded.clone(), unread: unread.clone() };
    let wire = wire::Wire::new(stream, marks, socket);
    let (life, head) = (server.life.clone(), Arc::new(Mutex::new(head)));
    let begun = CancellationToken::new();
    let begins = begun.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        drop(head.lock().take());
        begins.cancel();
        let unread = unread.clone();
        let request = request.map(|body| Body::new(unread.watch(body)));
        let answer = answer_one(server.clone(), peer, request);
        async move {
            let mut response = answer.await;
            if let Ok(response) = &mut response {
                unread.mark_close(response);
            }
            response
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    async move {
        // One that becomes a WebSocket counts no longer by address: the edge bounds those.
        let _slot: Option<gate::ClientSlot> = slot;
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = last_request(&life, &begun) => {
                // The request that is being answered is finished, the next is not begun.
                connection.as_mut().graceful_shutdown();
                let Ok(ended) = tokio::time::timeout(DRAIN_TIMEOUT, connection).await else {
                    tracing::debug!(peer = %peer, "connection of {peer} is cut off: too slow");
                    return;
                };
                ended
            }
        };
        upgraded.set();
        if let Err(error) = ended {
            tracing::debug!(peer = %peer, error = %error, "connection of {peer} ended: {error}");
        }
    }
}

/// Resolves once the process drains and the connection's first request has come, or has had time to:
/// it may have been on its way.
async fn last_request(life: &Lifecycle, begun: &CancellationToken) {
    life.draining().await;
    let _ = tokio::time::timeout(FIRST_REQUEST_TIMEOUT, begun.cancelled()).await;
}

async fn answer_one(
    server: Server,
    peer: SocketAddr,
    mut request: Request<Body>,
) -> Result<Response, Infallible> {
    let client = server.gate.client(peer.ip(), request.headers());
    let Some(open) = server.gate.open(client) else { return Ok(answer::too_many_requests()) };
    if !answer::has_host(&request) {
        return Ok(answer::without_host());
    }
    let by_handlers = UntilWritten::default();
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(by_handlers.clone());
    match server.router.oneshot(request).await {
        Ok(response) => Ok(answer::counted(&server.gate, client, open, by_handlers, response)),
        Err(never) => match never {},
    }
}
