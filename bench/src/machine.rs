//! The machine's own limits, measured beside every run: what no server on it can beat.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::StreamExt;
use tokio::task::JoinSet;

use crate::gauge::{Durations, count, float};
use crate::process::thread_cpu;
use crate::report::Report;

/// A frame's length.
const FRAME_BYTES: usize = 300;
/// Sends, and then receives, that are timed together: as many as the socket's buffer holds.
const HOT_SENDS: u32 = 64;
/// How often they are timed.
const HOT_ROUNDS: u32 = 2_000;
/// The shape of the paced fan-out: so many rooms, so many sockets in each, so many rooms a second.
const PACED: (usize, usize, u32) = (50, 20, 1_000);
/// How long raw sends are paced.
const PACED_FOR: Duration = Duration::from_secs(3);
/// What a commit writes to the log, at least.
const PAGE_BYTES: usize = 8 * 1024;
/// Pages of the file that is synced, written over in turns like segments of Postgres' log.
const PAGES: u64 = 1_024;
/// Syncs, unless time is up before.
const SYNCS: u32 = 1_000;
/// The longest time for syncs.
const SYNC_FOR: Duration = Duration::from_secs(4);
/// Hops over NATS.
const HOPS: u32 = 3_000;

/// The limits that figures are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// CPU of a raw 300-byte send, paced like the fan-out, in µs.
    pub(crate) send_paced_us: f64,
    /// A sync of a page to the disk, the median, in ms.
    pub(crate) fsync_p50_ms: f64,
    /// From one NATS connection to another, the median, in ms.
    pub(crate) nats_p50_ms: f64,
}

/// Measures them; takes some ten seconds.
///
/// # Errors
/// When the disk or NATS refuses.
pub(crate) async fn measure(
    report: &mut Report,
    dir: &Path,
    nats_url: &str,
) -> anyhow::Result<Limits> {
    let (send, receive) = blocking(hot_sends).await?;
    report.tell("machine: raw 300-byte send, back to back, CPU", send, "µs");
    report.tell("machine: raw 300-byte receive, back to back, CPU", receive, "µs");
    let send_paced_us = blocking(paced_sends).await?;
    report.tell("machine: raw 300-byte send, paced 50 × 20, CPU", send_paced_us, "µs");
    let path = dir.join(format!("chatboard-bench-fsync-{}", std::process::id()));
    let syncs = blocking(move || syncs(&path)).await?;
    report.tell("machine: fdatasync of 8 KiB, p50", syncs.quantile_ms(0.5), "ms");
    report.tell("machine: fdatasync of 8 KiB, p99", syncs.quantile_ms(0.99), "ms");
    let hops = hops(nats_url).await?;
    report.tell("machine: core NATS hop, p50", hops.quantile_ms(0.5), "ms");
    report.tell("machine: core NATS hop, p99", hops.quantile_ms(0.99), "ms");
    Ok(Limits {
        send_paced_us,
        fsync_p50_ms: syncs.quantile_ms(0.5),
        nats_p50_ms: hops.quantile_ms(0.5),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn pair(listener: &TcpListener) -> anyhow::Result<(TcpStream, TcpStream)> {
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let (theirs, _) = listener.accept()?;
    ours.set_nodelay(true)?;
    Ok((ours, theirs))
}

/// CPU of a send and of a receive, in µs: one thread, one socket, each frame read by itself.
///
/// A busy thread's time is its CPU's, and medians shrug off those moments when it was not.
fn hot_sends() -> anyhow::Result<(f64, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (mut ours, mut theirs) = pair(&listener)?;
    let mut frame = [7_u8; FRAME_BYTES];
    let (mut sends, mut receives) = (Durations::new(), Durations::new());
    for _ in 0..HOT_ROUNDS {
        let begun = Instant::now();
        for _ in 0..HOT_SENDS {
            ours.write_all(&frame)?;
        }
        let sent = Instant::now();
        for _ in 0..HOT_SENDS {
            theirs.read_exact(&mut frame)?;
        }
        sends.record((sent - begun) / HOT_SENDS);
        receives.record(sent.elapsed() / HOT_SENDS);
    }
    Ok((sends.quantile_ms(0.5) * 1e3, receives.quantile_ms(0.5) * 1e3))
}

/// CPU of a send, in µs, in the pattern of the paced fan-out with nothing in between: a thread
/// that writes to the twenty sockets of a room, a thousand times a second, to an asynchronous
/// reader of all thousand. What the thread's sleeps cost is measured, too, and taken off.
fn paced_sends() -> anyhow::Result<f64> {
    let (rooms, each, _) = PACED;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut ours = Vec::with_capacity(rooms * each);
    let mut theirs = Vec::with_capacity(rooms * each);
    for _ in 0..rooms * each {
        let (mine, yours) = pair(&listener)?;
        mine.set_nonblocking(true)?;
        yours.set_nonblocking(true)?;
        ours.push(mine);
        theirs.push(yours);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || read_all(theirs, &is_over)
    });
    let frame = [7_u8; FRAME_BYTES];
    let mut sends = 0;
    let idle = paced_cpu(|_| Ok(()))?;
    let busy = paced_cpu(|room| {
        for socket in &mut ours[room * each..(room + 1) * each] {
            match socket.write(&frame) {
                Ok(_) => sends += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    is_over.store(true, Relaxed);
    drop(ours);
    reader.join().map_err(|_| anyhow::anyhow!("the reader failed"))??;
    Ok(busy.saturating_sub(idle).as_secs_f64() * 1e6 / float(sends))
}

/// CPU of this thread while it does something for room after room at the pace.
fn paced_cpu(mut act: impl FnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let (rooms, _, per_second) = PACED;
    let before = thread_cpu()?;
    let begun = Instant::now();
    for tick in 0_u32.. {
        let due = begun + Duration::from_secs(u64::from(tick)) / per_second;
        if due > begun + PACED_FOR {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        act(usize::try_from(tick)? % rooms)?;
    }
    Ok(thread_cpu()?.saturating_sub(before))
}

fn read_all(sockets: Vec<TcpStream>, is_over: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for socket in sockets {
            let socket = tokio::net::TcpStream::from_std(socket)?;
            let is_over = Arc::clone(is_over);
            tasks.spawn(async move {
                let mut buffer = [0; 1_024];
                while socket.readable().await.is_ok() && !is_over.load(Relaxed) {
                    if matches!(socket.try_read(&mut buffer), Ok(0)) {
                        break;
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        Ok(())
    })
}

/// Syncs of a page each, into a file that has its length already.
fn syncs(path: &Path) -> anyhow::Result<Durations> {
    let page = [7_u8; PAGE_BYTES];
    let file = std::fs::File::create(path).with_context(|| format!("{}", path.display()))?;
    for place in 0..PAGES {
        file.write_all_at(&page, place * count(PAGE_BYTES))?;
    }
    file.sync_all()?;
    let mut durations = Durations::new();
    let begun = Instant::now();
    for turn in 0..SYNCS {
        if begun.elapsed() > SYNC_FOR {
            break;
        }
        let started = Instant::now();
        file.write_all_at(&page, u64::from(turn) % PAGES * count(PAGE_BYTES))?;
        file.sync_data()?;
        durations.record(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(durations)
}

/// async-nats does not look at an address's user by itself.
async fn connect(url: &str) -> anyhow::Result<async_nats::Client> {
    let address: async_nats::ServerAddr = url.parse()?;
    let options = match (address.username(), address.password()) {
        (Some(user), Some(password)) => {
            async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
        _ => async_nats::ConnectOptions::new(),
    };
    Ok(options.connect(address).await?)
}

/// Messages from one connection to another, one at a time.
async fn hops(nats_url: &str) -> anyhow::Result<Durations> {
    let sender = connect(nats_url).await?;
    let receiver = connect(nats_url).await?;
    let subject = receiver.new_inbox();
    let mut heard = receiver.subscribe(subject.clone()).await?;
    receiver.flush().await?;
    let mut durations = Durations::new();
    for turn in 0..HOPS {
        let begun = Instant::now();
        sender.publish(subject.clone(), vec![7_u8; FRAME_BYTES].into()).await?;
        sender.flush().await?;
        let next = tokio::time::timeout(Duration::from_secs(5), heard.next());
        match next.await {
            Ok(Some(_)) => durations.record(begun.elapsed()),
            // The subscription may not have reached the server when the first ones were sent.
            _ if turn < 3 => {}
            _ => anyhow::bail!("NATS lost a message"),
        }
    }
    Ok(durations)
}
