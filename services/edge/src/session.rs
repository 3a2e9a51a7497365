//! The task of one socket: one loop over a closed set of causes.
//!
//! A frame came, something waits to be written, or a deadline passed; kicks, drains and closes
//! come as things to write. **Invariant:** the loop itself never waits for anybody but its own
//! socket, so a slow api costs a client its answers and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::close::Close;
use contract::frames::{ServerFrame, WarningCode};
use domain::Timestamp;
use tokio::time::{Instant, Sleep};

use crate::Edge;
use crate::frame::Echo;
use crate::limit::FrameLimit;
use crate::line::{Inbound, Line, WriteError};
use crate::presence::Announcement;
use crate::queue::Work;
use crate::socket::Socket;

/// How often the other side is pinged.
const PING_EVERY: Duration = Duration::from_secs(25);
/// How long a pong may be missing.
const PONG_TIMEOUT: Duration = Duration::from_secs(60);
/// How long before its token expires a client is warned.
const EXPIRY_WARNING: Duration = Duration::from_secs(60);
/// The longest time that a deadline is computed ahead.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Why a session ends: the socket is closed with a reason, or already gone.
pub(crate) type Ending = Option<Close>;

/// The state of one socket's task.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) edge: Edge,
    pub(crate) socket: Arc<Socket>,
    pub(crate) limit: FrameLimit,
    ping_at: Instant,
    pong_by: Instant,
    announcement: Announcement,
    token: Token,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    expires_at: Timestamp,
    is_warned: bool,
}

/// Takes a socket out of the edge when its task ends, however it ends.
#[derive(Debug)]
struct Leaving {
    edge: Edge,
    socket: Arc<Socket>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.edge.unregister(&self.socket);
    }
}

impl Session {
    /// The session of a socket whose token expires then and whose user `announcement` tells the
    /// other nodes of.
    pub(crate) fn new(
        edge: Edge,
        socket: Arc<Socket>,
        expires_at: Timestamp,
        announcement: Announcement,
    ) -> Self {
        let now = Instant::now();
        Self {
            limit: FrameLimit::new(edge.config().frames_per_second, now),
            edge,
            socket,
            ping_at: now + PING_EVERY,
            pong_by: now + PONG_TIMEOUT,
            announcement,
            token: Token { expires_at, is_warned: false },
        }
    }

    /// Serves the socket to its end.
    pub(crate) async fn run(mut self, mut line: Line) {
        let leaving = Leaving { edge: self.edge.clone(), socket: Arc::clone(&self.socket) };
        // The `connection` frame comes after NATS has told all nodes that the user is online.
        if self.edge.bus().is_connected() {
            Box::pin(self.edge.presence().announced(self.announcement)).await;
        }
        let ending = self.serve(&mut line).await;
        drop(leaving);
        let Some(close) = ending else {
            return self.edge.count_close(Close::Normal);
        };
        self.edge.count_close(close);
        let edge = self.edge.clone();
        drop(self);
        Box::pin(line.close(close, edge.life())).await;
    }

    async fn serve(&mut self, line: &mut Line) -> Ending {
        let timer = tokio::time::sleep_until(self.ping_at);
        tokio::pin!(timer);
        self.arm(timer.as_mut());
        let mut batch = Vec::new();
        loop {
            let may_read = !self.socket.posts.lock().is_full();
            tokio::select! {
                inbound = line.receive(), if may_read => {
                    self.count_empty(line.take_empty_fragments());
                    if let Err(ending) = self.take(inbound).await {
                        return ending;
                    }
                }
                () = self.socket.out.woken() => {
                    if let Err(ending) = self.write(line, &mut batch).await {
                        return ending;
                    }
                }
                () = timer.as_mut() => {
                    if let Err(ending) = self.tick(line).await {
                        return ending;
                    }
                }
            }
            self.arm(timer.as_mut());
        }
    }

    async fn take(&mut self, inbound: Inbound) -> Result<(), Ending> {
        match inbound {
            Inbound::Text(text) => {
                self.edge.hub().tally.frames_in.fetch_add(1, Ordering::Relaxed);
                if let Err(close) = Box::pin(self.take_frame(&text)).await {
                    // What was said before, why a frame was dropped for one, goes out first.
                    self.socket.out.close(close);
                }
                Ok(())
            }
            Inbound::Pong => {
                self.pong_by = Instant::now() + PONG_TIMEOUT;
                self.take_control();
                Ok(())
            }
            Inbound::Ping => {
                self.take_control();
                Ok(())
            }
            Inbound::Other => Ok(()),
            Inbound::Gone => Err(None),
            Inbound::Fault(close) => Err(Some(close)),
        }
    }

    /// Empty fragments count like frames: they cost as much and carry nothing.
    fn count_empty(&mut self, fragments: u32) {
        (0..fragments).for_each(|_| self.take_control());
    }

    /// Pings and pongs count like frames: answering them costs us as much.
    fn take_control(&mut self) {
        if let Err(close) = self.admit(0, Echo::default) {
            self.socket.out.close(close);
        }
    }

    async fn write(
        &mut self,
        line: &mut Line,
        batch: &mut Vec<crate::frame::Text>,
    ) -> Result<(), Ending> {
        match self.socket.out.take(batch) {
            Work::Write => {
                let frames = batch.len();
                let bytes = batch.iter().map(|text| text.len()).sum();
                let written = line.write(&self.socket.out, self.edge.life(), batch).await;
                written.map_err(WriteError::ending)?;
                batch.clear();
                batch.shrink_to(0);
                self.edge.hub().tally.frames_out.fetch_add(frames as u64, Ordering::Relaxed);
                self.socket.out.flushed(frames, bytes);
                Ok(())
            }
            Work::Close(close) => Err(Some(close)),
            Work::Nudge => self.tick(line).await,
            Work::Nothing => Ok(()),
        }
    }

    /// Sets the timer to the next deadline, unless it would ring before anyway.
    fn arm(&self, timer: std::pin::Pin<&mut Sleep>) {
        let due = self.due();
        if due < timer.deadline() || timer.is_elapsed() {
            timer.reset(due);
        }
    }

    fn due(&self) -> Instant {
        let left = self.token.expires_at.since(self.edge.auth().now()).min(FAR);
        let ahead = if self.token.is_warned { left } else { left.saturating_sub(EXPIRY_WARNING) };
        let token_at = Instant::now() + ahead;
        let typing_at = self.socket.typing.lock().due();
        let due = self.ping_at.min(self.pong_by).min(token_at);
        typing_at.map_or(due, |typing_at| typing_at.min(due))
    }

    /// Does what is due.
    async fn tick(&mut self, line: &mut Line) -> Result<(), Ending> {
        let now = Instant::now();
        let left = self.token.expires_at.since(self.edge.auth().now());
        if left.is_zero() {
            return Err(Some(Close::Unauthenticated));
        }
        if left <= EXPIRY_WARNING && !self.token.is_warned {
            self.token.is_warned = true;
            let expires_at = Some(self.token.expires_at);
            let code = WarningCode::TokenExpiring;
            let warning = ServerFrame::Warning { code, retry_after_ms: None, expires_at };
            self.socket.say(warning.text().into());
        }
        if self.socket.posts.lock().is_full() {
            // Nothing is read meanwhile, a pong neither.
            self.pong_by = now + PONG_TIMEOUT;
        }
        if now >= self.pong_by {
            return Err(Some(Close::NoPong));
        }
        let stopped_in = self.socket.typing.lock().take_due(now);
        self.edge.end_typing(&self.socket, stopped_in);
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            let pinged = line.ping(&self.socket.out, self.edge.life()).await;
            pinged.map_err(WriteError::ending)?;
        }
        Ok(())
    }

    /// The client has a new token.
    pub(crate) fn renew(&mut self, expires_at: Timestamp) {
        self.token = Token { expires_at, is_warned: false };
    }
}

impl WriteError {
    fn ending(self) -> Ending {
        match self {
            Self::Gone => None,
            Self::Blocked(close) => Some(close),
        }
    }
}
