//! Budgets of a user over all their sockets and edges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use testkit::{Board, DEADLINE, Person, Socket, eventually, json, spawn};

/// Sockets of the flooding user, half of them on each edge.
const SOCKETS: usize = 100;
/// Frames that each of them sends at once: below the limit of a socket.
const FRAMES: usize = 15;

/// What a socket's flood was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    acks: u32,
    limited: u32,
    closed: u32,
}

/// Sends messages at once, and reads until each is answered or the socket is closed.
async fn floods(mut socket: Socket, room: i64) -> Answers {
    let mut answers = Answers::default();
    for number in 0..FRAMES {
        let nonce = format!("{}-{number}", rand::random::<u64>());
        socket
            .sends(json!({"type": "message", "room": room, "body": "flood", "nonce": nonce}))
            .await;
    }
    let reading = async {
        for _ in 0..FRAMES {
            let frame = loop {
                let Some(frame) = socket.try_next().await else { return };
                if frame["type"] == "ack" || frame["type"] == "error" {
                    break frame;
                }
            };
            if frame["type"] == "ack" {
                answers.acks += 1;
            } else {
                assert_eq!(frame["code"], "rate_limited", "{frame}");
                assert!(frame["nonce"].is_string(), "{frame}");
                assert!(frame["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{frame}");
                answers.limited += 1;
            }
        }
    };
    let read = tokio::time::timeout(DEADLINE, reading).await;
    assert!(read.is_ok(), "each frame is answered");
    if let Some(closed) = socket.closed() {
        assert_eq!(closed.code, 4429, "{closed:?}");
        answers.closed = 1;
    }
    answers
}

/// Sends one message after the other, each of which must be acknowledged. Returns how many.
async fn talks(person: Person, room: i64, is_over: Arc<AtomicBool>) -> u32 {
    let mut socket = person.opens_many(1).await;
    let mut count = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        socket.posts(room, "still here").await;
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "figures for --nocapture")]
async fn a_hundred_sockets_on_two_edges_share_the_budget_of_their_user() {
    let board = Board::builder().limits_on().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut sockets = Vec::new();
    for number in 0..SOCKETS {
        sockets.push(alice.opens_many(number % 2).await);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let talking = spawn(talks(bob, room, Arc::clone(&is_over)));
    let began = Instant::now();
    let flooding = sockets.into_iter().map(|socket| spawn(floods(socket, room)));
    let mut all = Answers::default();
    for answers in join_all(flooding).await {
        let answers = answers.expect("each socket is answered");
        all.acks += answers.acks;
        all.limited += answers.limited;
        all.closed += answers.closed;
    }
    is_over.store(true, Ordering::Relaxed);
    let others = talking.await.expect("another user's messages are acknowledged throughout");
    let took = began.elapsed();
    // Admitted frames are posted although their socket was closed.
    let posted = eventually("the burst is posted", DEADLINE, || async {
        let posted = board.count("select count(*) from messages where body = 'flood'").await;
        (posted >= 40).then_some(posted)
    })
    .await;
    println!(
        "{posted} of {} frames posted in {took:?}: {all:?}; others: {others}",
        SOCKETS * FRAMES
    );
    // A burst on each edge before they have exchanged counts, then 40 a second within a fifth.
    let most = 2.0 * 40.0 + 1.2 * 40.0 * took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let posted = posted as f64;
    assert!(posted <= most, "{posted}, at most {most}");
    assert!(all.limited > 0 && all.closed > 0, "{all:?}");
    assert!(others > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "figures for --nocapture")]
async fn replays_of_a_user_are_paced_together_and_close_nothing() {
    /// KiB a second.
    const RATE: u32 = 1_024;
    const MESSAGES: u32 = 40;
    const REPLAYS: u32 = 16;
    let board = Arc::new(Board::builder().replay_kib_per_second(RATE).start().await);
    let (alice, bob, room) = board.two_members_of("eng").await;
    for number in 0..MESSAGES {
        bob.posts(room, &format!("{number} {}", "x".repeat(9_900))).await;
    }
    let head = alice.room(room).await["last_seq"].as_i64().unwrap();
    let began = Instant::now();
    let replays = (0..REPLAYS).map(|_| {
        let alice = alice.clone();
        spawn(async move {
            let mut socket = alice.resumes(0, room, 0).await;
            socket.reaches(room, head).await;
            socket
        })
    });
    let mut sockets = Vec::new();
    for replay in join_all(replays).await {
        sockets.push(replay.expect("the replay ends"));
    }
    // The burst and four pages may be in excess; the rest is paced.
    let replayed = REPLAYS * MESSAGES * 9_900 / 1_024;
    let at_once = RATE + 4 * (MESSAGES * 10_500 / 1_024);
    let owed = Duration::from_secs(1) * (replayed - at_once) / RATE;
    let took = began.elapsed();
    println!("{replayed} KiB in {took:?}; at {RATE} KiB/s at least {owed:?}");
    assert!(took >= owed, "{replayed} KiB in {took:?}, at least {owed:?}");
    // Another user's replay does not wait for it.
    let mut socket = bob.resumes(0, room, 0).await;
    socket.reaches(room, head).await;
    bob.posts(room, "after all that").await;
    for socket in &mut sockets {
        socket.sees("after all that").await;
    }
}
