//! What a body may be, and what is said about one that is not.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_a_json_object() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    for body in ["", "{", "[]", "[1]", "null", "1", "\"x\"", "{} {}", "{\"name\": \"\\ud800\"}"] {
        alice.sends_text("POST", "/orgs/", body).await.refuses(400, "malformed_request");
    }
    let bearer = format!("Bearer {}", alice.token);
    let who = ("authorization", bearer.as_str());
    board.call("POST", "/orgs/", &[who], None).await.refuses(415, "unsupported_media_type");
    let body = "{\"name\": \"Acme\"}";
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let headers = [who, ("content-type", kind)];
        let answer = board.call("POST", "/orgs/", &headers, Some(body)).await;
        answer.refuses(415, "unsupported_media_type");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        let headers = [who, ("content-type", kind)];
        board.call("POST", "/orgs/", &headers, Some(body)).await.is(201);
    }
    // Calls that need no body need no type.
    let org = alice.makes_org("Acme").await;
    let room = alice.makes_room(org, "general", "PUBLIC").await;
    alice.post_empty(&format!("/rooms/{room}/join/")).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bad_fields_are_named_at_once_and_unknown_ones_ignored() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let bad =
        json!({"email": 5, "password": "short", "first_name": ["x"], "avatar_url": "ftp://x"});
    let fields = ["email", "password", "first_name", "avatar_url"];
    board.post("/auth/register/", bad).await.blames(&fields);
    board.post("/auth/register/", json!({})).await.blames(&["email", "password"]);
    let org = alice.makes_org("Acme").await;
    let bad =
        json!({"org": org, "name": " ", "topic": 1, "access_level": "OPEN", "auto_join": "no"});
    let fields = ["name", "topic", "access_level", "auto_join"];
    alice.post("/rooms/", bad).await.blames(&fields);
    let deep =
        format!("{{\"name\": \"Acme\", \"x\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    alice.sends_text("POST", "/orgs/", &deep).await.is(201);
    let odd = "{\"name\": \"Acme\", \"x\": \"\\u0000\", \"y\": 1e999999}";
    alice.sends_text("POST", "/orgs/", odd).await.is(201);
    alice.get("/orgs/?unknown=1&&=&x").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_in_a_known_field_is_invalid() {
    let board = Board::start().await;
    let team = board.team().await;
    team.alice.sends_text("POST", "/orgs/", "{\"name\": \"A\\u0000B\"}").await.blames(&["name"]);
    let path = format!("/messages/rooms/{}/", team.room);
    team.bob.sends_text("POST", &path, "{\"body\": \"A\\u0000B\"}").await.blames(&["body"]);
    let nonce = "{\"body\": \"x\", \"nonce\": \"\\u0000\"}";
    team.bob.sends_text("POST", &path, nonce).await.blames(&["nonce"]);
    let topic = "{\"topic\": \"\\u0000\"}";
    let room = format!("/rooms/{}/", team.room);
    team.alice.sends_text("PATCH", &room, topic).await.blames(&["topic"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_256_kib_is_read_and_a_larger_one_is_not() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let of_size = |bytes: usize| {
        let frame = "{\"name\": \"Acme\", \"x\": \"\"}";
        format!("{{\"name\": \"Acme\", \"x\": \"{}\"}}", "y".repeat(bytes - frame.len()))
    };
    let largest = of_size(256 * 1024);
    assert_eq!(largest.len(), 256 * 1024);
    alice.sends_text("POST", "/orgs/", &largest).await.is(201);
    let larger = of_size(256 * 1024 + 1);
    alice.sends_text("POST", "/orgs/", &larger).await.refuses(413, "payload_too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_trimmed_counted_in_characters_and_free_of_controls() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let named = alice.post("/orgs/", json!({"name": "  Acme  "})).await.is(201);
    assert_eq!(named["name"], "Acme");
    // Characters are Unicode scalar values, not bytes.
    alice.post("/orgs/", json!({"name": "ä".repeat(120)})).await.is(201);
    alice.post("/orgs/", json!({"name": "😀".repeat(120)})).await.is(201);
    for bad in ["", "   ", "a\tb", "a\nb", "a\u{7f}b", "a\u{85}b", &"x".repeat(121)] {
        alice.post("/orgs/", json!({"name": bad})).await.blames(&["name"]);
    }
    let org = alice.makes_org("Acme").await;
    alice.post("/rooms/", json!({"org": org, "name": "é".repeat(80)})).await.is(201);
    let long = json!({"org": org, "name": "x".repeat(81)});
    alice.post("/rooms/", long).await.blames(&["name"]);
    alice.patch("/auth/me/", json!({"first_name": "x".repeat(100)})).await.is(200);
    alice.patch("/auth/me/", json!({"first_name": "x".repeat(101)})).await.blames(&["first_name"]);
    alice.patch("/auth/me/", json!({"last_name": "a\u{1}b"})).await.blames(&["last_name"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_changes_what_is_there_clears_nulls_and_ignores_the_rest() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let before = alice.get("/auth/me/").await.is(200);
    assert_eq!(alice.patch("/auth/me/", json!({})).await.is(200), before);
    let change = json!({"last_name": "Liddell", "avatar_url": "https://x.example/a.png",
        "id": 99, "email": "other@chat.test", "created_at": "never"});
    let after = alice.patch("/auth/me/", change).await.is(200);
    assert_eq!(after["last_name"], "Liddell");
    assert_eq!((&after["id"], &after["email"]), (&before["id"], &before["email"]));
    assert_eq!(after, alice.get("/auth/me/").await.is(200));
    let cleared = alice.patch("/auth/me/", json!({"avatar_url": null})).await.is(200);
    assert!(cleared["avatar_url"].is_null());
    alice.patch("/auth/me/", json!({"first_name": null})).await.blames(&["first_name"]);
    alice
        .patch("/auth/me/", json!({"email_notifications": "some"}))
        .await
        .blames(&["email_notifications"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_201_answers_what_get_would_and_says_where() {
    let board = Board::start().await;
    let team = board.team().await;
    let org = team.alice.post("/orgs/", json!({"name": "Second"})).await;
    assert_eq!(org.is(201), team.alice.get(org.header("location")).await.is(200));
    let body = json!({"org": team.org, "name": "second", "topic": "two"});
    let room = team.alice.post("/rooms/", body).await;
    assert_eq!(room.is(201), team.alice.get(room.header("location")).await.is(200));
    let path = format!("/messages/rooms/{}/", team.room);
    let message = team.bob.post(&path, json!({"body": "hi", "nonce": "n"})).await;
    assert_eq!(message.is(201), team.bob.get(message.header("location")).await.is(200));
    let dm = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = team.alice.post("/rooms/dm/", dm).await;
    assert_eq!(dm.is(201), team.alice.get(dm.header("location")).await.is(200));
    // Times are RFC 3339 in UTC with six digits.
    let time = message.is(201)["created_at"].as_str().unwrap().to_owned();
    assert!(time.len() == 27 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
}
