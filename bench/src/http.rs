//! A lean HTTP/1.1 client and WebSocket opener: one connection, one call at a time.
//!
//! It knows what our servers answer (a `Content-Length`, no chunks) and refuses all else.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::frames::{self, Frame, What};

/// How long a call or a handshake may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest answer.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection to an api.
#[derive(Debug)]
pub(crate) struct Rest {
    stream: TcpStream,
    host: String,
    out: Vec<u8>,
    input: Vec<u8>,
}

/// An answer's status and body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// Connects to a loopback address.
///
/// # Errors
/// When nobody listens there.
pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    ensure!(address.ip().is_loopback(), "{address} is not on loopback: only that is driven");
    let connecting = tokio::time::timeout(TIMEOUT, TcpStream::connect(address));
    let stream = connecting.await.context("connecting took too long")??;
    stream.set_nodelay(true)?;
    // Ten thousand closed sockets would hold their ports for a minute otherwise.
    stream.set_zero_linger()?;
    Ok(stream)
}

impl Rest {
    /// A connection to this api.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = connect(address).await?;
        Ok(Self { stream, host: address.to_string(), out: Vec::new(), input: Vec::new() })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection fails or the answer is none of ours; the connection is then no good.
    pub(crate) async fn call(
        &mut self,
        line: &str,
        token: &str,
        body: Option<&str>,
    ) -> anyhow::Result<Answer<'_>> {
        let host = &self.host;
        let mut head =
            format!("{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
        if let Some(body) = body {
            head.push_str("Content-Type: application/json\r\n");
            head.push_str("Content-Length: ");
            head.push_str(&body.len().to_string());
            head.push_str("\r\n\r\n");
            head.push_str(body);
        } else {
            head.push_str("\r\n");
        }
        self.out.clear();
        self.out.extend_from_slice(head.as_bytes());
        let answer = tokio::time::timeout(TIMEOUT, self.exchange());
        let (status, start) = answer.await.context("an answer took too long")??;
        Ok(Answer { status, body: &self.input[start..] })
    }

    async fn exchange(&mut self) -> anyhow::Result<(u16, usize)> {
        self.stream.write_all(&self.out).await?;
        self.input.clear();
        loop {
            let read = self.stream.read_buf(&mut self.input).await?;
            ensure!(read > 0, "the api closed the connection");
            if let Some(head) = Head::read(&self.input)? {
                let whole = head.len + head.body;
                ensure!(head.body <= BODY_BYTES_MAX, "an answer of {} bytes", head.body);
                while self.input.len() < whole {
                    let read = self.stream.read_buf(&mut self.input).await?;
                    ensure!(read > 0, "the api closed the connection in an answer");
                }
                return Ok((head.status, head.len));
            }
            ensure!(self.input.len() < HEAD_BYTES_MAX, "the head of an answer has no end");
        }
    }
}

struct Head {
    status: u16,
    len: usize,
    body: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(len) = head_len(bytes) else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..len])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).context("no status line")?;
        let body = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        match body {
            Some(body) => Ok(Some(Self { status, len, body })),
            None if status == 101 => Ok(Some(Self { status, len, body: 0 })),
            None => bail!("an answer with status {status} and no Content-Length"),
        }
    }
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Opens a WebSocket; what was read beyond the handshake is given, too.
///
/// # Errors
/// When the upgrade is refused.
pub(crate) async fn open_socket(
    address: SocketAddr,
    path: &str,
    token: &str,
) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = connect(address).await?;
    // The key proves that the server speaks WebSocket, which is known here: any will do.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let handshake = async {
        stream.write_all(request.as_bytes()).await?;
        let mut input = Vec::with_capacity(512);
        loop {
            let read = stream.read_buf(&mut input).await?;
            ensure!(read > 0, "the edge closed the connection before the upgrade");
            if let Some(head) = Head::read(&input)? {
                ensure!(head.status == 101, "the edge refused the upgrade with {}", head.status);
                input.drain(..head.len);
                return anyhow::Ok(input);
            }
            ensure!(input.len() < HEAD_BYTES_MAX, "the head of an answer has no end");
        }
    };
    let rest =
        tokio::time::timeout(TIMEOUT, handshake).await.context("the upgrade took too long")??;
    Ok((stream, rest))
}

/// A socket that sends, one message at a time, and follows no room.
#[derive(Debug)]
pub(crate) struct SocketSender {
    stream: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
}

impl SocketSender {
    /// A sender's socket at this edge.
    ///
    /// # Errors
    /// When the upgrade is refused.
    pub(crate) async fn open(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let (stream, input) = open_socket(address, "/ws/", token).await?;
        Ok(Self { stream, input, out: Vec::new() })
    }

    /// Sends, and waits for the `ack`: the message's `seq`.
    ///
    /// # Errors
    /// When it was refused, or the socket was closed.
    pub(crate) async fn send(&mut self, frame: &str) -> anyhow::Result<u64> {
        self.out.clear();
        frames::put_frame(&mut self.out, 1, frame.as_bytes());
        let exchange = async {
            self.stream.write_all(&self.out).await?;
            loop {
                if let Some(seq) = self.take_ack().await? {
                    return anyhow::Ok(seq);
                }
                let read = self.stream.read_buf(&mut self.input).await?;
                ensure!(read > 0, "the edge closed the connection");
            }
        };
        tokio::time::timeout(TIMEOUT, exchange).await.context("an ack took too long")?
    }

    async fn take_ack(&mut self) -> anyhow::Result<Option<u64>> {
        let mut ack = None;
        let mut pong = Vec::new();
        let mut taken = 0;
        while let Some((frame, len)) = frames::frame(&self.input[taken..])
            .map_err(|_| anyhow::anyhow!("a frame that is none of ours"))?
        {
            match frame {
                Frame::Text(text) => match frames::what(text) {
                    What::Ack(seq) => ack = Some(seq),
                    What::Error => bail!("refused: {}", String::from_utf8_lossy(text)),
                    _ => {}
                },
                Frame::Ping(payload) => frames::put_frame(&mut pong, 10, payload),
                Frame::Close(code) => bail!("the edge closed a sender's socket with {code}"),
                Frame::Pong => {}
            }
            taken += len;
        }
        self.input.drain(..taken);
        if !pong.is_empty() {
            self.stream.write_all(&pong).await?;
        }
        Ok(ack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 12\r\nlocation: x\r\n\r\n{}";
        let head = Head::read(answer).unwrap().unwrap();
        assert_eq!((head.status, head.len, head.body), (201, answer.len() - 2, 12));
        assert!(Head::read(&answer[..30]).unwrap().is_none());
        assert!(Head::read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
