//! The other side of webhooks: one port that answers at once, and one that never does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::frames;
use crate::gauge::Durations;

/// The longest request.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Two endpoints. Dropping them closes both.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// Answers at once.
    pub(crate) healthy: SocketAddr,
    /// Takes every request, and answers none.
    pub(crate) hanging: SocketAddr,
    delays: Arc<Mutex<Durations>>,
    _tasks: JoinSet<()>,
}

impl Hooks {
    /// Opens both; `epoch` is what bodies count their time from.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) async fn open(epoch: Instant) -> anyhow::Result<Self> {
        let healthy = TcpListener::bind("127.0.0.1:0").await.context("a port")?;
        let hanging = TcpListener::bind("127.0.0.1:0").await.context("a port")?;
        let addresses = (healthy.local_addr()?, hanging.local_addr()?);
        let delays = Arc::new(Mutex::new(Durations::new()));
        let mut tasks = JoinSet::new();
        let of_task = Arc::clone(&delays);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = healthy.accept().await {
                open.spawn(answer(stream, Arc::clone(&of_task), epoch));
            }
        });
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = hanging.accept().await {
                open.spawn(async move {
                    let mut buffer = vec![0; 4_096];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                });
            }
        });
        Ok(Self { healthy: addresses.0, hanging: addresses.1, delays, _tasks: tasks })
    }

    /// The delays from send to arrival since the last time that this was asked.
    pub(crate) fn take(&self) -> Durations {
        std::mem::replace(&mut *self.delays.lock(), Durations::new())
    }
}

async fn answer(mut stream: TcpStream, delays: Arc<Mutex<Durations>>, epoch: Instant) {
    let mut input = Vec::new();
    loop {
        let whole = length(&input).filter(|&length| input.len() >= length);
        if let Some(length) = whole {
            let now = epoch.elapsed();
            if let Some(at) = frames::number(&input[..length], b"\"at ") {
                let sent = std::time::Duration::from_micros(at);
                delays.lock().record(now.saturating_sub(sent));
            }
            input.drain(..length);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
            continue;
        }
        let is_open = stream.read_buf(&mut input).await.is_ok_and(|read| read > 0);
        if !is_open || input.len() > REQUEST_BYTES_MAX {
            return;
        }
    }
}

/// The length of the first request, once its head is there.
fn length(input: &[u8]) -> Option<usize> {
    let head = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head_text = std::str::from_utf8(&input[..head]).ok()?;
    let body = head_text.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some(head + body.unwrap_or("0").parse::<usize>().ok()?)
}
