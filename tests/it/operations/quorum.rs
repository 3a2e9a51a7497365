//! A NATS cluster that loses its quorum: JetStream stops while connections work.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::{Board, Person, Receiver, Storm, eventually, json};

use super::says;

/// How long what waited may take once the cluster works again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sends without a quorum.
const SENDS: u8 = 20;

/// Sends over REST and over a socket, all of which are acknowledged.
async fn sends_while_away(board: &Board, alice: &Person, room: i64) {
    let mut socket = alice.opens(1, room).await;
    for number in 0..SENDS / 2 {
        let nonce = format!("rest {number}");
        let path = format!("/messages/rooms/{room}/");
        alice.post(&path, json!({"body": nonce, "nonce": nonce})).await.is(201);
        socket.posts(room, &format!("socket {number}")).await;
    }
    let ready = board.get("/health/ready").await;
    assert_eq!(ready.status, 200, "an api needs no JetStream: {}", ready.text);
}

/// Stops two of three servers until the workers say so, and starts them again.
async fn loses_its_quorum(board: &Board, alice: &Person, room: i64) {
    let servers = board.shipped_nats();
    for server in &servers[..2] {
        tokio::task::block_in_place(|| server.kill());
    }
    {
        let processes = board.processes().await;
        says(&processes[Board::RELAY], (503, "consumer"), &["consumer relay"]).await;
        let webhooks = &processes[board.webhooks_process()];
        says(webhooks, (503, "consumer"), &["consumer webhooks"]).await;
    }
    sends_while_away(board, alice, room).await;
    assert!(
        board.count("select count(*) from outbox").await >= i64::from(SENDS),
        "nothing can be planned"
    );
    for server in &servers[..2] {
        server.start_again().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_of_nats_sends_are_answered_and_effects_follow_on_return() {
    let builder = Board::builder().webhooks().shipped_nats("cluster.conf");
    let board = builder.start().await;
    let receiver = Receiver::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let org = alice.room(room).await["org"].clone();
    let hook = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
    alice.post("/webhooks/", hook).await.is(201);
    let mut of_bob = bob.opens(0, room).await;
    alice.posts(room, "before").await;
    receiver.gets(1).await;

    let storm = Storm {
        senders: 12,
        sockets: 12,
        pace: Duration::from_millis(500),
        length: Duration::from_secs(5),
    };
    let report = storm.rages(&board, Box::pin(loses_its_quorum(&board, &alice, room)));
    let report = Box::pin(report).await;
    assert_eq!(report.delivered, report.acknowledged * storm.sockets, "{report:?}");

    of_bob.reaches(room, 1 + i64::from(SENDS)).await;
    let deliveries = eventually("every message is delivered", PATIENCE, async || {
        let mut deliveries = BTreeMap::new();
        for call in receiver.received() {
            let body = call.json()["data"]["message"]["body"].to_string();
            *deliveries.entry(body).or_insert(0) += 1;
        }
        (deliveries.len() == 1 + usize::from(SENDS)).then_some(deliveries)
    })
    .await;
    assert!(deliveries.values().all(|count| *count == 1), "{deliveries:?}");
    let mut processes = board.processes().await;
    for process in processes.iter_mut() {
        process.ready(board.http()).await;
    }
}
