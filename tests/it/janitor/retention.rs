//! Messages past their retention: served no more from that instant, removed soon after.

use testkit::{Board, Value, json};

use super::{DAY, for_long, none_left};

const SECRET: &str = "the-canary-sings";

/// How often the secret is anywhere in a list of answers.
fn told(answers: &[Value]) -> usize {
    answers.iter().filter(|answer| answer.to_string().contains(SECRET)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_served_no_more_from_that_instant() {
    let board = Board::builder().edges(1).start().await;
    let team = board.team().await;
    let (alice, bob) = (for_long(&team.alice), for_long(&team.bob));
    let room = team.room;
    // A socket that stays: its edge holds the recent frames all the time.
    let mut watching = alice.opens(0, room).await;
    let body = format!("{SECRET} @{}", alice.email);
    let send = json!({"body": body, "nonce": "n1"});
    let old = bob.post(&format!("/messages/rooms/{room}/"), send.clone()).await.is(201);
    watching.sees(&body).await;
    board.settle().await;
    assert_eq!(alice.unread(room).await, (1, 1));
    assert_eq!(told(&alice.get("/notifications/").await.results()), 1);
    let path = format!("/messages/{}/", old["id"]);

    board.clock.advance(50 * DAY);
    let edit = json!({"body": format!("{body}, edited")});
    bob.patch(&path, edit).await.is(200);
    let reply = json!({"body": "indeed", "reply_to": old["id"]});
    let reply = alice.post(&format!("/messages/rooms/{room}/"), reply).await.is(201);
    board.settle().await;
    watching.sees("indeed").await;
    assert_eq!(told(&alice.history(room).await), 1);
    assert_eq!(told(&alice.events(room, 0).await), 2);

    board.clock.advance(40 * DAY);
    let history = bob.history(room).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["id"], reply["id"]);
    alice.get(&path).await.refuses(404, "not_found");
    bob.patch(&path, json!({"body": "again"})).await.refuses(404, "not_found");
    bob.delete(&path).await.refuses(404, "not_found");
    let emoji = json!({"emoji": "👍"});
    alice.post(&format!("{path}reactions/"), emoji).await.refuses(404, "not_found");
    let read = format!("/rooms/{room}/read/{}/", old["id"]);
    alice.post_empty(&read).await.refuses(404, "not_found");
    assert_eq!(alice.unread(room).await, (0, 0));
    assert!(alice.get("/notifications/").await.results().is_empty());
    assert_eq!(alice.get("/notifications/unread-count/").await.is(200)["unread_count"], 0);

    // The log begins with the edit, which tells nothing of what it was about.
    let first = old["seq"].as_i64().unwrap() + 1;
    assert_eq!(alice.room(room).await["first_seq"], first);
    let events = alice.events(room, 0).await;
    assert_eq!(events[0]["seq"], first);
    assert_eq!(events[0]["type"], "message.updated");
    assert_eq!(events[0]["is_deleted"], true);
    assert_eq!(told(&events), 0);
    let fresh = bob.opening(0, &format!("/ws/rooms/{room}/?after=0")).kept_from(first);
    let mut fresh = fresh.served().await;
    fresh.reaches(room, first + 1).await;
    assert_eq!(told(&fresh.backlog()), 0);

    // Nobody can answer it, and its nonce is free.
    let answer = json!({"body": "hm", "reply_to": old["id"]});
    alice.post(&format!("/messages/rooms/{room}/"), answer).await.blames(&["reply_to"]);
    let again = bob.post(&format!("/messages/rooms/{room}/"), send).await.is(201);
    assert_ne!(again["id"], old["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_removed_and_what_is_kept_still_counts_on() {
    let board = Board::builder().janitors(2).start().await;
    let team = board.team().await;
    let (alice, bob) = (for_long(&team.alice), for_long(&team.bob));
    let room = team.room;
    let old = bob.posts(room, &format!("{SECRET} @{}", alice.email)).await;
    let path = format!("/messages/{}/", old["id"]);
    bob.posts(room, "the second").await;
    board.settle().await;
    board.clock.advance(50 * DAY);
    bob.patch(&path, json!({"body": format!("{SECRET} again")})).await.is(200);
    let kept = bob.posts(room, "kept").await;
    board.settle().await;

    board.clock.advance(41 * DAY);
    none_left(&board, "select count(*) from log_trims").await;
    none_left(&board, "select count(*) from messages where body like '%canary%'").await;
    none_left(&board, "select count(*) from messages where body = 'the second'").await;
    assert_eq!(board.count("select count(*) from notifications").await, 0);
    // The place that the edit tells of is empty, and stays until the edit goes.
    assert_eq!(board.count("select count(*) from messages where is_deleted").await, 1);
    let words = "select count(*) from messages where is_deleted and search is not null";
    assert_eq!(board.count(words).await, 0);
    let record = &alice.get(&format!("/orgs/{}/purges/", team.org)).await.results()[0];
    assert_eq!(record["removed"]["messages"], 2, "{record}");
    assert_eq!(record["removed"]["notifications"], 1, "{record}");
    let events = alice.events(room, 0).await;
    let seqs: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    let first = alice.room(room).await["first_seq"].as_i64().unwrap();
    assert_eq!(seqs, [first, first + 1]);
    assert_eq!(events[1]["id"], kept["id"]);

    board.clock.advance(50 * DAY);
    none_left(&board, "select count(*) from messages").await;
    none_left(&board, "select count(*) from room_events").await;
    let empty = alice.room(room).await;
    assert_eq!(empty["last_seq"], first + 1);
    assert_eq!(empty["first_seq"], first + 2);
    let next = bob.posts(room, "onward").await;
    assert_eq!(next["seq"], first + 2, "seq never restarts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_shortens_it_and_a_hold_keeps_everything() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    let (alice, bob) = (for_long(&team.alice), for_long(&team.bob));
    let path = format!("/orgs/{}/retention/", team.org);
    let rule = json!({"retention_days": null, "effective_days": 90, "legal_hold": false});
    assert_eq!(alice.get(&path).await.is(200), rule);
    bob.patch(&path, json!({"legal_hold": true})).await.refuses(403, "forbidden");
    for bad in [json!(0), json!(91), json!("x"), json!(1.5)] {
        alice.patch(&path, json!({"retention_days": bad})).await.blames(&["retention_days"]);
    }
    bob.posts(team.room, "held").await;
    alice.patch(&path, json!({"retention_days": 7, "legal_hold": true})).await.is(200);
    board.settle().await;
    board.clock.advance(8 * DAY);
    let other = for_long(&board.person("olga").await);
    let elsewhere = other.makes_org("Elsewhere").await;
    let their_room = other.makes_room_for_all(elsewhere, "general").await;
    other.posts(their_room, "gone in 90 days").await;
    board.clock.advance(100 * DAY);
    none_left(&board, "select count(*) from messages where body like 'gone%'").await;
    assert_eq!(bob.history(team.room).await.len(), 1);

    let rule = alice.patch(&path, json!({"legal_hold": false, "retention_days": null})).await;
    assert_eq!(rule.is(200)["effective_days"], 90);
    assert!(bob.history(team.room).await.is_empty(), "at once");
    none_left(&board, "select count(*) from messages").await;
}
