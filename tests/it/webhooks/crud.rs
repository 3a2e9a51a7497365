//! Making, changing and deleting webhooks, and who may.

use testkit::{Board, json};

use super::{admin, events, hook, test};

#[tokio::test]
async fn an_admin_makes_changes_and_deletes_a_webhook() {
    let board = Board::builder().start().await;
    let (alice, org) = admin(&board).await;
    let body =
        json!({"org": org, "url": "https://hooks.example.com/x", "events": ["room.created"]});
    let reply = alice.post("/webhooks/", body).await;
    let location = reply.header("location").to_owned();
    let made = reply.is(201);
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    assert_eq!(made["include_private"], false);
    assert_eq!(made["is_active"], true);
    assert!(location.ends_with(&format!("/api/v1/webhooks/{}/", made["id"])), "{location}");

    let path = format!("/webhooks/{}/", made["id"]);
    let shown = alice.get(&path).await.is(200);
    assert!(shown.get("secret").is_none(), "{shown}");
    let page = alice.get(&format!("/webhooks/?org={org}")).await.is(200);
    assert_eq!(page["results"], json!([shown]));
    assert_eq!(alice.get("/webhooks/?org=999999").await.is(200)["results"], json!([]));

    let change = json!({"events": ["message.created", "webhook.test"], "is_active": false,
        "include_private": true, "secret": "ignored", "org": 5, "id": 7});
    let changed = alice.patch(&path, change).await.is(200);
    assert_eq!(changed["events"], json!(["message.created", "webhook.test"]));
    assert_eq!(changed["is_active"], false);
    assert_eq!(changed["include_private"], true);
    assert_eq!(changed["id"], made["id"]);
    assert_eq!(changed["org"], org);
    assert_eq!(alice.patch(&path, json!({})).await.is(200), changed);
    alice.patch(&path, json!({"url": null})).await.is(422);
    // Nothing is recorded while it is not active.
    alice.post(&format!("{path}test/"), json!({})).await.is(422);
    assert!(events(&alice, &made).await.is_empty());

    alice.delete(&path).await.is(204);
    alice.get(&path).await.is(404);
    alice.post(&format!("{path}test/"), json!({})).await.is(404);
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let board = Board::builder().start().await;
    let (alice, org) = admin(&board).await;
    let body = json!({"org": org, "url": "ftp://x", "events": ["message.reacted"],
        "include_private": "yes", "is_active": null, "secret": "whsec_AAAA"});
    let problem = alice.post("/webhooks/", body).await.is(422);
    let fields: Vec<&String> = problem["errors"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["events", "include_private", "is_active", "secret", "url"]);
    let problem = alice.post("/webhooks/", json!({"events": []})).await.is(422);
    let fields: Vec<&String> = problem["errors"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["events", "org", "url"]);
}

#[tokio::test]
async fn a_given_secret_signs_and_is_kept() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = testkit::Receiver::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({"org": org, "url": receiver.url(), "events": ["webhook.test"],
        "secret": secret});
    let made = alice.post("/webhooks/", body).await.is(201);
    assert_eq!(made["secret"], secret);
    test(&alice, &made).await;
    assert!(receiver.gets(1).await[0].is_signed_with(secret));
}

#[tokio::test]
async fn nobody_but_an_admin_may_know_of_a_webhook() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let receiver = testkit::Receiver::start().await;
    let made = hook(&team.alice, team.org, &receiver).await;
    let path = format!("/webhooks/{}/", made["id"]);
    for person in [&team.bob, &team.carol, &team.mallory] {
        person.get(&path).await.is(404);
        person.patch(&path, json!({"url": "nonsense"})).await.is(404);
        person.delete(&path).await.is(404);
        person.get(&format!("{path}events/")).await.is(404);
        for call in ["test/", "rotate-secret/", "events/evt_1/retry/"] {
            person.post(&format!("{path}{call}"), json!({})).await.is(404);
        }
        person.post(&format!("{path}retry-failed/"), json!({"since": 1})).await.is(404);
        let body = json!({"org": team.org, "url": "http://127.0.0.1/", "events": 5});
        person.post("/webhooks/", body).await.is(404);
        assert_eq!(person.get("/webhooks/").await.is(200)["results"], json!([]));
    }
}
