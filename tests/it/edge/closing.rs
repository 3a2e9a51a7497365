//! Why sockets end: tokens, and the server going away.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats::bus::Bus;
use nats::rpc::{Heartbeat, PresenceUpdate};
use nats::subjects::Subjects;
use testkit::{Board, Value, json, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_about_to_expire_is_warned_of_and_can_be_renewed() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let soon = alice.with_token(&alice.mint(Duration::from_secs(61)));
    let mut renewed = soon.opens(0, room).await;
    let mut forgotten = soon.opens(1, room).await;
    for socket in [&mut renewed, &mut forgotten] {
        let warning = socket.next_of_type("warning").await;
        assert_eq!(warning["code"], "token_expiring");
    }
    renewed.sends(json!({"type": "auth", "token": "nonsense"})).await;
    renewed.is_refused("unauthenticated").await;
    renewed.sends(json!({"type": "auth", "token": bob.token})).await;
    renewed.is_refused("unauthenticated").await;
    let fresh = alice.mint(Duration::from_secs(900));
    renewed.sends(json!({"type": "auth", "token": fresh})).await;
    let answer = renewed.next_of_type("authenticated").await;
    assert!(answer["expires_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{answer}");
    board.clock.advance(Duration::from_secs(70));
    // The clock has moved, not the timers: any frame makes the edge look.
    forgotten.sends(json!({"type": "ping"})).await;
    assert_eq!(forgotten.closes().await.code, 4001);
    renewed.catches_up().await;
    let closed = soon.opening(0, "/ws/").is_closed().await;
    assert_eq!(closed.code, 4001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_ends_the_socket_by_itself() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let short = alice.with_token(&alice.mint(Duration::from_secs(3)));
    let mut socket = short.opens(1, room).await;
    socket.next_of_type("warning").await;
    let began = Instant::now();
    assert_eq!(socket.closes().await.code, 4001);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_going_away_says_so_and_finishes_what_it_accepted() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut sockets = Vec::new();
    for edge in 0..10 {
        sockets.push(bob.opens(edge, room).await);
    }
    let mut sender = alice.opens(0, room).await;
    let ack = sender.posts(room, "last words").await;
    let began = Instant::now();
    let (is_clean, ()) = tokio::join!(board.drain(), async {
        for socket in &mut sockets {
            assert_eq!(socket.closes().await.code, 1012);
            socket.sees("last words").await;
        }
    });
    assert!(is_clean, "everything ended by itself");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(ack["seq"] == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_every_role_cleanly() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut socket = bob.opens(0, room).await;
    alice.posts(room, "hi").await;
    socket.sees("hi").await;
    board.settle().await;
    let mut processes = board.processes().await;
    let mut edges = processes.split_off(Board::EDGE);
    let stopping = async {
        for edge in &mut edges {
            assert_eq!(edge.stop().await, Some(0), "an edge");
        }
    };
    let ((), closed) = tokio::join!(stopping, socket.closes());
    assert_eq!(closed.code, 1012);
    for process in processes.iter_mut() {
        assert_eq!(process.stop().await, Some(0), "{process:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_every_role_cleanly_while_nats_is_away() {
    let board = Board::builder().processes().own_servers().edges(1).start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    alice.posts(room, "hi").await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).expect("nats-server can be killed");
    testkit::eventually("the api says that it is degraded", testkit::DEADLINE, || async {
        (board.get("/health/ready").await.json()["status"] == "degraded").then_some(())
    })
    .await;
    for process in board.processes().await.iter_mut() {
        assert_eq!(process.stop().await, Some(0), "{process:?}");
    }
}

/// Other edges need not wait until they have heard nothing of it for 10 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_stops_says_goodbye_to_the_others() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let subjects = Subjects::new(board.prefix());
    let bus = Bus::connect(board.nats_url(), subjects.clone(), "test").await.unwrap();
    let mut connections = bus.connections();
    within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    let mut beats = bus.client().subscribe(subjects.edge_heartbeats()).await.unwrap();
    assert!(bus.round_trip(subjects.rpc("ping")).await.is_some(), "subscribed");

    let mut of_bob = bob.opens(1, room).await;
    let mut of_alice = alice.opens(0, room).await;
    // In Bob's snapshot, or after it.
    let is_shown = |frame: &Value| {
        let shows = |ids: &Value| ids.as_array().is_some_and(|ids| ids.contains(&alice.id.into()));
        match frame["type"].as_str() {
            Some("presence") => frame["user_id"] == alice.id && frame["status"] == "online",
            Some("presence.snapshot") => shows(&frame["online"]),
            _ => false,
        }
    };
    of_bob.until("Alice is online", is_shown).await;
    assert_eq!(board.restart(Board::EDGE).await, Some(0));
    assert_eq!(of_alice.closes().await.code, 1012);
    of_bob.sees_presence(alice.id, "offline").await;
    within("it says that it is gone", async {
        while let Some(message) = beats.next().await {
            let beat: Heartbeat = serde_json::from_slice(&message.payload).unwrap();
            if matches!(beat.update, PresenceUpdate::Leaving) {
                return;
            }
        }
        panic!("the subscription ended");
    })
    .await;
}
