//! Reading what a client still sends after it was answered: a connection that is closed while bytes
//! of a request are unread is reset, and a client that is sending then sees a broken connection
//! instead of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
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

/// Whether a request of a connection was answered before its body was read. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A request's body that notes whether it was read to its end.
    pub(super) fn watch(&self, body: Incoming) -> Watched {
        Watched { inner: body, unread: self.clone() }
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Incoming,
    unread: Unread,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            self.unread.0.store(true, Ordering::Relaxed);
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
