//! What a receiver gets, and what it can find again.

use std::time::Duration;

use testkit::{Board, Receiver, json};

use super::{admin, events, hook, newest_is, test};

#[tokio::test]
async fn a_test_event_is_delivered_as_standard_webhooks_say() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    let made = hook(&alice, org, &receiver).await;
    let event = test(&alice, &made).await;
    let call = receiver.gets(1).await.remove(0);
    assert_eq!(call.id(), event);
    assert_eq!(call.sequence(), 1);
    assert_eq!(call.header("content-type"), "application/json");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(call.header("user-agent"), format!("ChatBoard/{version}"));
    assert!(call.is_signed_with(made["secret"].as_str().unwrap()));
    let body = call.json();
    assert_eq!(body["type"], "webhook.test");
    assert_eq!(body["data"], json!({"webhook_id": made["id"]}));

    let sent = newest_is(&alice, &made, "sent").await;
    assert_eq!(sent["id"], event);
    assert_eq!(sent["event_type"], "webhook.test");
    assert_eq!(sent["retries"], 0);
    assert_eq!(sent["last_status_code"], 200);
    assert_eq!(sent["next_attempt_at"], json!(null));
    let shown = alice.get(&format!("/webhooks/{}/", made["id"])).await.is(200);
    assert_eq!(shown["last_triggered"], sent["last_attempt_at"]);
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    let made = hook(&alice, org, &receiver).await;
    let old = made["secret"].as_str().unwrap();
    let path = format!("/webhooks/{}/rotate-secret/", made["id"]);
    let new = alice.post(&path, json!({})).await.is(200)["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    test(&alice, &made).await;
    let call = receiver.gets(1).await.remove(0);
    assert!(call.is_signed_with(old) && call.is_signed_with(&new));

    board.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let alice = alice.on_another_device(&board).await;
    test(&alice, &made).await;
    let call = receiver.gets(2).await.remove(1);
    assert!(!call.is_signed_with(old) && call.is_signed_with(&new));
}

#[tokio::test]
async fn a_receiver_that_missed_something_finds_it_by_its_sequence() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    let made = hook(&alice, org, &receiver).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(test(&alice, &made).await);
    }
    let mut calls = receiver.gets(5).await;
    calls.sort_by_key(testkit::Received::sequence);
    let sequences: Vec<i64> = calls.iter().map(testkit::Received::sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);

    let path = format!("/webhooks/{}/events/?after=2&limit=2", made["id"]);
    let page = alice.get(&path).await.is(200);
    let results = page["results"].as_array().unwrap();
    assert_eq!(results[0]["sequence"], 3);
    assert_eq!(results[1]["sequence"], 4);
    assert_eq!(results[0]["id"], sent[2].as_str());
    assert_eq!(results[0]["payload"], calls[2].json());
    let next = alice.get(page["next"].as_str().unwrap()).await.is(200);
    assert_eq!(next["results"][0]["sequence"], 5);
    assert_eq!(next["next"], json!(null));
    // The other way round, and without payloads, where nothing was missed.
    let listed = events(&alice, &made).await;
    assert_eq!(listed[0]["sequence"], 5);
    assert!(listed[0].get("payload").is_none());
    let path = format!("/webhooks/{}/events/?after=-1", made["id"]);
    alice.get(&path).await.is(400);
}
