//! The wire of one socket: frames in, frames out, and a close that reaches the other side.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::close::Close;
use crate::frame::Text;
use crate::queue::Outbound;

/// The read buffer of a socket, which is kept and zero-filled at each read.
const READ_BUFFER_BYTES: usize = 1_024;
/// Frames are gathered until one flush, up to this many bytes.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// A write that takes longer has a reader that is too slow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// While a write is blocked, a close waits this long for it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a close frame may take to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the other side may take to answer a close.
const LINGER: Duration = Duration::from_secs(2);

/// What came in.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A text frame.
    Text(Text),
    /// A pong.
    Pong,
    /// Something that needs nothing.
    Other,
    /// The other side closed, or is gone.
    Gone,
    /// The socket must close.
    Fault(Close),
}

/// Why a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// The other side is gone.
    Gone,
    /// The socket must close; the other side does not read.
    Blocked(Close),
}

/// The wire.
#[derive(Debug)]
pub(crate) struct Line {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// What comes can no longer be read as frames.
    is_broken: bool,
}

impl Line {
    /// A wire over an upgraded connection. Messages and frames are limited to 256 KiB.
    pub(crate) async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(domain::limits::BODY_BYTES_MAX))
            .max_frame_size(Some(domain::limits::BODY_BYTES_MAX));
        let io = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { stream, is_broken: false }
    }

    /// The next thing that comes. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Inbound {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Inbound::Text(text),
            Some(Ok(Message::Pong(_))) => Inbound::Pong,
            Some(Ok(Message::Binary(_))) => Inbound::Fault(Close::Binary),
            Some(Ok(Message::Close(_))) => {
                // Reading on writes the answer.
                let _ = Box::pin(tokio::time::timeout(LINGER, self.stream.next())).await;
                Inbound::Gone
            }
            Some(Ok(_)) => Inbound::Other,
            None | Some(Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed)) => {
                Inbound::Gone
            }
            Some(Err(Error::Capacity(_))) => self.fault(Close::TooLarge),
            Some(Err(Error::Protocol(protocol))) => {
                use tokio_tungstenite::tungstenite::error::ProtocolError;
                match protocol {
                    ProtocolError::ResetWithoutClosingHandshake => Inbound::Gone,
                    _ => self.fault(Close::Malformed),
                }
            }
            Some(Err(_)) => self.fault(Close::Malformed),
        }
    }

    fn fault(&mut self, close: Close) -> Inbound {
        self.is_broken = true;
        Inbound::Fault(close)
    }

    /// Writes frames and flushes them together. Not cancel-safe.
    pub(crate) async fn write(
        &mut self,
        out: &Outbound,
        batch: &mut Vec<Text>,
    ) -> Result<(), WriteError> {
        let stream = &mut self.stream;
        let writing = async {
            for text in batch.drain(..) {
                stream.feed(Message::Text(text)).await?;
            }
            stream.flush().await
        };
        // Boxed, or every idle socket would keep room for it.
        Box::pin(guarded(out, writing)).await
    }

    /// Pings the other side. Not cancel-safe.
    pub(crate) async fn ping(&mut self, out: &Outbound) -> Result<(), WriteError> {
        Box::pin(guarded(out, self.stream.send(Message::Ping(Bytes::new())))).await
    }

    /// Closes, and gives the other side time to hear why.
    pub(crate) async fn close(mut self, close: Close) {
        let patience = if close == Close::TooSlow { WRITE_TIMEOUT } else { CLOSE_TIMEOUT };
        let closing = self.stream.send(Message::Close(Some(close.frame())));
        if matches!(tokio::time::timeout(patience, closing).await, Ok(Ok(()))) {
            // Dropping a connection with unread data resets it, and a reset overtakes the close.
            let _ = tokio::time::timeout(LINGER, self.drain()).await;
        }
    }

    async fn drain(&mut self) {
        while !self.is_broken {
            match self.stream.next().await {
                None => return,
                Some(Ok(_)) => {}
                Some(Err(_)) => self.is_broken = true,
            }
        }
        let mut scrap = vec![0; 4_096];
        while matches!(self.stream.get_mut().read(&mut scrap).await, Ok(count) if count > 0) {}
    }
}

/// Runs a write under its deadline; a socket that is being closed has even less time.
async fn guarded(
    out: &Outbound,
    writing: impl Future<Output = Result<(), Error>>,
) -> Result<(), WriteError> {
    let out_of_time = async {
        let closing = tokio::time::timeout(WRITE_TIMEOUT, closing(out)).await;
        closing.unwrap_or(Close::TooSlow)
    };
    tokio::select! {
        biased;
        written = writing => written.map_err(|_| WriteError::Gone),
        close = out_of_time => Err(WriteError::Blocked(close)),
    }
}

async fn closing(out: &Outbound) -> Close {
    loop {
        match out.closing() {
            // A slow reader has the whole deadline, to read why it is closed.
            Some(Close::TooSlow) => std::future::pending().await,
            Some(close) => {
                tokio::time::sleep(CLOSE_PATIENCE).await;
                return close;
            }
            None => out.woken().await,
        }
    }
}
