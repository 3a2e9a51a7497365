//! The wire of one socket: frames in, frames out, and a close that reaches the other side.

use std::io::{self, IoSlice};
use std::time::Duration;

use contract::close::Close;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use runtime::Lifecycle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::fragments::Fragments;
use crate::frame::Text;
use crate::queue::Outbound;

/// Pongs that wait to be written, of at most 127 bytes each: while the other side takes none, the
/// latest ping alone is remembered. Our own frames do not pass through this buffer.
const CONTROL_BYTES_MAX: usize = 1_024;
/// The read buffer of a socket, which is kept and zero-filled at each read.
const READ_BUFFER_BYTES: usize = 1_024;
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
    /// A ping, which is answered by itself.
    Ping,
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
    stream: WebSocketStream<Fragments<TokioIo<Upgraded>>>,
    /// What comes can no longer be read as frames.
    is_broken: bool,
    /// The rest of a frame that was cut off: nothing else may be written before it.
    rest: Vec<u8>,
}

impl Line {
    /// A wire over an upgraded connection. Messages and frames are limited to 256 KiB.
    pub(crate) async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES_MAX)
            .max_message_size(Some(domain::limits::BODY_BYTES_MAX))
            .max_frame_size(Some(domain::limits::BODY_BYTES_MAX));
        let io = Fragments::new(TokioIo::new(upgraded));
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { stream, is_broken: false, rest: Vec::new() }
    }

    /// The next thing that comes. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Inbound {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Inbound::Text(text),
            Some(Ok(Message::Ping(_))) => Inbound::Ping,
            Some(Ok(Message::Pong(_))) => Inbound::Pong,
            Some(Ok(Message::Binary(_))) => Inbound::Fault(Close::Binary),
            Some(Ok(Message::Close(_))) => {
                // Reading on writes the answer.
                let _ = Box::pin(tokio::time::timeout(LINGER, self.stream.next())).await;
                Inbound::Gone
            }
            Some(Ok(_)) => Inbound::Other,
            Some(Err(Error::Io(_))) if self.stream.get_ref().is_flooded() => {
                self.fault(Close::Flood)
            }
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

    /// Empty fragments that came since this was last asked: each counts as a frame.
    pub(crate) fn take_empty_fragments(&mut self) -> u32 {
        self.stream.get_mut().take_empty()
    }

    fn fault(&mut self, close: Close) -> Inbound {
        self.is_broken = true;
        Inbound::Fault(close)
    }

    /// Writes frames together, from where they lie. Not cancel-safe.
    ///
    /// Not by tungstenite, which copies every frame into a buffer that never shrinks: of what it
    /// writes itself (pongs, pings, the close) nothing is left halfway once it has flushed.
    pub(crate) async fn write(
        &mut self,
        out: &Outbound,
        life: &Lifecycle,
        batch: &[Text],
    ) -> Result<(), WriteError> {
        let stream = &mut self.stream;
        let mut written = 0;
        let writing = async {
            stream.flush().await?;
            write_frames(stream.get_mut(), batch, &mut written).await?;
            Ok(())
        };
        // Boxed, or every idle socket would keep room for it.
        let outcome = Box::pin(guarded(out, life, writing)).await;
        if outcome.is_err() {
            self.rest = rest_of_frame(batch, written);
        }
        outcome
    }

    /// Pings the other side. Not cancel-safe.
    pub(crate) async fn ping(
        &mut self,
        out: &Outbound,
        life: &Lifecycle,
    ) -> Result<(), WriteError> {
        let pinging = async {
            // Room for it: see `CONTROL_BYTES_MAX`.
            self.stream.flush().await?;
            self.stream.send(Message::Ping(Bytes::new())).await
        };
        Box::pin(guarded(out, life, pinging)).await
    }

    /// Closes, and gives the other side time to hear why: less of it once the process drains.
    pub(crate) async fn close(mut self, close: Close, life: &Lifecycle) {
        let rest = std::mem::take(&mut self.rest);
        let closing = async {
            self.stream.get_mut().write_all(&rest).await?;
            // Room for it: see `CONTROL_BYTES_MAX`.
            self.stream.flush().await?;
            self.stream.send(Message::Close(Some(close_frame(close)))).await
        };
        let out_of_time = async {
            if close == Close::TooSlow {
                let patience = WRITE_TIMEOUT.saturating_sub(CLOSE_TIMEOUT);
                let _ = tokio::time::timeout(patience, life.draining()).await;
            }
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        let is_said = tokio::select! {
            biased;
            closed = closing => closed.is_ok(),
            () = out_of_time => false,
        };
        if is_said {
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
        self.stream.get_mut().stop();
        let mut scrap = vec![0; 4_096];
        while matches!(self.stream.get_mut().read(&mut scrap).await, Ok(count) if count > 0) {}
    }
}

/// Frames that are written by one call of the system.
const FRAMES_AT_ONCE: usize = 32;

/// The head of a text frame (RFC 6455, 5.2): final, unmasked.
fn frame_head(length: usize) -> ([u8; 10], usize) {
    let mut head = [0; 10];
    head[0] = 0x81;
    let size = length.to_be_bytes();
    match length {
        0..=125 => {
            head[1] = size[7];
            (head, 2)
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&size[6..]);
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&size);
            (head, 10)
        }
    }
}

/// Writes frames, and counts the bytes, so that a cut leaves no doubt where it was.
async fn write_frames(
    io: &mut (impl tokio::io::AsyncWrite + Unpin),
    batch: &[Text],
    count: &mut usize,
) -> io::Result<()> {
    for frames in batch.chunks(FRAMES_AT_ONCE) {
        let heads: Vec<_> = frames.iter().map(|text| frame_head(text.len())).collect();
        let mut slices: Vec<IoSlice<'_>> = heads
            .iter()
            .zip(frames)
            .flat_map(|((head, size), text)| [&head[..*size], text.as_bytes()])
            .map(IoSlice::new)
            .collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match io.write_vectored(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => {
                    *count += written;
                    IoSlice::advance_slices(&mut left, written);
                }
            }
        }
    }
    Ok(())
}

/// What is missing of the frame in which a write was cut off.
fn rest_of_frame(batch: &[Text], mut written: usize) -> Vec<u8> {
    for text in batch {
        let (head, size) = frame_head(text.len());
        let length = size + text.len();
        if written == 0 {
            break;
        }
        if written < length {
            let mut frame = head[..size].to_vec();
            frame.extend_from_slice(text.as_bytes());
            return frame.split_off(written);
        }
        written -= length;
    }
    Vec::new()
}

/// Runs a write under its deadline; a socket that is being closed has even less time.
async fn guarded(
    out: &Outbound,
    life: &Lifecycle,
    writing: impl Future<Output = Result<(), Error>>,
) -> Result<(), WriteError> {
    let out_of_time = async {
        let closing = tokio::time::timeout(WRITE_TIMEOUT, closing(out, life)).await;
        closing.unwrap_or(Close::TooSlow)
    };
    tokio::select! {
        biased;
        written = writing => written.map_err(|_| WriteError::Gone),
        close = out_of_time => Err(WriteError::Blocked(close)),
    }
}

async fn closing(out: &Outbound, life: &Lifecycle) -> Close {
    loop {
        match out.closing() {
            Some(Close::TooSlow) => {
                // A slow reader has the whole deadline, to read why it is closed; but we have not,
                // when the process is about to end.
                life.draining().await;
                tokio::time::sleep(CLOSE_PATIENCE).await;
                return Close::TooSlow;
            }
            Some(close) => {
                tokio::time::sleep(CLOSE_PATIENCE).await;
                return close;
            }
            None => out.woken().await,
        }
    }
}

/// The close frame of a reason.
fn close_frame(close: Close) -> CloseFrame {
    CloseFrame { code: close.code().into(), reason: Utf8Bytes::from_static(close.reason()) }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::WebSocket;

    use super::*;

    #[tokio::test]
    async fn what_we_write_is_what_a_client_reads() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000];
        let lengths = lengths.repeat(10);
        let batch: Vec<Text> = lengths.iter().map(|&length| "x".repeat(length).into()).collect();
        let mut wire = Vec::new();
        write_frames(&mut wire, &batch, &mut 0).await.expect("memory takes everything");
        let wire = io::Cursor::new(wire);
        let mut client = WebSocket::from_raw_socket(wire, Role::Client, None);
        for text in batch {
            assert_eq!(client.read().expect("a frame"), Message::Text(text));
        }
    }

    #[test]
    fn a_cut_frame_can_be_finished() {
        let batch: Vec<Text> = vec!["ab".into(), "cde".into()];
        let whole = b"\x81\x02ab\x81\x03cde";
        for written in 0..=whole.len() {
            let frame_end = if written <= 4 { 4 } else { whole.len() };
            let is_between = written == 0 || written == 4;
            let expected = if is_between { &[][..] } else { &whole[written..frame_end] };
            assert_eq!(rest_of_frame(&batch, written), expected, "cut after {written}");
        }
    }
}
