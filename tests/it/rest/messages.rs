//! Messages: sending, editing, deleting, reacting, replying.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_what_was_sent() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/messages/rooms/{}/", team.room);
    let body =
        json!({"body": "<b>hi</b> 😀\n", "file_url": "https://x.example/a.png", "nonce": "n1"});
    let message = team.bob.post(&path, body).await.is(201);
    assert_eq!((&message["body"], &message["nonce"]), (&json!("<b>hi</b> 😀\n"), &json!("n1")));
    assert_eq!((&message["seq"], &message["sender"]), (&json!(1), &json!(team.bob.id)));
    assert_eq!((&message["org"], &message["room"]), (&json!(team.org), &json!(team.room)));
    assert_eq!((&message["is_deleted"], &message["reactions"]), (&json!(false), &json!([])));
    for field in ["upload", "upload_id", "reply_to", "edited_at"] {
        assert!(message[field].is_null() && message.get(field).is_some(), "{field}");
    }
    let room = team.alice.room(team.room).await;
    assert_eq!((&room["last_seq"], &room["last_message_at"]), (&json!(1), &message["created_at"]));
    let file = json!({"file_url": "http://x.example/only"});
    assert_eq!(team.bob.post(&path, file).await.is(201)["body"], "");
    for bad in [json!({}), json!({"body": ""}), json!({"body": " \n\t "}), json!({"body": null})] {
        team.bob.post(&path, bad).await.blames(&["body"]);
    }
    team.bob.post(&path, json!({"body": "é".repeat(10_000)})).await.is(201);
    team.bob.post(&path, json!({"body": "x".repeat(10_001)})).await.blames(&["body"]);
    for url in
        ["ftp://x.example", "javascript:alert(1)", "x", &format!("http://{}", "x".repeat(2_000))]
    {
        team.bob.post(&path, json!({"body": "x", "file_url": url})).await.blames(&["file_url"]);
    }
    team.bob.post(&path, json!({"body": "x", "nonce": "x".repeat(64)})).await.is(201);
    for nonce in [json!(""), json!("x".repeat(65)), json!(5)] {
        team.bob.post(&path, json!({"body": "x", "nonce": nonce})).await.blames(&["nonce"]);
    }
    team.mallory.post(&path, json!({"body": "x"})).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_the_senders_while_a_member() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut witness = team.carol.opens(1, team.room).await;
    let message = team.bob.posts(team.room, "first").await;
    let path = format!("/messages/{}/", message["id"]);
    let edited = team.bob.patch(&path, json!({"body": "second"})).await.is(200);
    assert_eq!((&edited["body"], &edited["seq"]), (&json!("second"), &message["seq"]));
    assert!(edited["edited_at"].is_string());
    let event = witness.next_of_type("message.updated").await;
    assert_eq!((&event["seq"], &event["message_seq"]), (&json!(2), &json!(1)));
    assert_eq!((&event["body"], &event["id"]), (&json!("second"), &message["id"]));
    let same = team.bob.patch(&path, json!({"body": "second"})).await.is(200);
    assert_eq!(same["edited_at"], edited["edited_at"]);
    assert_eq!(team.bob.patch(&path, json!({})).await.is(200), same);
    assert_eq!(team.alice.room(team.room).await["last_seq"], 2, "nothing changed, no event");
    team.alice.patch(&path, json!({"body": "x"})).await.refuses(403, "forbidden");
    team.mallory.patch(&path, json!({"body": "x"})).await.refuses(404, "not_found");
    team.bob.patch(&path, json!({"body": " "})).await.blames(&["body"]);
    team.bob.patch(&path, json!({"body": null})).await.blames(&["body"]);
    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    team.bob.patch(&path, json!({"body": "late"})).await.refuses(403, "not_a_member");
    team.bob.delete(&path).await.refuses(403, "not_a_member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_message_stays_without_its_text() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/messages/rooms/{}/", team.room);
    let body = json!({"body": "regret", "file_url": "https://x.example/regret.png"});
    let message = team.bob.post(&path, body).await.is(201);
    let answer = json!({"body": "why?", "reply_to": message["id"]});
    let answer = team.carol.post(&path, answer).await.is(201);
    let mut witness = team.carol.opens(1, team.room).await;
    let one = format!("/messages/{}/", message["id"]);
    team.mallory.delete(&one).await.refuses(404, "not_found");
    let dave = board.person("dave").await;
    board.put_into_org(team.org, &dave, "MEMBER").await;
    dave.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    dave.delete(&one).await.refuses(403, "forbidden");
    team.bob.delete(&one).await.is(204);
    team.bob.delete(&one).await.is(204);
    let event = witness.next_of_type("message.deleted").await;
    assert_eq!((&event["body"], &event["is_deleted"]), (&json!(""), &json!(true)));
    assert_eq!(event["message_seq"], 1);
    let left = team.alice.get(&one).await.is(200);
    assert_eq!((&left["is_deleted"], &left["body"]), (&json!(true), &json!("")));
    assert!(left["file_url"].is_null());
    team.bob.patch(&one, json!({"body": "again"})).await.refuses(404, "not_found");
    assert_eq!(team.bob.history(team.room).await.len(), 2, "it stays in the list");
    assert_eq!(
        team.bob.get(&format!("/messages/{}/", answer["id"])).await.is(200)["reply_to"],
        message["id"]
    );
    let seq = team.alice.room(team.room).await["last_seq"].as_i64().unwrap();
    team.alice.delete(&format!("/messages/{}/", answer["id"])).await.is(204);
    assert_eq!(team.alice.room(team.room).await["last_seq"], seq + 1);
    let events = serde_json::to_string(&team.bob.events(team.room, 0).await).unwrap();
    assert!(!events.contains("regret"), "a deleted text is nowhere: {events}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_are_to_messages_of_the_same_room() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/messages/rooms/{}/", team.room);
    let first = team.bob.posts(team.room, "first").await;
    let reply = json!({"body": "reply", "reply_to": first["id"]});
    assert_eq!(team.carol.post(&path, reply).await.is(201)["reply_to"], first["id"]);
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let foreign = team.alice.posts(other, "elsewhere").await;
    for id in [foreign["id"].clone(), json!(999_999)] {
        team.bob.post(&path, json!({"body": "x", "reply_to": id})).await.blames(&["reply_to"]);
    }
    // To a deleted one: shown as deleted, still a reply.
    team.bob.delete(&format!("/messages/{}/", first["id"])).await.is(204);
    team.bob.post(&path, json!({"body": "x", "reply_to": first["id"]})).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_are_counted_once_and_are_events_without_an_edit() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut witness = team.carol.opens(0, team.room).await;
    let message = team.alice.posts(team.room, "ship it").await;
    let path = format!("/messages/{}/reactions/", message["id"]);
    let react = |emoji: &str| json!({"emoji": emoji});
    let once = team.bob.post(&path, react("🚀")).await.is(200);
    assert_eq!(once["reactions"], json!([{"emoji": "🚀", "user_ids": [team.bob.id]}]));
    assert!(once["edited_at"].is_null());
    team.bob.post(&path, react("🚀")).await.is(200);
    let both = team.carol.post(&path, react("🚀")).await.is(200);
    assert_eq!(both["reactions"][0]["user_ids"], json!([team.bob.id, team.carol.id]));
    for seq in [2, 3] {
        let event = witness.next_of_type("message.updated").await;
        assert_eq!((&event["seq"], &event["message_seq"]), (&json!(seq), &json!(1)));
    }
    let gone = team.bob.call("DELETE", &path, Some(&react("🚀"))).await.is(200);
    assert_eq!(gone["reactions"][0]["user_ids"], json!([team.carol.id]));
    team.bob.call("DELETE", &path, Some(&react("🚀"))).await.is(200);
    assert_eq!(team.alice.room(team.room).await["last_seq"], 4, "repeating is no event");
    // Some proxies drop the body of a DELETE.
    let in_query = |emoji: &str| format!("{path}?emoji={}", testkit::http::encoded(emoji));
    let gone = team.carol.delete(&in_query("🚀")).await.is(200);
    assert_eq!(gone["reactions"], json!([]));
    team.carol.delete(&in_query("x")).await.blames(&["emoji"]);
    for bad in ["", "x", "🚀🚀", "ok 🚀", ":rocket:"] {
        team.bob.post(&path, react(bad)).await.blames(&["emoji"]);
    }
    for emoji in ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇭", "❤️"] {
        team.bob.post(&path, react(emoji)).await.is(200);
    }
    team.mallory.post(&path, react("🚀")).await.refuses(404, "not_found");
    let many = "😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏😐😑😒😓";
    let other = team.alice.posts(team.room, "many").await;
    let path = format!("/messages/{}/reactions/", other["id"]);
    for emoji in many.chars() {
        team.bob.post(&path, react(&emoji.to_string())).await.is(200);
    }
    team.bob.post(&path, react("😔")).await.blames(&["emoji"]);
    team.carol.post(&path, react("😀")).await.is(200);
    team.alice.delete(&format!("/messages/{}/", other["id"])).await.is(204);
    team.bob.post(&path, react("😀")).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_members_see_the_whole_history() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "club", "PUBLIC").await;
    for number in 0..3 {
        team.alice.posts(room, &number.to_string()).await;
    }
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    assert_eq!(team.bob.history(room).await.len(), 3);
    let mut socket = team.bob.resumes(1, room, 0).await;
    socket.reaches(room, 4).await;
    assert_eq!(socket.events(room).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_writes_no_row_per_member() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Big").await;
    board.crowd(org, 10_000).await;
    let room = alice.makes_room_for_all(org, "everyone").await;
    assert_eq!(alice.room(room).await["members_count"], 10_001);
    let version = "select count(distinct xmin::text)::bigint from room_members";
    let versions = board.count(version).await;
    for number in 0..20 {
        alice.posts(room, &number.to_string()).await;
    }
    assert_eq!(board.count(version).await, versions, "no member's row was touched");
    assert_eq!(board.count("select count(*) from message_mentions").await, 0);
    alice.posts(room, "@room").await;
    assert_eq!(board.count("select count(*) from message_mentions").await, 0);
    assert_eq!(board.count("select count(*) from messages").await, 21);
    board.settle().await;
}
