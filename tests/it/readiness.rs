//! A node that cannot do its work answers nobody, and one that hangs holds nobody up for long.

use testkit::{Board, Socket, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_with_a_wrong_password_takes_no_question() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let wrong = board.database_url().replacen("postgres:", "postgres:x", 2);
    let wrong = wrong.replacen("postgres:x//", "postgres://", 1);
    assert_ne!(wrong, board.database_url());
    let unready = {
        let processes = board.processes().await;
        processes[Board::API].another_with(&[
            ("CHATBOARD_DATABASE_URL", wrong.as_str()),
            ("CHATBOARD_HTTP_ADDR", "127.0.0.1:0"),
        ])
    };
    testkit::eventually("it is connected to NATS", testkit::DEADLINE, || async {
        let connected = unready.metric(board.http(), "chatboard_nats_connected").await;
        (connected >= 1.0).then_some(())
    })
    .await;
    let mut sender = alice.opens(0, room).await;
    for number in 1..=100 {
        sender.posts(room, &number.to_string()).await;
        let mut socket = bob.opens_many(1).await;
        socket.subscribes(room, None).await;
        assert!(!socket.has("error"), "{:?}", socket.backlog());
        socket.leaves().await;
    }
    assert!(!sender.has("error"), "{:?}", sender.backlog());
    let answered = unready.metric(board.http(), "chatboard_rpc_ready").await;
    assert!(answered < 1.0, "it is not ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_go_on_in_order_while_one_api_hangs() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut second =
        board.processes().await[Board::API].another_with(&[("CHATBOARD_HTTP_ADDR", "127.0.0.1:0")]);
    second.ready(board.http()).await;
    let mut sender = alice.opens(0, room).await;
    let mut reader = bob.opens(1, room).await;
    // Both have answered something: whichever hangs, the other is known.
    for number in 1..=20 {
        sender.posts(room, &format!("before {number}")).await;
    }
    second.halt();
    for number in 1..=12 {
        let send = json!({"type": "message", "room": room, "body": number.to_string(),
                          "nonce": format!("n{number}")});
        sender.sends(send).await;
    }
    let mut last = 20;
    for number in 1..=12 {
        let answer = answer_of(&mut sender, &format!("n{number}")).await;
        assert_eq!(answer["type"], "ack", "{answer}");
        let seq = answer["seq"].as_i64().unwrap();
        assert!(seq == last + 1, "{seq} after {last}");
        last = seq;
    }
    second.resume();
    second.ready(board.http()).await;
    sender.posts(room, "after").await;
    reader.reaches(room, 33).await;
    assert_eq!(alice.history(room).await.len(), 33, "nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_whose_postgres_returns_answers_again() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut socket = bob.opens(0, room).await;
    let postgres = &board.servers().postgres;
    tokio::task::block_in_place(|| postgres.stop_immediate()).expect("Postgres can be stopped");
    let send = json!({"type": "message", "room": room, "body": "x", "nonce": "m"});
    // First by an api that has not left yet, then by nobody: at once, either way.
    for _ in 0..8 {
        socket.sends(send.clone()).await;
        socket.is_refused("unavailable").await;
    }
    tokio::task::block_in_place(|| postgres.start_again()).expect("Postgres comes back");
    let path = format!("/rooms/{room}/");
    testkit::eventually("REST works again", testkit::DEADLINE, || async {
        (alice.get(&path).await.status == 200).then_some(())
    })
    .await;
    loop {
        socket.sends(send.clone()).await;
        let answer = answer_of(&mut socket, "m").await;
        if answer["type"] == "ack" {
            break;
        }
        assert_eq!(answer["code"], "unavailable");
    }
    socket.sees("x").await;
    assert_eq!(alice.history(room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_whose_schema_is_too_old_takes_no_question() {
    let board = Board::builder().processes().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut sender = alice.opens(0, room).await;
    let newest = "where version = (select max(version) from _sqlx_migrations)";
    board.sql(&format!("update _sqlx_migrations set success = false {newest}")).await;
    let mut processes = board.processes().await;
    let mut second = processes[Board::API].another_with(&[("CHATBOARD_HTTP_ADDR", "127.0.0.1:0")]);
    testkit::eventually("it is connected to NATS", testkit::DEADLINE, || async {
        let connected = second.metric(board.http(), "chatboard_nats_connected").await;
        (connected >= 1.0).then_some(())
    })
    .await;
    for number in 1..=40 {
        sender.posts(room, &number.to_string()).await;
    }
    assert!(second.metric(board.http(), "chatboard_rpc_ready").await < 1.0);
    // An older backup was restored under an api that runs: a new epoch, and the schema is compared.
    board.sql("update epochs set timeline = timeline + 1").await;
    let first = &processes[Board::API];
    testkit::eventually("it leaves", testkit::DEADLINE, || async {
        (first.metric(board.http(), "chatboard_rpc_ready").await < 1.0).then_some(())
    })
    .await;
    sender.sends(json!({"type": "message", "room": room, "body": "x", "nonce": "x"})).await;
    sender.is_refused("unavailable").await;
    board.sql(&format!("update _sqlx_migrations set success = true {newest}")).await;
    for api in [&mut second, &mut processes[Board::API]] {
        api.ready(board.http()).await;
        testkit::eventually("it joins", testkit::DEADLINE, || async {
            (api.metric(board.http(), "chatboard_rpc_ready").await >= 1.0).then_some(())
        })
        .await;
    }
    sender.posts(room, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_api_is_killed_is_asked_of_another_and_made_once() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    // A database user of its own tells whose statement waits.
    let user = format!("second_{}", std::process::id());
    board.sql(&format!("create role {user} superuser login password 'x'")).await;
    let (_, place) = board.database_url().split_once('@').unwrap();
    let url = format!("postgres://{user}:x@{place}");
    let mut second = board.processes().await[Board::API].another_with(&[
        ("CHATBOARD_HTTP_ADDR", "127.0.0.1:0"),
        ("CHATBOARD_DATABASE_URL", url.as_str()),
    ]);
    second.ready(board.http()).await;
    let mut sender = alice.opens(0, room).await;
    let mut reader = bob.opens(1, room).await;
    // Both have answered something: the one that stays is known.
    for number in 1..=20 {
        sender.posts(room, &format!("before {number}")).await;
    }
    let waiting = "select usename::text from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    let mut number = 0;
    let body = loop {
        number += 1;
        let body = format!("in flight {number}");
        let lock = board.holding("lock table messages in share mode").await;
        sender.sends(json!({"type": "message", "room": room, "body": body, "nonce": body})).await;
        let who = testkit::eventually("a send waits for the lock", testkit::DEADLINE, || async {
            board.texts(waiting).await.pop()
        })
        .await;
        if who == user {
            second.kill();
            lock.release().await;
            break body;
        }
        lock.release().await;
        answer_of(&mut sender, &body).await;
    };
    let answer = answer_of(&mut sender, &body).await;
    assert_eq!(answer["type"], "ack", "{answer}");
    reader.sees(&body).await;
    sender.posts(room, "after").await;
    reader.sees("after").await;
    let history = alice.history(room).await;
    let same = history.iter().filter(|message| message["body"] == body.as_str()).count();
    assert_eq!(same, 1, "made once");
    let processes = board.processes().await;
    let edge = &processes[Board::EDGE];
    assert!(edge.metric(board.http(), "chatboard_rpc_asked_again_total").await >= 1.0);
}

/// The `ack` or `error` of a send.
async fn answer_of(sender: &mut Socket, nonce: &str) -> Value {
    sender.until("an answer", |frame| frame["nonce"] == nonce && frame["type"] != "message").await
}
