//! Read markers and unread counts, exactly.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_is_what_others_sent_after_the_marker_and_is_not_deleted() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.room;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(team.alice.posts(room, &format!("message {number}")).await["id"].clone());
    }
    team.bob.posts(room, "my own").await;
    assert_eq!(team.bob.unread(room).await, (5, 0), "sending moves no marker");
    assert_eq!(team.alice.unread(room).await, (1, 0));
    let read = format!("/rooms/{room}/read/{}/", ids[1]);
    let answer = team.bob.post_empty(&read).await.is(200);
    assert_eq!(
        answer,
        json!({"room_id": room, "last_read_msg_id": ids[1], "unread_count": 3, "unread_capped": false})
    );
    team.alice.delete(&format!("/messages/{}/", ids[3])).await.is(204);
    assert_eq!(team.bob.unread(room).await, (2, 0), "deleted ones do not count");
    // The marker only moves forward.
    let back = team.bob.post_empty(&format!("/rooms/{room}/read/{}/", ids[0])).await.is(200);
    assert_eq!((&back["last_read_msg_id"], &back["unread_count"]), (&ids[1], &json!(2)));
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let foreign = team.alice.posts(other, "elsewhere").await["id"].clone();
    team.bob.post_empty(&format!("/rooms/{room}/read/{foreign}/")).await.refuses(404, "not_found");
    // Events that are no messages change nothing.
    team.alice.patch(&format!("/rooms/{room}/"), json!({"topic": "x"})).await.is(200);
    let edit = json!({"body": "edited"});
    team.alice.patch(&format!("/messages/{}/", ids[4]), edit).await.is(200);
    assert_eq!(team.bob.unread(room).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_sets_the_marker_to_the_head_and_not_what_was_read() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "club", "PUBLIC").await;
    let first = team.alice.posts(room, "before").await["id"].clone();
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    let counts = team.bob.get("/auth/me/unread-counts/").await.is(200);
    let of_room = counts["unread_counts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["room_id"] == room)
        .expect("every room of the caller")
        .clone();
    assert_eq!(
        of_room,
        json!({"room_id": room, "room_name": "club", "unread_count": 0, "unread_capped": false,
            "mention_count": 0, "last_read_msg_id": null, "last_seq": 2})
    );
    team.alice.posts(room, "after").await;
    assert_eq!(team.bob.unread(room).await, (1, 0));
    team.bob.post_empty(&format!("/rooms/{room}/read/{first}/")).await.is(200);
    assert_eq!(team.bob.unread(room).await, (1, 0), "reading the past moves no marker back");
    team.bob.post_empty(&format!("/rooms/{room}/leave/")).await.is(200);
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    assert_eq!(team.bob.unread(room).await, (0, 0), "joining again too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_stop_at_a_thousand() {
    let board = Board::start().await;
    let team = board.team().await;
    board.fill_room(team.room, team.alice.id, 1_001).await;
    let of_bob = |last: i64| format!("/rooms/{}/read/{last}/", team.room);
    let counts = team.bob.get("/auth/me/unread-counts/").await.is(200);
    let of_room = &counts["unread_counts"][0];
    assert_eq!((&of_room["unread_count"], &of_room["unread_capped"]), (&json!(1000), &json!(true)));
    let oldest = team.bob.history(team.room).await.last().unwrap()["id"].as_i64().unwrap();
    let read = team.bob.post_empty(&of_bob(oldest)).await.is(200);
    assert_eq!((&read["unread_count"], &read["unread_capped"]), (&json!(1000), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_is_told_to_others_and_counted_for_oneself() {
    let board = Board::start().await;
    let team = board.team().await;
    let first = team.alice.posts(team.room, "one").await["id"].clone();
    team.alice.posts(team.room, "two").await;
    let mut of_alice = team.alice.opens(0, team.room).await;
    let mut of_bob = team.bob.opens(1, team.room).await;
    let mut elsewhere = team.bob.opens_many(0).await;
    of_bob.sends(json!({"type": "read", "room": team.room, "msg_id": first})).await;
    for socket in [&mut of_bob, &mut elsewhere] {
        let own = socket.next_of_type("read").await;
        assert_eq!((&own["unread_count"], &own["last_read_msg_id"]), (&json!(1), &first));
        assert_eq!(own["user_id"], team.bob.id);
    }
    let others = of_alice.next_of_type("read").await;
    assert_eq!((&others["user_id"], &others["last_read_msg_id"]), (&json!(team.bob.id), &first));
    assert!(others.get("unread_count").is_none());
    let members = team.alice.get(&format!("/rooms/{}/members/", team.room)).await.results();
    let bob = members.iter().find(|member| member["user"] == team.bob.id).unwrap();
    assert_eq!(bob["last_read_msg_id"], first);
}
