//! JetStream that does not work although the connection does, and what happens when it does again.

use std::time::Duration;

use nats::bus::Bus;
use nats::subjects::Subjects;
use testkit::{Board, DEADLINE, Person, Value, eventually, json, within};

use super::says;

/// What JetStream may store here.
pub(super) const STORE_BYTES: u64 = 8 * 1024 * 1024;
/// A stream of somebody else's that takes all the space.
const FILLER: &str = "FILLER";

async fn bus(board: &Board) -> Bus {
    let bus = Bus::connect(board.nats_url(), Subjects::new("filler"), "filler").await.unwrap();
    let mut connections = bus.connections();
    within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    bus
}

async fn asks(bus: &Bus, subject: String, payload: String) -> Value {
    let asking = bus.client().request(subject, payload.into());
    let answer = within("JetStream answers", asking).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// Takes all the space of a board's JetStream.
pub(super) async fn fill_store(board: &Board) {
    let bus = bus(board).await;
    let stream = json!({"name": FILLER, "subjects": ["filler.bytes"], "retention": "limits",
        "storage": "file", "num_replicas": 1});
    let created = asks(&bus, format!("$JS.API.STREAM.CREATE.{FILLER}"), stream.to_string()).await;
    assert!(created["error"].is_null(), "{created}");
    for bytes in [256 * 1024, 16 * 1024, 256] {
        while asks(&bus, "filler.bytes".to_owned(), "x".repeat(bytes)).await["error"].is_null() {}
    }
}

/// Gives the space back.
pub(super) async fn free_store(board: &Board) {
    let deleted =
        asks(&bus(board).await, format!("$JS.API.STREAM.DELETE.{FILLER}"), String::new()).await;
    assert_eq!(deleted["success"], true, "{deleted}");
}

async fn posts(alice: &Person, room: i64, count: usize) {
    for number in 0..count {
        alice.posts(room, &number.to_string()).await;
    }
}

async fn oldest_seconds(board: &Board) -> f64 {
    let processes = board.processes().await;
    processes[Board::RELAY].metric(board.http(), "chatboard_outbox_oldest_seconds ").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_told_and_the_backlog_goes_out_when_there_is_space() {
    let builder = Board::builder().processes().edges(1).jetstream_bytes_max(STORE_BYTES);
    let board = builder.start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    board.settle().await;
    fill_store(&board).await;
    posts(&alice, room, 20).await;
    {
        let processes = board.processes().await;
        says(&processes[Board::RELAY], (503, "consumer"), &["ROOMS", "refuses"]).await;
    }
    // The sweep looks at it every second all the while, and does not make it younger.
    eventually("the age of the oldest event grows", 3 * DEADLINE, || async {
        (oldest_seconds(&board).await > 25.0).then_some(())
    })
    .await;
    // As after a long time: each has been repeated in vain so often that it would wait minutes.
    board.sql("update outbox set attempts = 7, publish_after = now() + interval '5 minutes'").await;
    free_store(&board).await;
    board.settle().await;
    let mut processes = board.processes().await;
    processes[Board::RELAY].ready(board.http()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_waited_for_nats_are_repeated_as_soon_as_it_is_back() {
    let board = Board::builder().own_servers().edges(1).start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    board.settle().await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).unwrap();
    posts(&alice, room, 20).await;
    board.sql("update outbox set attempts = 7, publish_after = now() + interval '5 minutes'").await;
    tokio::task::block_in_place(|| nats.start_again()).unwrap();
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_made_is_a_reason_of_readiness() {
    let builder = Board::builder().processes().edges(1).jetstream_bytes_max(STORE_BYTES);
    let board = builder.start().await;
    let rooms = super::with(
        &board.settings(),
        &[("CHATBOARD_NATS_PREFIX", "other"), ("CHATBOARD_NATS_ROOMS_MIB", "64")],
    );
    let none = std::process::Stdio::null();
    let relay = testkit::Process::start_with_stderr("relay", rooms, none);
    says(&relay, (503, "consumer"), &["CHATBOARD_NATS_ROOMS_MIB", "insufficient"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_drops_its_oldest_events_when_it_is_full_and_nothing_is_lost() {
    let board = Board::builder().own_servers().edges(1).without_relay().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let settings = super::with(&board.settings(), &[("CHATBOARD_NATS_ROOMS_MIB", "1")]);
    let (mut relay, _log) = testkit::Process::start_with_log("relay", settings);
    relay.ready(board.http()).await;
    relay.kill();
    let body = "x".repeat(9_000);
    for number in 0..200 {
        let nonce = number.to_string();
        let path = format!("/messages/rooms/{room}/");
        alice.post(&path, json!({"body": body, "nonce": nonce})).await.is(201);
    }
    relay.start_again();
    board.settle().await;
    eventually("the bound of ROOMS is exported", DEADLINE, || async {
        let name = "chatboard_stream_max_bytes{stream=\"ROOMS\"}";
        let bytes = relay.metric(board.http(), name).await;
        ((bytes - 1024.0 * 1024.0).abs() < 1.0).then_some(())
    })
    .await;
    assert_eq!(relay.stop_within(Duration::from_secs(30)).await, Some(0));
}
