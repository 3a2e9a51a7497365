//! Serving HTTP/1.1, upgrades included.
//!
//! hyper by itself waits for ever for a request's head, and axum's `serve` cannot be told not to:
//! half-open connections are cut off here, and connections are bounded.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::Lifecycle;
use crate::meter::{Counter, Gauge};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long what was accepted may take once the process drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections open at once on one listener. One that becomes a WebSocket counts no longer: the
/// edge bounds those.
const CONNECTIONS_MAX: usize = 100_000;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The pause after the system has refused to accept (out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a router on a listener until the process drains; requests that were accepted are
/// finished then. Spawns its tasks and returns.
pub fn serve(listener: TcpListener, router: Router, life: &Lifecycle) {
    life.spawn_essential("listener", accept_all(listener, router, life.clone()));
}

async fn accept_all(listener: TcpListener, router: Router, life: Lifecycle) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.draining() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            Counter::ConnectionsRefused.add(1);
            continue;
        };
        let connection = connection(stream, peer, router.clone(), life.clone());
        life.spawn(async move {
            Gauge::Connections.add(1.0);
            connection.await;
            Gauge::Connections.add(-1.0);
            drop(slot);
        });
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    life: Lifecycle,
) -> impl Future<Output = ()> + Send + 'static {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            match router.oneshot(request.map(Body::new)).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    async move {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = life.draining() => {
                // The request that is being answered is finished, the next is not begun.
                connection.as_mut().graceful_shutdown();
                let Ok(ended) = tokio::time::timeout(DRAIN_TIMEOUT, connection).await else {
                    tracing::debug!(peer = %peer, "connection of {peer} is cut off: too slow");
                    return;
                };
                ended
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %peer, error = %error, "connection of {peer} ended: {error}");
        }
    }
}
