//! Webhooks, from the outside: REST on one side, a real receiver on the other.

mod addresses;
mod breaking;
mod crud;
mod deciding;
mod delivery;
mod events;
mod names;
mod retries;

use testkit::{Board, Person, Receiver, Value, json};

/// An ADMIN and their organization.
async fn admin(board: &Board) -> (Person, i64) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    (alice, org)
}

/// Makes a webhook that leads to a receiver; answers it with its secret.
async fn hook(admin: &Person, org: i64, receiver: &Receiver) -> Value {
    let body = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
    admin.post("/webhooks/", body).await.is(201)
}

/// Sends a test event; answers its id.
async fn test(admin: &Person, hook: &Value) -> String {
    let path = format!("/webhooks/{}/test/", hook["id"]);
    let accepted = admin.post(&path, json!({})).await.is(202);
    accepted["event_id"].as_str().unwrap().to_owned()
}

/// The deliveries of a webhook, newest first.
async fn events(admin: &Person, hook: &Value) -> Vec<Value> {
    let page = admin.get(&format!("/webhooks/{}/events/", hook["id"])).await.is(200);
    page["results"].as_array().unwrap().clone()
}

/// Waits until the newest delivery has a status.
async fn newest_is(admin: &Person, hook: &Value, status: &str) -> Value {
    let what = format!("the delivery is {status}");
    testkit::eventually(&what, std::time::Duration::from_secs(20), || async {
        let newest = events(admin, hook).await.into_iter().next()?;
        (newest["status"] == status).then_some(newest)
    })
    .await
}
