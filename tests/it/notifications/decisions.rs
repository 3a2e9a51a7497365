//! "Why was I (not) notified?"

use std::process::Command;

use testkit::{Board, binary, json};

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
    let why = |user: &str, message: &testkit::Value| {
        let message = message["id"].to_string();
        let answer = Command::new(binary())
            .args(["admin", "why", user, &message])
            .env("CHATBOARD_DATABASE_URL", board.database_url())
            .output()
            .unwrap();
        String::from_utf8(answer.stdout).unwrap() + &String::from_utf8(answer.stderr).unwrap()
    };
    assert!(why(&team.bob.email.to_uppercase(), &muted).contains("suppressed  muted"));
    let told = why(&team.bob.id.to_string(), &sent);
    assert!(told.contains("app    sent") && told.contains("suppressed  preference"), "{told}");
    assert!(why(&team.alice.email, &sent).contains("does not concern them"));
    assert!(why("nobody@chat.test", &sent).contains("no such user"));
    for bad in ["", "?message=", "?message=x", "?message=0"] {
        let path = format!("/notifications/decisions/{bad}");
        team.bob.get(&path).await.refuses(400, "malformed_request");
    }
}
