//! The audience: sockets that follow rooms, and count what they hear.
//!
//! All of them share one read buffer and one thread. A socket that the edge closes comes back
//! with `after`, as any client would, and that is counted, too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::frames::{self, Frame, What};
use crate::gauge::{Durations, count};
use crate::http;
use crate::scene::Scene;
use crate::sequence::{Faults, Sequence};

/// Read at once, of any socket.
const READ_BYTES: usize = 256 * 1024;
/// How long all sockets may take to be served, or to hear the last event.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long a socket that was closed stays away.
const RESUME_PAUSE: Duration = Duration::from_millis(100);
/// How often one socket comes back.
const RESUMES_MAX: usize = 50;

/// What all sockets of an audience share.
#[derive(Debug)]
struct Shared {
    epoch: Instant,
    scratch: Mutex<Vec<u8>>,
    seats: Vec<Seat>,
    /// Events heard, by room.
    heard: Vec<AtomicU64>,
    served: AtomicU64,
    resumes: AtomicU64,
    errors: AtomicU64,
    /// From send to delivery, while they are measured.
    delays: Mutex<Option<Durations>>,
    last_error: Mutex<Option<String>>,
}

/// One subscription.
#[derive(Debug)]
struct Seat {
    address: SocketAddr,
    room: usize,
    path: String,
    token: String,
    sequence: Mutex<Option<Sequence>>,
}

/// Sockets that follow rooms. Dropping it closes them.
#[derive(Debug)]
pub(crate) struct Audience {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// How an audience connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The edges, in turns.
    pub(crate) edges: &'a [SocketAddr],
    /// Handshakes at once.
    pub(crate) at_once: usize,
    /// What bodies count their time from.
    pub(crate) epoch: Instant,
}

impl Audience {
    /// Has the first `each` members of every room follow it, and waits until all are served.
    ///
    /// # Errors
    /// When the edge refuses, or takes longer than a minute.
    pub(crate) async fn gather(
        scene: &Scene,
        each: usize,
        entry: Entry<'_>,
    ) -> anyhow::Result<Self> {
        let seats: Vec<Seat> = seats(scene, each, entry.edges);
        let shared = Arc::new(Shared {
            epoch: entry.epoch,
            scratch: Mutex::new(vec![0; READ_BYTES]),
            heard: scene.rooms.iter().map(|_| AtomicU64::new(0)).collect(),
            seats,
            served: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            delays: Mutex::new(None),
            last_error: Mutex::new(None),
        });
        let doors = Arc::new(Semaphore::new(entry.at_once));
        let mut tasks = JoinSet::new();
        for seat in 0..shared.seats.len() {
            let (shared, doors) = (Arc::clone(&shared), Arc::clone(&doors));
            tasks.spawn(async move {
                if let Err(error) = follow(&shared, seat, &doors).await {
                    shared.errors.fetch_add(1, Relaxed);
                    *shared.last_error.lock() = Some(format!("{error:#}"));
                }
            });
        }
        let audience = Self { shared, tasks };
        let all = count(audience.shared.seats.len());
        audience.wait("sockets to be served", |shared| shared.served.load(Relaxed) >= all).await?;
        Ok(audience)
    }

    /// How many sockets there are.
    pub(crate) fn sockets(&self) -> usize {
        self.tasks.len()
    }

    /// How many rooms they follow.
    pub(crate) fn rooms(&self) -> usize {
        self.shared.heard.len()
    }

    /// Events heard by all sockets together.
    pub(crate) fn heard(&self) -> u64 {
        self.shared.heard.iter().map(|heard| heard.load(Relaxed)).sum()
    }

    /// Events heard by all sockets of one room, given by its place in the scene.
    pub(crate) fn heard_in(&self, room: usize) -> u64 {
        self.shared.heard[room].load(Relaxed)
    }

    /// How often sockets were closed and came back.
    pub(crate) fn resumes(&self) -> u64 {
        self.shared.resumes.load(Relaxed)
    }

    /// Measures delays from now on.
    pub(crate) fn begin_delays(&self) {
        *self.shared.delays.lock() = Some(Durations::new());
    }

    /// Ends the measure.
    pub(crate) fn take_delays(&self) -> Durations {
        self.shared.delays.lock().take().unwrap_or_else(Durations::new)
    }

    /// Waits until every socket has heard its room's last event, for a minute at most; what is
    /// missing then shows as lost.
    pub(crate) async fn hear_out(&self, heads: &[u64]) {
        let all_heard = |shared: &Shared| {
            shared.seats.iter().all(|seat| {
                seat.sequence.lock().as_ref().is_some_and(|own| own.last() >= heads[seat.room])
            })
        };
        // A deadline that passes is a finding, counted by `faults`.
        let _ = self.wait("the last events", all_heard).await;
    }

    /// What was wrong, the rooms' last events being `heads`. An `error` frame is a fault of the
    /// run, not of a delivery.
    ///
    /// # Errors
    /// When a socket failed for good.
    pub(crate) fn faults(&self, heads: &[u64]) -> anyhow::Result<Faults> {
        let mut faults = Faults::default();
        for seat in &self.shared.seats {
            match seat.sequence.lock().as_ref() {
                Some(sequence) => faults.add(sequence.faults(heads[seat.room])),
                None => faults.lost += heads[seat.room],
            }
        }
        let errors = self.shared.errors.load(Relaxed);
        if let Some(error) = self.shared.last_error.lock().as_ref() {
            anyhow::bail!("{errors} sockets failed, the last one so: {error}");
        }
        Ok(faults)
    }

    async fn wait(&self, what: &str, is_so: impl Fn(&Shared) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        while !is_so(&self.shared) {
            let error = self.shared.last_error.lock().clone();
            ensure!(error.is_none(), "a socket failed: {}", error.unwrap_or_default());
            ensure!(Instant::now() < deadline, "waited a minute for {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn seats(scene: &Scene, each: usize, edges: &[SocketAddr]) -> Vec<Seat> {
    let mut seats = Vec::new();
    for (place, room) in scene.rooms.iter().enumerate() {
        for turn in 0..each.min(room.people.len()) {
            seats.push(Seat {
                address: edges[seats.len() % edges.len()],
                room: place,
                path: format!("/ws/rooms/{}/", room.id),
                token: scene.token(room, turn).to_owned(),
                sequence: Mutex::new(None),
            });
        }
    }
    seats
}

/// One socket's life: it comes back when it is closed.
async fn follow(shared: &Shared, seat: usize, doors: &Semaphore) -> anyhow::Result<()> {
    let seat = &shared.seats[seat];
    for _ in 0..=RESUMES_MAX {
        let door = doors.acquire().await?;
        let last = seat.sequence.lock().as_ref().map(Sequence::last);
        let path = match last {
            Some(last) => format!("{}?after={last}", seat.path),
            None => seat.path.clone(),
        };
        let (mut stream, mut rest) = http::open_socket(seat.address, &path, &seat.token).await?;
        // The socket is served once its first frame is there.
        while rest.is_empty() {
            let first = tokio::time::timeout(SETTLE_TIMEOUT, stream.read_buf(&mut rest));
            let read = first.await.context("no first frame in a minute")??;
            ensure!(read > 0, "the edge closed a socket before its first frame");
        }
        drop(door);
        let code = listen(shared, seat, (stream, rest)).await?;
        ensure!(code < 4000 || code == 4008, "the edge closed a socket with {code}");
        shared.resumes.fetch_add(1, Relaxed);
        tokio::time::sleep(RESUME_PAUSE).await;
    }
    anyhow::bail!("a socket was closed {RESUMES_MAX} times")
}

/// Counts what a socket hears until it is closed; the close code, 0 without one.
async fn listen(
    shared: &Shared,
    seat: &Seat,
    (mut stream, mut kept): (TcpStream, Vec<u8>),
) -> anyhow::Result<u16> {
    let mut pong = Vec::new();
    if let Some(code) = take(shared, seat, &mut kept, &mut pong)? {
        return Ok(code);
    }
    loop {
        stream.readable().await?;
        let closed = read(shared, seat, &stream, (&mut kept, &mut pong))?;
        if let Some(code) = closed {
            return Ok(code);
        }
        if !pong.is_empty() {
            stream.write_all(&pong).await?;
            pong = Vec::new();
        }
    }
}

/// Reads once, into the shared buffer, and takes the frames; what is no whole frame is kept.
fn read(
    shared: &Shared,
    seat: &Seat,
    stream: &TcpStream,
    (kept, pong): (&mut Vec<u8>, &mut Vec<u8>),
) -> anyhow::Result<Option<u16>> {
    let mut scratch = shared.scratch.lock();
    let before = kept.len();
    ensure!(before < READ_BYTES / 2, "a frame of more than {before} bytes");
    scratch[..before].copy_from_slice(kept);
    let len = match stream.try_read(&mut scratch[before..]) {
        Ok(0) => return Ok(Some(0)),
        Ok(len) => len,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
        Err(_) => return Ok(Some(0)),
    };
    let (taken, closed) = frames_in(shared, seat, &scratch[..before + len], pong)?;
    // An idle socket keeps no buffer: ten thousand would cost the machine what is measured.
    *kept = scratch[taken..before + len].to_vec();
    Ok(closed)
}

/// The same for what came with the handshake.
fn take(
    shared: &Shared,
    seat: &Seat,
    kept: &mut Vec<u8>,
    pong: &mut Vec<u8>,
) -> anyhow::Result<Option<u16>> {
    let (taken, closed) = frames_in(shared, seat, kept, pong)?;
    *kept = kept[taken..].to_vec();
    Ok(closed)
}

/// Takes whole frames; how many bytes they were, and the close code if one came.
fn frames_in(
    shared: &Shared,
    seat: &Seat,
    bytes: &[u8],
    pong: &mut Vec<u8>,
) -> anyhow::Result<(usize, Option<u16>)> {
    let mut delays = shared.delays.lock();
    let mut sequence = seat.sequence.lock();
    let (mut taken, mut events) = (0, 0);
    while let Some((frame, len)) = frames::frame(&bytes[taken..])
        .map_err(|_| anyhow::anyhow!("a frame that is none of ours"))?
    {
        taken += len;
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Ping(payload) => {
                frames::put_frame(pong, 10, payload);
                continue;
            }
            Frame::Pong => continue,
            Frame::Close(code) => return Ok((taken, Some(code))),
        };
        match frames::what(text) {
            What::Event(seq) => {
                sequence.get_or_insert_default().take(seq);
                events += 1;
                if let Some(delays) = delays.as_mut()
                    && let Some(micros) = frames::number(text, br#""body":"at "#)
                {
                    delays.record(
                        shared.epoch.elapsed().saturating_sub(Duration::from_micros(micros)),
                    );
                }
            }
            What::Connection(last) => {
                if sequence.is_none() {
                    *sequence =
                        Some(Sequence::after(last.context("a connection without last_seq")?));
                    shared.served.fetch_add(1, Relaxed);
                }
            }
            What::Resync => anyhow::bail!("the edge asked for a resync"),
            What::Error => anyhow::bail!("an error frame: {}", String::from_utf8_lossy(text)),
            What::Ack(_) | What::Else => {}
        }
    }
    shared.heard[seat.room].fetch_add(events, Relaxed);
    Ok((taken, None))
}
