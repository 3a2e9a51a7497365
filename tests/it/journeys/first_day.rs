//! Two people meet, on different edges.

use testkit::{Board, Person, json};

/// Registers and signs in over REST, as a browser does.
async fn joins(board: &Board, email: &str) -> Person {
    let user = board.register(email, "a good password").await;
    let tokens = board.sign_in(email, "a good password").await;
    board.person_with(user["id"].as_i64().unwrap(), email, tokens["access"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_talk_across_edges_and_miss_nothing() {
    let board = Board::start().await;
    let alice = joins(&board, "alice@chat.test").await;
    let bob = joins(&board, "bob@chat.test").await;

    let org = alice.makes_org("Acme").await;
    let invite = json!({"email": "Bob@Chat.test"});
    let invite = alice.post(&format!("/orgs/{org}/invite/"), invite).await.is(201);
    let accepted =
        bob.post("/orgs/accept-invite/", json!({"token": invite["token"]})).await.is(200);
    assert_eq!((&accepted["org_id"], &accepted["role"]), (&json!(org), &json!("MEMBER")));
    let room = alice.makes_room(org, "general", "PUBLIC").await;
    bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);

    let mut of_alice = alice.opens(0, room).await;
    of_alice.next_of_type("presence.snapshot").await;
    let mut of_bob = bob.opens(1, room).await;
    of_alice.sees_presence(bob.id, "online").await;

    of_bob.sends(json!({"type": "typing", "is_typing": true})).await;
    let typing = of_alice.next_of_type("typing").await;
    assert_eq!((&typing["user_id"], &typing["is_typing"]), (&json!(bob.id), &json!(true)));

    let ack = of_bob.posts(room, "hello, Alice").await;
    let message = of_alice.sees("hello, Alice").await;
    assert_eq!((&message["id"], &message["seq"]), (&ack["id"], &ack["seq"]));
    assert_eq!(of_bob.sees("hello, Alice").await["id"], ack["id"]);

    of_alice.sends(json!({"type": "read", "msg_id": message["id"]})).await;
    let read = of_bob.next_of_type("read").await;
    assert_eq!(read["last_read_msg_id"], message["id"]);
    assert!(read.get("unread_count").is_none(), "not the reader's own copy: {read}");

    let dm = json!({"org": org, "user_ids": [alice.id]});
    let dm = bob.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    let added = of_alice.next_of_type("room.added").await;
    assert_eq!(added["room_id"], dm);
    let mut of_alice_in_dm = alice.opens(1, dm).await;
    bob.posts(dm, "just us").await;
    of_alice_in_dm.sees("just us").await;

    let seen = of_bob.place(room).unwrap();
    drop(of_bob);
    of_alice.sees_presence(bob.id, "offline").await;
    for text in ["one", "two", "three"] {
        alice.posts(room, text).await;
    }
    let mut of_bob = bob.resumes(0, room, seen).await;
    for text in ["one", "two", "three"] {
        of_bob.sees(text).await;
    }
    assert_eq!(bob.unread(room).await, (3, 0));
    board.settle().await;
}
