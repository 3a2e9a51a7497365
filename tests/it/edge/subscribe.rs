//! One socket for many rooms.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_rooms_that_are_followed_are_heard() {
    let board = Board::start().await;
    let team = board.team().await;
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let mut socket = team.bob.opens_many(0).await;
    team.alice.posts(team.room, "before").await;
    let subscribed = socket.subscribes(team.room, None).await;
    assert_eq!(subscribed["last_seq"], 1);
    let snapshot = socket.next_of_type("presence.snapshot").await;
    assert_eq!(
        (&snapshot["room"], &snapshot["online"]),
        (&json!(team.room), &json!([team.bob.id]))
    );
    team.alice.posts(other, "unheard").await;
    team.alice.posts(team.room, "heard").await;
    socket.sees("heard").await;
    // Twice: answered again, and nothing else changes.
    let again = socket.subscribes(team.room, None).await;
    assert_eq!(again["last_seq"], 2);
    let with_after = socket.subscribes(team.room, Some(0)).await;
    assert_eq!(with_after["last_seq"], 2);
    team.alice.posts(team.room, "once").await;
    socket.sees("once").await;
    socket.catches_up().await;
    assert!(!socket.has("message"), "{:?}", socket.backlog());
    socket.sends(json!({"type": "unsubscribe", "room": team.room})).await;
    socket.next_of_type("unsubscribed").await;
    team.alice.posts(team.room, "unheard").await;
    let mut witness = team.carol.opens(1, team.room).await;
    witness.posts(team.room, "unheard too").await;
    witness.sees("unheard too").await;
    socket.catches_up().await;
    assert!(!socket.has("message"), "no frame of the room follows: {:?}", socket.backlog());
    // And again, from where it was left.
    socket.subscribes(team.room, Some(3)).await;
    socket.reaches(team.room, 5).await;
    socket.sends(json!({"type": "unsubscribe", "room": other})).await;
    socket.next_of_type("unsubscribed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_refused_as_the_room_is_seen() {
    let board = Board::start().await;
    let team = board.team().await;
    let open = team.alice.makes_room(team.org, "open", "PUBLIC").await;
    let private = team.alice.makes_room(team.org, "private", "PRIVATE").await;
    let mut socket = team.bob.opens_many(1).await;
    socket.sends(json!({"type": "subscribe", "room": open})).await;
    assert_eq!(socket.is_refused("not_a_member").await["room"], open);
    for hidden in [private, 999_999] {
        socket.sends(json!({"type": "subscribe", "room": hidden})).await;
        assert_eq!(socket.is_refused("not_found").await["room"], hidden);
    }
    for bad in [
        json!({"type": "subscribe"}),
        json!({"type": "subscribe", "room": 0}),
        json!({"type": "subscribe", "room": "1"}),
        json!({"type": "subscribe", "room": team.room, "after": -1}),
        json!({"type": "subscribe", "room": team.room, "after": "1"}),
        json!({"type": "unsubscribe"}),
    ] {
        socket.sends_text(&bad.to_string()).await;
        socket.is_refused("validation_failed").await;
    }
    // Joining later makes the same socket welcome.
    team.bob.post_empty(&format!("/rooms/{open}/join/")).await.is(201);
    socket.subscribes(open, None).await;
    team.alice.posts(open, "welcome").await;
    socket.sees("welcome").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frame_subscribes_to_many_rooms_and_each_is_answered() {
    let board = Board::builder().limits_on().start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Many").await;
    let rooms = board.rooms_in_bulk(org, alice.id, 200).await;
    alice.posts(rooms[0], "before").await;
    let mut socket = alice.opens_many(0).await;
    let epoch = socket.subscribes(rooms[0], None).await["epoch"].clone();
    socket.sends(json!({"type": "unsubscribe", "room": rooms[0]})).await;
    socket.next_of_type("unsubscribed").await;
    let mut items: Vec<_> = rooms.iter().map(|room| json!({"room": room})).collect();
    items[0]["after"] = json!(0);
    let batch = json!({"type": "subscribe", "rooms": items, "epoch": epoch});
    socket.sends(batch).await;
    for room in &rooms {
        let answer = socket
            .until("subscribed", |frame| frame["type"] == "subscribed" && frame["room"] == *room)
            .await;
        assert_eq!(answer["epoch"], epoch);
    }
    socket.sees("before").await;
    alice.posts(rooms[199], "in the last").await;
    socket.sees("in the last").await;
    // It counted as one frame, and each room stands for itself.
    let mixed = json!([{"room": rooms[1]}, {"room": 999_999}, {"room": "x"}, {"after": 1}, 7,
                       {"room": rooms[2], "after": -1}]);
    socket.sends_text(&json!({"type": "subscribe", "rooms": mixed}).to_string()).await;
    assert_eq!(socket.next_of_type("subscribed").await["room"], rooms[1]);
    assert_eq!(socket.is_refused("not_found").await["room"], 999_999);
    for room in [json!(null), json!(null), json!(null), json!(rooms[2])] {
        assert_eq!(socket.is_refused("validation_failed").await["room"], room);
    }
    let too_many = vec![json!({"room": rooms[0]}); 201];
    for bad in [json!(too_many), json!([]), json!("x"), json!({"room": 1})] {
        socket.sends_text(&json!({"type": "subscribe", "rooms": bad}).to_string()).await;
        socket.is_refused("validation_failed").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_follows_a_thousand_rooms_and_no_more() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Many").await;
    let rooms = board.rooms_in_bulk(org, alice.id, 1_001).await;
    let mut socket = alice.opens_many(0).await;
    for room in &rooms[..1_000] {
        socket.sends(json!({"type": "subscribe", "room": room})).await;
    }
    for room in &rooms[..1_000] {
        socket
            .until("subscribed", |frame| frame["type"] == "subscribed" && frame["room"] == *room)
            .await;
    }
    socket.sends(json!({"type": "subscribe", "room": rooms[1_000]})).await;
    assert_eq!(socket.is_refused("too_many_rooms").await["room"], rooms[1_000]);
    alice.posts(rooms[999], "in the last").await;
    socket.sees("in the last").await;
    socket.sends(json!({"type": "unsubscribe", "room": rooms[0]})).await;
    socket.next_of_type("unsubscribed").await;
    socket.subscribes(rooms[1_000], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_on_one_device_loses_the_room_on_the_other() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut of_room = team.bob.opens(0, team.room).await;
    let mut of_many = team.bob.opens_many(1).await;
    of_many.subscribes(team.room, None).await;
    // Live on both: who is still catching up may be told of the end alone.
    team.alice.posts(team.room, "hi").await;
    of_room.sees("hi").await;
    of_many.sees("hi").await;
    let began = std::time::Instant::now();
    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    for socket in [&mut of_room, &mut of_many] {
        socket.next_of_type("member.left").await;
        assert_eq!(socket.is_refused("removed").await["room"], team.room);
    }
    assert_eq!(of_room.closes().await.code, 4003);
    assert!(began.elapsed().as_secs_f64() < 2.5);
    team.alice.posts(team.room, "behind their back").await;
    of_many.sends(json!({"type": "message", "room": team.room, "body": "x", "nonce": "n"})).await;
    of_many.is_refused("not_a_member").await;
    of_many.catches_up().await;
    assert!(!of_many.has("message"));
}
