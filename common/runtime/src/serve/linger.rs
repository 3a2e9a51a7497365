//! What a client still sends after it was answered. Its connection ends, and the answer says so. The
//! rest is read before: a connection that is closed while bytes of a request are unread is reset, and
//! a client that is sending then sees a broken connection instead of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::HttpBody;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long the rest of a request is read in all.
const LINGER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may send nothing meanwhile.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the rest that are read.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The body of a connection's request that was answered before it was read to its end. Clones share
/// it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread {
    rest: Arc<Mutex<Rest>>,
    is_left: Arc<AtomicBool>,
}

/// What is left of the body of a connection's latest request.
#[derive(Debug, Default)]
enum Rest {
    /// A handler holds it, or has read all of it.
    #[default]
    Nothing,
    /// Its handler has let go of it.
    Dropped(Incoming),
    /// The answer has been made.
    Answered,
}

impl Unread {
    /// Whether some of a request was left unread: nothing more is read on its connection as a request.
    pub(super) fn is_set(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }

    /// A request's body, whose rest is kept when it is dropped.
    pub(super) fn watch(&self, body: Incoming) -> Watched {
        *self.rest.lock() = Rest::Nothing;
        Watched { inner: Some(body), unread: self.clone() }
    }

    /// Adds `Connection: close` to the answer where the rest of the body has not been received: the
    /// connection ends, and a client that sends its next request on it would lose that one.
    pub(super) fn mark_close<B>(&self, response: &mut Response<B>) {
        let rest = std::mem::replace(&mut *self.rest.lock(), Rest::Answered);
        let Rest::Dropped(rest) = rest else { return };
        if !is_all_there(rest) {
            self.is_left.store(true, Ordering::Relaxed);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the rest of a body has been received already, in one piece: a small one that no handler
/// wanted has.
fn is_all_there(mut rest: Incoming) -> bool {
    let _piece = Pin::new(&mut rest).poll_frame(&mut Context::from_waker(Waker::noop()));
    rest.is_end_stream()
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Watched {
    /// `None` only while it is dropped.
    inner: Option<Incoming>,
    unread: Unread,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        let mut rest = self.unread.rest.lock();
        match *rest {
            Rest::Answered => self.unread.is_left.store(true, Ordering::Relaxed),
            Rest::Nothing | Rest::Dropped(_) => *rest = Rest::Dropped(inner),
        }
    }
}

/// The reading of the rest, after our side of the connection was closed.
#[derive(Debug)]
pub(super) struct Linger {
    timer: Pin<Box<Sleep>>,
    until: Instant,
    bytes_left: usize,
}

impl Linger {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep_until(now + IDLE_TIMEOUT)),
            until: now + LINGER_TIMEOUT,
            bytes_left: LINGER_BYTES_MAX,
        }
    }

    /// Ready once the client has closed its side too, or a bound is reached.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            if self.bytes_left == 0 || self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut chunk);
            match std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    self.bytes_left = self.bytes_left.saturating_sub(buf.filled().len());
                    let idle_until = (Instant::now() + IDLE_TIMEOUT).min(self.until);
                    self.timer.as_mut().reset(idle_until);
                }
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}
