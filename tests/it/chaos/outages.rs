//! What goes on, and what does not, while a server is away.

use std::time::{Duration, Instant};

use testkit::{Board, Storm, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_killed_in_turn() {
    let board = Board::builder().processes().own_servers().start().await;
    let storm = Storm { length: super::length(), ..Storm::default() };
    let menace = async {
        board.crash(Board::EDGE).await;
        board.crash(Board::API).await;
        let servers = board.servers();
        tokio::task::block_in_place(|| servers.nats.restart()).expect("nats-server comes back");
        tokio::task::block_in_place(|| servers.postgres.restart_immediate())
            .expect("Postgres recovers");
        board.crash(Board::RELAY).await;
        board.crash(Board::EDGE + 1).await;
    };
    let report = storm.rages(&board, menace).await;
    assert_eq!(report.delivered, report.acknowledged * 50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_rest_goes_on_and_delivery_is_repaired() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut socket = bob.opens(1, room).await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).expect("nats-server can be killed");
    for number in 0..20 {
        alice.posts(room, &number.to_string()).await;
    }
    testkit::eventually("the api says that it is degraded", testkit::DEADLINE, || async {
        let ready = board.get("/health/ready").await;
        (ready.status == 200 && ready.json()["status"] == "degraded").then_some(())
    })
    .await;
    tokio::task::block_in_place(|| nats.start_again()).expect("nats-server comes back");
    socket.reaches(room, 20).await;
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_sends_are_refused_and_sockets_stay() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut of_alice = alice.opens(0, room).await;
    of_alice.next_of_type("presence.snapshot").await;
    let mut of_bob = bob.opens(1, room).await;
    of_alice.sees_presence(bob.id, "online").await;
    let postgres = &board.servers().postgres;
    tokio::task::block_in_place(|| postgres.stop_immediate()).expect("Postgres can be stopped");
    let path = format!("/messages/rooms/{room}/");
    let refused = alice.post(&path, json!({"body": "x", "nonce": "n"})).await;
    refused.refuses(503, "unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    let send = json!({"type": "message", "body": "x", "nonce": "m"});
    of_alice.sends(send.clone()).await;
    of_alice.is_refused("unavailable").await;
    of_bob.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(of_alice.next_of_type("typing").await["user_id"], bob.id);
    assert_eq!(board.get("/health/ready").await.status, 503);
    assert_eq!(board.get("/health/live").await.status, 200);
    tokio::task::block_in_place(|| postgres.start_again()).expect("Postgres comes back");
    testkit::eventually("sends work again", testkit::DEADLINE, || async {
        let again = json!({"body": "x", "nonce": "n"});
        let answer = alice.post(&path, again).await;
        [200, 201].contains(&answer.status).then_some(())
    })
    .await;
    of_bob.sees("x").await;
    assert_eq!(alice.history(room).await.len(), 1, "nothing was half-done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_held_fails_its_own_sends_alone() {
    let board = Board::start().await;
    let team = board.team().await;
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let room = team.room;
    let began = Instant::now();
    let lock = format!(
        "begin; select id from rooms where id = {room} for update; select pg_sleep(9); commit"
    );
    let holding = board.sql(&lock);
    let posting = async {
        testkit::eventually("the room is held", testkit::DEADLINE, || async {
            let sleeping = "select count(*) from pg_stat_activity \
                            where wait_event = 'PgSleep' and datname = current_database()";
            (board.count(sleeping).await > 0).then_some(())
        })
        .await;
        let send = |room: i64, number: usize| {
            let alice = &team.alice;
            async move {
                let body = json!({"body": "x", "nonce": number.to_string()});
                (room, alice.post(&format!("/messages/rooms/{room}/"), body).await)
            }
        };
        let sends = (0..40).map(|number| send(if number % 2 == 0 { room } else { other }, number));
        for (sent_to, answer) in futures_util::future::join_all(sends).await {
            if sent_to == room {
                answer.refuses(503, "unavailable");
            } else {
                answer.is(201);
            }
        }
        assert!(began.elapsed() < Duration::from_secs(9), "before the room was let go");
    };
    tokio::join!(holding, posting);
    team.alice.posts(room, "again").await;
}
