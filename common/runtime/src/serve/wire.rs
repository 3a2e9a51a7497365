//! A TCP connection whose client has to take what is written to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::linger::{Linger, Unread};
use crate::meter::Counter;
use crate::slots::Slot;

/// An answer of which the client takes no byte for this long is aborted.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the throughput of an answer is measured before it is judged.
const RATE_WINDOW: Duration = Duration::from_secs(30);
/// Bytes a second that a client must take of an answer that waits for it.
const RATE_MIN: u64 = 4 * 1024;
/// Bytes of a connection that the system holds unsent. So the system reports progress while a slow
/// client reads, not once its buffer of megabytes is two thirds empty.
const UNSENT_BYTES: u32 = 64 * 1024;

/// Whether a connection still speaks HTTP: a WebSocket has its own rule for slow readers.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgraded(Arc<AtomicBool>);

impl Upgraded {
    /// From now on it is a WebSocket.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the rest of the server knows of a connection.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) upgraded: Upgraded,
    pub(super) unread: Unread,
}

/// The connection. It aborts answers that are not read, until it is upgraded.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    marks: Marks,
    stall: Option<Stall>,
    linger: Option<Linger>,
    _socket: Slot<()>,
}

/// Progress of an answer that does not fit into the system's buffers.
#[derive(Debug)]
struct Stall {
    timer: Pin<Box<Sleep>>,
    last_progress: Instant,
    window_start: Instant,
    window_bytes: u64,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, marks: Marks, socket: Slot<()>) -> Self {
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
        Self { stream, marks, stall: None, linger: None, _socket: socket }
    }

    /// Judges the outcome of a write.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.marks.upgraded.is_set() {
            self.stall = None;
            return written;
        }
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(stall) = &mut self.stall {
                    stall.progress(bytes as u64);
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let stall = self.stall.get_or_insert_with(Stall::new);
                std::task::ready!(stall.poll_expired(cx));
                Counter::ResponsesAborted.add(1);
                // What the system holds for the client is dropped too.
                let _ = self.stream.set_zero_linger();
                let reason = "the client does not read its answer";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
            }
        }
    }
}

impl Stall {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep_until(now + STALL_TIMEOUT.min(RATE_WINDOW))),
            last_progress: now,
            window_start: now,
            window_bytes: 0,
        }
    }

    fn progress(&mut self, bytes: u64) {
        self.last_progress = Instant::now();
        self.window_bytes += bytes;
    }

    /// Ready once the client has been too slow.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now.duration_since(self.last_progress) >= STALL_TIMEOUT {
                return Poll::Ready(());
            }
            if now.duration_since(self.window_start) >= RATE_WINDOW {
                if self.window_bytes < RATE_MIN * RATE_WINDOW.as_secs() {
                    return Poll::Ready(());
                }
                self.window_start = now;
                self.window_bytes = 0;
            }
            let due = (self.last_progress + STALL_TIMEOUT).min(self.window_start + RATE_WINDOW);
            self.timer.as_mut().reset(due);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything of an answer is written: the next begins with its full time.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stall = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, then reads what the client still sends of a request that was answered.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.marks.unread.is_set() || this.marks.upgraded.is_set() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(&mut this.stream, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a client that takes `bytes` every `pause` is too slow within five minutes.
    async fn is_aborted(bytes: u64, pause: Duration) -> bool {
        let mut stall = Stall::new();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(300) {
            let expired = std::future::poll_fn(|cx| stall.poll_expired(cx));
            if tokio::time::timeout(pause, expired).await.is_ok() {
                return true;
            }
            stall.progress(bytes);
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn four_kib_a_second_are_enough_and_less_is_not() {
        assert!(!is_aborted(4 * 1024 + 200, Duration::from_secs(1)).await);
        assert!(is_aborted(3 * 1024, Duration::from_secs(1)).await);
        assert!(!is_aborted(200 * 1024, Duration::from_secs(25)).await);
        assert!(is_aborted(10 * 1024 * 1024, Duration::from_secs(31)).await);
    }
}
