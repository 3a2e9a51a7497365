//! Notifications: who is told of what, and why.

mod crashes;
mod deciding;
mod decisions;
mod kinds;
mod planning;
mod reading;

use std::time::Duration;

use testkit::{Person, Value, eventually, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// Someone's notifications, newest first, once there are so many.
async fn told(person: &Person, count: usize) -> Vec<Value> {
    eventually("notifications", PATIENCE, async || {
        let page = person.get("/notifications/").await.results();
        (page.len() >= count).then_some(page)
    })
    .await
}

/// What was decided for someone about a message on a channel, once it is.
async fn decided(person: &Person, message: &Value, channel: &str) -> (String, Value) {
    let path = format!("/notifications/decisions/?message={}", message["id"]);
    eventually("a decision", PATIENCE, async || {
        let answer = person.get(&path).await.is(200);
        let decisions = answer["decisions"].as_array().unwrap();
        let one = decisions.iter().find(|one| one["channel"] == json!(channel))?;
        Some((one["outcome"].as_str().unwrap().to_owned(), one["reason"].clone()))
    })
    .await
}
