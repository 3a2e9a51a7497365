//! What a webhook hears is decided when something happens, however late that is planned.

use std::time::Duration;

use testkit::{Board, Person, Receiver, Value, eventually, json};

use super::events;

const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook for sent messages, with other settings.
async fn hook_with(admin: &Person, org: i64, receiver: &Receiver, more: Value) -> String {
    let mut body = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let made = admin.post("/webhooks/", body).await.is(201);
    format!("/webhooks/{}/", made["id"])
}

/// The texts that reach an endpoint, up to one of them.
async fn heard(receiver: &Receiver, last: &str) -> Vec<String> {
    eventually("the last message is heard", PATIENCE, async || {
        let mut calls = receiver.gets(0).await;
        calls.sort_by_key(testkit::Received::sequence);
        let texts: Vec<String> = calls
            .iter()
            .filter_map(|call| call.json()["data"]["message"]["body"].as_str().map(str::to_owned))
            .collect();
        texts.iter().any(|text| text == last).then_some(texts)
    })
    .await
}

#[tokio::test]
async fn what_a_webhook_hears_is_decided_when_it_happens() {
    let board = Board::builder().webhooks().processes().edges(1).start().await;
    let team = board.team().await;
    let (alice, org) = (&team.alice, team.org);
    let mut receivers = Vec::new();
    for _ in 0..5 {
        receivers.push(Receiver::start().await);
    }
    let [deactivated, activated, narrowed, open, new] = &receivers[..] else { unreachable!() };
    let deactivated_path = hook_with(alice, org, deactivated, json!({})).await;
    let activated_path = hook_with(alice, org, activated, json!({"is_active": false})).await;
    let narrowed_path = hook_with(alice, org, narrowed, json!({})).await;
    hook_with(alice, org, open, json!({})).await;
    board.settle().await;

    board.processes().await[Board::RELAY].kill();
    team.bob.posts(team.room, "decided").await;
    alice.patch(&deactivated_path, json!({"is_active": false})).await.is(200);
    alice.patch(&activated_path, json!({"is_active": true})).await.is(200);
    alice.patch(&narrowed_path, json!({"events": ["message.deleted"]})).await.is(200);
    hook_with(alice, org, new, json!({})).await;
    let room = format!("/rooms/{}/", team.room);
    alice.patch(&room, json!({"access_level": "PRIVATE", "auto_join": false})).await.is(200);
    team.bob.posts(team.room, "private now").await;
    alice.patch(&room, json!({"access_level": "PUBLIC"})).await.is(200);
    alice.patch(&narrowed_path, json!({"events": ["message.created"]})).await.is(200);
    team.bob.posts(team.room, "last").await;
    board.start_again(Board::RELAY).await;

    assert_eq!(heard(open, "last").await, ["decided", "last"]);
    assert_eq!(heard(narrowed, "last").await, ["decided", "last"]);
    assert_eq!(heard(activated, "last").await, ["last"]);
    assert_eq!(heard(new, "last").await, ["last"]);
    // It heard of what happened while it was active, as the record shows; it can be sent again.
    let id: i64 = deactivated_path.trim_matches(|it: char| !it.is_ascii_digit()).parse().unwrap();
    let hook = json!({"id": id});
    let recorded = eventually("what the endpoint has heard", PATIENCE, async || {
        let recorded = events(alice, &hook).await;
        (!recorded.is_empty()).then_some(recorded)
    })
    .await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0]["status"], "failed");
    assert_eq!(recorded[0]["last_error"], "the webhook was deactivated");
    assert!(deactivated.gets(0).await.is_empty());
    alice.patch(&deactivated_path, json!({"is_active": true})).await.is(200);
    let event = recorded[0]["id"].as_str().unwrap_or_default();
    alice.post(&format!("{deactivated_path}events/{event}/retry/"), json!({})).await.is(202);
    assert_eq!(heard(deactivated, "decided").await, ["decided"]);
}
