//! A flood of the costliest texts, and a bystander in another organization.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::{Board, Person, Receiver, eventually, json};

/// Sockets that flood.
const SOCKETS: usize = 5;
/// Messages of each.
const MESSAGES: usize = 180;
/// Messages of each where every message has ten thousand different words.
const LONG_MESSAGES: usize = 60;
/// How long a bystander's request may take on a busy machine, with code that is not optimized.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// After the flood, until nothing waits.
const PLANNED_WITHIN: Duration = Duration::from_secs(60);

/// People of another organization, with a webhook.
struct Bystanders {
    dave: Person,
    erin: Person,
    room: i64,
    receiver: Receiver,
}

impl Bystanders {
    async fn of(board: &Board) -> Self {
        let (dave, erin, room) = board.two_members_of("quiet").await;
        let org = dave.room(room).await["org"].as_i64().unwrap();
        let receiver = Receiver::start().await;
        let body = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
        dave.post("/webhooks/", body).await.is(201);
        Self { dave, erin, room, receiver }
    }

    /// Sends messages that mention Erin, one after the other, until the flood is over. Each answer,
    /// and that the server lives, must come in time. Returns how many were sent, and the longest
    /// waits for a send and for the sign of life.
    async fn talk(&self, board: &Board, is_over: &AtomicBool) -> (usize, Duration, Duration) {
        let (mut sent, mut send_max, mut live_max) = (0, Duration::ZERO, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) || sent == 0 {
            let asked = Instant::now();
            let live = tokio::time::timeout(ANSWER_DEADLINE, board.get("/health/live")).await;
            live.unwrap().is(200);
            live_max = live_max.max(asked.elapsed());
            let text = format!("@{} {sent}", self.erin.email);
            let asked = Instant::now();
            let post = self.dave.posts(self.room, &text);
            tokio::time::timeout(ANSWER_DEADLINE, post).await.unwrap();
            send_max = send_max.max(asked.elapsed());
            sent += 1;
        }
        (sent, send_max, live_max)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_at_signs_stops_nobody() {
    flood(&"@".repeat(10_000), MESSAGES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_names_without_end_stops_nobody() {
    flood(&"@.".repeat(5_000), MESSAGES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_different_words_stops_nobody() {
    let han: String = (0x4e00..).filter_map(char::from_u32).take(10_000).collect();
    flood(&han, LONG_MESSAGES).await;
}

#[expect(clippy::print_stdout, reason = "the figures, shown with --nocapture")]
async fn flood(text: &str, messages: usize) {
    let board = Arc::new(Board::builder().webhooks().edges(1).start().await);
    let (mallory, _, room) = board.two_members_of("noise").await;
    let bystanders = Arc::new(Bystanders::of(&board).await);
    board.settle().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let talk = testkit::spawn({
        let (board, bystanders, is_over) = (board.clone(), bystanders.clone(), is_over.clone());
        async move { bystanders.talk(&board, &is_over).await }
    });
    let began = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = mallory.opens(0, room).await;
        let text = text.to_owned();
        sockets.push(testkit::spawn(async move {
            for _ in 0..messages {
                socket.posts(room, &text).await;
            }
        }));
    }
    for socket in sockets {
        socket.await.unwrap();
    }
    let flooded = began.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (sent, send_max, live_max) = talk.await.unwrap();
    let ended = Instant::now();
    eventually("everything is planned", PLANNED_WITHIN, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    println!(
        "{} messages in {flooded:?}; bystander: {sent} sends, longest {send_max:?}, sign of life \
         {live_max:?}; planned {:?} later",
        SOCKETS * messages,
        ended.elapsed()
    );
    assert_eq!(board.count("select count(*) from outbox_dead").await, 0);
    let unread = bystanders.erin.get("/notifications/unread-count/").await.is(200);
    assert_eq!(unread["unread_count"].as_u64(), Some(sent as u64), "{unread}");
    let received = bystanders.receiver.gets(sent).await;
    let mut sequences: Vec<i64> = received.iter().map(testkit::Received::sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences, (1..=i64::try_from(sent).unwrap()).collect::<Vec<_>>());
}
