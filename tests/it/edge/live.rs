//! Typing, presence and receipts: without `seq`, as best can be.

use std::time::{Duration, Instant};

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_shown_to_others_and_ends_by_itself() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut of_alice = alice.opens(0, room).await;
    of_alice.next_of_type("presence.snapshot").await;
    let mut elsewhere = bob.opens(0, room).await;
    let mut of_bob = bob.opens(1, room).await;
    of_bob.sends(json!({"type": "typing", "is_typing": true})).await;
    let began = Instant::now();
    let typing = of_alice.next_of_type("typing").await;
    assert_eq!(
        typing,
        json!({"type": "typing", "room": room, "user_id": bob.id, "user_email": bob.email,
            "is_typing": true})
    );
    let stopped = of_alice.next_of_type("typing").await;
    assert_eq!(stopped["is_typing"], false);
    let after = began.elapsed();
    assert!(after > Duration::from_secs(5) && after < Duration::from_secs(9), "{after:?}");
    of_bob.sends(json!({"type": "typing", "room": room, "is_typing": true})).await;
    of_alice.next_of_type("typing").await;
    of_bob.sends(json!({"type": "typing", "room": room, "is_typing": false})).await;
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], false);
    of_bob.sends(json!({"type": "typing", "room": room, "is_typing": true})).await;
    of_alice.next_of_type("typing").await;
    drop(of_bob);
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], false, "their socket closed");
    elsewhere.catches_up().await;
    assert!(!elsewhere.has("typing"), "not to one's own sockets");
    for bad in [json!("yes"), json!(null), json!(1)] {
        elsewhere.sends(json!({"type": "typing", "is_typing": bad})).await;
        elsewhere.is_refused("validation_failed").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_online_while_any_socket_is_open() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut of_alice = alice.opens(0, room).await;
    let snapshot = of_alice.next_of_type("presence.snapshot").await;
    assert_eq!(snapshot["online"], json!([alice.id]), "oneself included");
    let first = bob.opens_many(1).await;
    let online = of_alice.sees_presence(bob.id, "online").await;
    assert_eq!(online["room"], room);
    let second = bob.opens(0, room).await;
    first.leaves().await;
    let mut of_carol_too = alice.opens(1, room).await;
    let snapshot = of_carol_too.next_of_type("presence.snapshot").await;
    let mut online: Vec<_> =
        snapshot["online"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    online.sort_unstable();
    assert_eq!(online, [alice.id, bob.id]);
    second.leaves().await;
    of_alice.sees_presence(bob.id, "offline").await;
    of_carol_too.sees_presence(bob.id, "offline").await;
    let offline = of_alice.backlog().iter().filter(|frame| frame["status"] == "offline").count();
    assert_eq!(offline, 0, "said once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_while_online_is_shown_as_online() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "club", "PUBLIC").await;
    let mut of_alice = team.alice.opens(0, room).await;
    of_alice.next_of_type("presence.snapshot").await;
    let mut of_bob = team.bob.opens_many(1).await;
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    of_alice.next_of_type("member.joined").await;
    of_alice.sees_presence(team.bob.id, "online").await;
    of_bob.subscribes(room, None).await;
    let snapshot = of_bob.next_of_type("presence.snapshot").await;
    assert!(snapshot["online"].as_array().unwrap().contains(&json!(team.alice.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_edges_people_are_offline_within_fifteen_seconds() {
    let board = Board::builder().processes().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let carol = board.person("carol").await;
    let mut of_alice = alice.opens(0, room).await;
    // Otherwise bob may come before the snapshot, and be in it.
    of_alice.next_of_type("presence.snapshot").await;
    let _of_bob = bob.opens(1, room).await;
    of_alice.sees_presence(bob.id, "online").await;
    board.processes().await[Board::EDGE + 1].kill();
    let began = Instant::now();
    // The edge that is left has news to tell all the time, and must look all the same.
    let bustle = async {
        loop {
            carol.opens_many(0).await.leaves().await;
        }
    };
    tokio::select! {
        _ = of_alice.sees_presence(bob.id, "offline") => {}
        () = bustle => {}
    }
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_goes_on_while_another_socket_of_the_user_types() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut of_alice = alice.opens(1, room).await;
    // Before, her edge may not hear the room yet.
    of_alice.next_of_type("presence.snapshot").await;
    let mut first = bob.opens(0, room).await;
    let mut second = bob.opens_many(0).await;
    first.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], true);
    second.sends(json!({"type": "typing", "room": room, "is_typing": true})).await;
    let began = Instant::now();
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], true);
    first.leaves().await;
    let stopped = of_alice.next_of_type("typing").await;
    assert_eq!(stopped["is_typing"], false);
    let after = began.elapsed();
    assert!(after > Duration::from_secs(5), "{after:?}: the second socket typed on");
    // So it does with the socket, though that does not follow the room.
    second.sends(json!({"type": "typing", "room": room, "is_typing": true})).await;
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], true);
    drop(second);
    assert_eq!(of_alice.next_of_type("typing").await["is_typing"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_types_in_a_room_that_is_not_theirs() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut of_alice = team.alice.opens(1, team.room).await;
    of_alice.next_of_type("presence.snapshot").await;
    let mut of_mallory = team.mallory.opens_many(0).await;
    for _ in 0..3 {
        of_mallory.sends(json!({"type": "subscribe", "room": team.room})).await;
        of_mallory.sends(json!({"type": "typing", "room": team.room, "is_typing": true})).await;
        of_mallory.is_refused("not_found").await;
        of_mallory.is_refused("not_found").await;
    }
    // From the same edge, so later.
    let mut of_bob = team.bob.opens(0, team.room).await;
    of_bob.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(of_alice.next_of_type("typing").await["user_id"], team.bob.id);
}
