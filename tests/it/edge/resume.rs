//! Coming back with `after`: nothing is missed, nothing comes twice.

use testkit::{Board, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_replays_what_was_missed_on_any_edge() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    for number in 0..300 {
        if number % 50 == 0 {
            alice.patch(&format!("/rooms/{room}/"), json!({"topic": number.to_string()})).await;
        } else {
            alice.posts(room, &number.to_string()).await;
        }
    }
    for (edge, after) in [(0, 0), (1, 0), (0, 299), (1, 300), (0, 150), (1, 1)] {
        let mut socket = bob.resumes(edge, room, i64::try_from(after).unwrap()).await;
        socket.reaches(room, 300).await;
        assert_eq!(socket.events(room).len(), 300 - after);
        alice.get("/auth/me/").await.is(200);
        socket.catches_up().await;
        assert!(!socket.has("resync"));
    }
    let mut many = bob.opens_many(1).await;
    many.subscribes(room, Some(20)).await;
    many.reaches(room, 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_meets_what_is_being_sent_without_a_gap() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    board.fill_room(room, alice.id, 2_000).await;
    let mut sender = alice.opens_many(0).await;
    let sending = async {
        for number in 0..200 {
            sender.posts(room, &format!("live {number}")).await;
        }
    };
    let following = |edge: usize, after: usize| {
        let bob = bob.clone();
        async move {
            let mut socket = bob.resumes(edge, room, i64::try_from(after).unwrap()).await;
            socket.reaches(room, 2_200).await;
            assert_eq!(socket.events(room).len(), 2_200 - after);
        }
    };
    tokio::join!(sending, following(0, 0), following(1, 0), following(0, 1_900), following(1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_text_is_never_sent_again() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut live = bob.opens(0, room).await;
    let message = alice.posts(room, "a secret").await;
    let path = format!("/messages/{}/", message["id"]);
    alice.patch(&path, json!({"body": "another secret"})).await.is(200);
    alice.delete(&path).await.is(204);
    alice.posts(room, "calm").await;
    live.reaches(room, 4).await;
    // The edge that still holds the frames in memory, and the one that does not.
    for edge in [0, 1] {
        for after in 0..4 {
            let mut socket = bob.resumes(edge, room, after).await;
            socket.reaches(room, 4).await;
            let text = serde_json::to_string(&socket.backlog()).unwrap();
            assert!(!text.contains("secret"), "edge {edge}, after {after}: {text}");
            let kinds: Vec<_> =
                socket.events(room).iter().map(|event| event.kind.clone()).collect();
            let all = ["message", "message.updated", "message.deleted", "message"];
            assert_eq!(kinds, all[usize::try_from(after).unwrap()..]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_reactions_follow_in_their_place() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let message = alice.posts(room, "first").await;
    let path = format!("/messages/{}/", message["id"]);
    alice.patch(&path, json!({"body": "second"})).await.is(200);
    alice.posts(room, "between").await;
    bob.post(&format!("{path}reactions/"), json!({"emoji": "🎉"})).await.is(200);
    let mut socket = bob.resumes(1, room, 0).await;
    socket.reaches(room, 4).await;
    let frames: Vec<Value> =
        socket.backlog().into_iter().filter(|frame| frame.get("seq").is_some()).collect();
    // At replay or at creation: whichever, the edit follows.
    assert!(["first", "second"].contains(&frames[0]["body"].as_str().unwrap()));
    assert_eq!((&frames[1]["body"], &frames[1]["message_seq"]), (&json!("second"), &json!(1)));
    assert_eq!(
        (&frames[3]["type"], &frames[3]["message_seq"]),
        (&json!("message.updated"), &json!(1))
    );
    assert_eq!(frames[3]["reactions"][0]["emoji"], "🎉");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_replayed_is_resynced() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    board.fill_room(room, alice.id, 10).await;
    let mut beyond = bob.resumes(0, room, 11).await;
    let resync = beyond.next_of_type("resync").await;
    let epoch = &beyond.hello["epoch"];
    assert!(epoch.is_string(), "{}", beyond.hello);
    assert_eq!(
        resync,
        json!({"type": "resync", "room": room, "first_seq": 1, "last_seq": 10, "epoch": epoch})
    );
    alice.posts(room, "live").await;
    beyond.sees("live").await;
    // The past has left the room from the front.
    board.sql(&format!("delete from messages where room_id = {room} and seq <= 5")).await;
    board.sql(&format!("update rooms set first_seq = 6 where id = {room}")).await;
    let mut before = bob.resumes(1, room, 4).await;
    let resync = before.next_of_type("resync").await;
    assert_eq!((&resync["first_seq"], &resync["last_seq"]), (&json!(6), &json!(11)));
    // From 0 on is everything that is kept, and no resync.
    let path = format!("/ws/rooms/{room}/?after=0");
    let mut everything = bob.opening(1, &path).kept_from(6).served().await;
    everything.reaches(room, 11).await;
    assert!(!everything.has("resync"));
    let mut kept = bob.resumes(0, room, 5).await;
    kept.reaches(room, 11).await;
    assert!(!kept.has("resync"));
    let mut many = bob.opens_many(0).await;
    many.subscribes(room, Some(99)).await;
    many.next_of_type("resync").await;
    alice.posts(room, "live again").await;
    for socket in [&mut beyond, &mut before, &mut everything, &mut kept, &mut many] {
        socket.sees("live again").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_in_mid_replay_gets_nothing_out_of_its_place() {
    let board = Board::start().await;
    let team = board.team().await;
    board.fill_room(team.room, team.alice.id, 3_000).await;
    let mut socket = team.bob.resumes(0, team.room, 0).await;
    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    for number in 0..10 {
        team.alice.posts(team.room, &format!("behind their back {number}")).await;
    }
    socket.is_refused("removed").await;
    assert_eq!(socket.closes().await.code, 4003);
    // The order is checked on each frame. The replay has the time that a removal may take.
    let last = socket.events(team.room).last().unwrap();
    let is_end = (last.seq, last.kind.as_str()) == (3_001, "member.left");
    assert!(is_end || last.seq < 3_001, "{last:?}");
}
