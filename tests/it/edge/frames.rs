//! What a client may say, and what it is answered.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_and_the_socket_stays() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    for bad in
        ["", "x", "{", "[]", "null", "1", "\"ping\"", "{}", "{\"type\":null}", "{\"type\":1}"]
    {
        socket.sends_text(bad).await;
        socket.is_refused("malformed_request").await;
    }
    for unknown in [json!({"type": "dance"}), json!({"type": ""}), json!({"type": "PING"})] {
        socket.sends(unknown).await;
        socket.is_refused("unknown_type").await;
    }
    let deep = format!("{{\"type\":\"ping\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    socket.sends_text(&deep).await;
    socket.next_of_type("pong").await;
    socket.catches_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_socket_speaks_of_its_room_alone() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(1, room).await;
    let other = room + 1;
    for frame in [
        json!({"type": "message", "room": other, "body": "x", "nonce": "n"}),
        json!({"type": "typing", "room": other, "is_typing": true}),
        json!({"type": "read", "room": other, "msg_id": 1}),
        json!({"type": "unsubscribe", "room": other}),
    ] {
        socket.sends(frame.clone()).await;
        let refused = socket.is_refused("validation_failed").await;
        assert_eq!(refused["room"], other, "{frame}");
    }
    socket.sends_text(&json!({"type": "subscribe", "room": room}).to_string()).await;
    socket.is_refused("validation_failed").await;
    socket.sends(json!({"type": "message", "room": room, "body": "x", "nonce": "n"})).await;
    assert_eq!(socket.next_of_type("ack").await["nonce"], "n");
    socket.sends(json!({"type": "message", "body": "y", "nonce": "m"})).await;
    assert_eq!(socket.next_of_type("ack").await["nonce"], "m");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_send_is_refused_with_its_nonce_and_room() {
    let board = Board::start().await;
    let team = board.team().await;
    let elsewhere = team.alice.makes_room(team.org, "elsewhere", "PUBLIC").await;
    let private = team.alice.makes_room(team.org, "private", "PRIVATE").await;
    let mut socket = team.bob.opens_many(0).await;
    let room = team.room;
    for (frame, code) in [
        (json!({"body": "", "nonce": "n", "room": room}), "validation_failed"),
        (json!({"body": 5, "nonce": "n", "room": room}), "validation_failed"),
        (json!({"body": "x", "nonce": "n", "room": room, "reply_to": 77}), "validation_failed"),
        (json!({"body": "x".repeat(10_001), "nonce": "n", "room": room}), "validation_failed"),
        (json!({"body": "x", "nonce": "n", "room": elsewhere}), "not_a_member"),
    ] {
        let mut frame = frame;
        frame["type"] = json!("message");
        let room = frame["room"].clone();
        socket.sends(frame).await;
        let refused = socket.is_refused(code).await;
        assert_eq!((&refused["nonce"], &refused["room"]), (&json!("n"), &room));
        assert!(refused["detail"].is_string());
    }
    for hidden in [private, 999_999] {
        let frame = json!({"type": "message", "room": hidden, "body": "x", "nonce": "n"});
        socket.sends(frame).await;
        socket.is_refused("not_found").await;
    }
    for frame in [
        json!({"type": "message", "room": room, "body": "x"}),
        json!({"type": "message", "room": room, "body": "x", "nonce": null}),
        json!({"type": "message", "room": room, "body": "x", "nonce": 5}),
        json!({"type": "message", "room": room, "body": "x", "nonce": ""}),
        json!({"type": "message", "room": room, "body": "x", "nonce": "x".repeat(65)}),
        json!({"type": "message", "body": "x", "nonce": "n"}),
        json!({"type": "message", "room": -1, "body": "x", "nonce": "n"}),
    ] {
        socket.sends(frame).await;
        socket.is_refused("validation_failed").await;
    }
    socket
        .sends_text("{\"type\":\"message\",\"room\":1,\"nonce\":\"n\",\"body\":\"\\u0000\"}")
        .await;
    socket.is_refused("validation_failed").await;
    let surrogate = "{\"type\":\"message\",\"room\":1,\"nonce\":\"n\",\"body\":\"\\ud800\"}";
    socket.sends_text(surrogate).await;
    socket.is_refused("malformed_request").await;
    assert_eq!(team.alice.room(room).await["last_seq"], 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_is_acknowledged_and_seen_by_all_sockets_of_the_room() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut sender = alice.opens(0, room).await;
    let mut other_device = alice.opens(1, room).await;
    let mut of_bob = bob.opens(1, room).await;
    let frame = json!({"type": "message", "room": room, "body": "hi", "nonce": "n",
        "file_url": "https://x.example/a.png"});
    sender.sends(frame.clone()).await;
    let ack = sender.next_of_type("ack").await;
    assert!(ack.get("replayed").is_none(), "{ack}");
    for socket in [&mut sender, &mut other_device, &mut of_bob] {
        let message = socket.sees("hi").await;
        assert_eq!((&message["id"], &message["seq"]), (&ack["id"], &ack["seq"]));
        assert_eq!((&message["nonce"], &message["sender"]), (&json!("n"), &json!(alice.id)));
        assert_eq!(message["file_url"], "https://x.example/a.png");
    }
    sender.sends(frame).await;
    let again = sender.next_of_type("ack").await;
    assert_eq!((&again["replayed"], &again["id"]), (&json!(true), &ack["id"]));
    // Sending needs membership, not a subscription; many in flight are acknowledged each.
    let mut many = bob.opens_many(0).await;
    for number in 0..50 {
        let nonce = format!("m{number}");
        many.sends(json!({"type": "message", "room": room, "body": nonce, "nonce": nonce})).await;
    }
    let mut seqs = Vec::new();
    for number in 0..50 {
        let nonce = format!("m{number}");
        let ack =
            many.until("ack", |frame| frame["type"] == "ack" && frame["nonce"] == nonce).await;
        seqs.push(ack["seq"].as_i64().unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=51).collect::<Vec<_>>());
    of_bob.reaches(room, 51).await;
    many.catches_up().await;
    assert!(!many.has("message"), "it follows no room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_over_a_socket_is_checked_as_over_rest() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let message = alice.posts(room, "hi").await;
    let mut socket = bob.opens(0, room).await;
    for bad in [json!("x"), json!(0), json!(-1), json!(null)] {
        socket.sends(json!({"type": "read", "msg_id": bad})).await;
        socket.is_refused("validation_failed").await;
    }
    socket.sends(json!({"type": "read", "msg_id": 999_999})).await;
    socket.is_refused("not_found").await;
    socket.sends(json!({"type": "read", "msg_id": message["id"]})).await;
    assert_eq!(socket.next_of_type("read").await["unread_count"], 0);
    assert_eq!(bob.unread(room).await, (0, 0));
}
