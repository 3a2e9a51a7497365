//! "Why was I (not) notified?"

use testkit::{Board, json};

use super::{decided, told};

#[tokio::test]
async fn every_decision_can_be_asked_for() {
    let board = Board::start().await;
    let team = board.team().await;
    let settings = format!("/rooms/{}/settings/", team.room);
    team.bob.patch(&settings, json!({"notify": "none"})).await.is(200);
    let body = format!("@{}", team.bob.email);
    let muted = team.alice.posts(team.room, &body).await;
    assert_eq!(decided(&team.bob, &muted, "app").await, ("suppressed".into(), json!("muted")));
    assert_eq!(decided(&team.bob, &muted, "email").await, ("suppressed".into(), json!("muted")));
    team.bob.patch(&settings, json!({"notify": "mentions"})).await.is(200);
    team.bob.patch("/auth/me/", json!({"email_notifications": "none"})).await.is(200);
    let sent = team.alice.posts(team.room, &body).await;
    assert_eq!(decided(&team.bob, &sent, "app").await, ("sent".into(), json!(null)));
    let preference = ("suppressed".to_owned(), json!("preference"));
    assert_eq!(decided(&team.bob, &sent, "email").await, preference);
    assert_eq!(told(&team.bob, 1).await.len(), 1, "the muted one made none");
    // Others learn nothing of it, and a message that concerns nobody has none.
    let path = format!("/notifications/decisions/?message={}", sent["id"]);
    assert_eq!(team.alice.get(&path).await.is(200), json!({"decisions": []}));
    for bad in ["", "?message=", "?message=x", "?message=0"] {
        let path = format!("/notifications/decisions/{bad}");
        team.bob.get(&path).await.refuses(400, "malformed_request");
    }
}
