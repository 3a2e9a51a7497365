//! What an edge asks for a user needs that user's token.

use std::time::Duration;

use domain::{Seq, UserId};
use nats::bus::{AskError, Bus};
use nats::rpc::{Events, Members, Open, Post, Profile, Question, Read, UserToken};
use testkit::{Board, DEADLINE, eventually, json};

use super::connected;

async fn refusal<Q: Question>(bus: &Bus, question: &Q) -> String {
    match bus.ask(question).await {
        Ok(_) => "answered".to_owned(),
        Err(AskError::Refused(refused)) => refused.code,
        Err(error) => panic!("{}: {error}", Q::VERB),
    }
}

fn frame(body: &str) -> Box<serde_json::value::RawValue> {
    let text = json!({"type": "message", "body": body, "nonce": body}).to_string();
    serde_json::value::RawValue::from_string(text).unwrap()
}

#[tokio::test]
async fn an_edge_without_a_users_token_reads_writes_and_opens_nothing() {
    let board = Board::start().await;
    let team = board.team().await;
    let said = team.alice.posts(team.room, "for the room").await;
    let bus = connected(board.nats_url(), board.prefix()).await;
    let (room, message) = (team.room.into(), said["id"].as_i64().unwrap().into());
    let expired = team.bob.mint(Duration::ZERO);
    let forged = team.bob.mint_with(&testkit::foreign_keys(), Duration::from_secs(60));
    for token in ["", "nonsense", &expired, &forged] {
        let token = UserToken::from(token);
        let answers = [
            refusal(&bus, &Open { token: token.clone(), room }).await,
            refusal(&bus, &Events { token: token.clone(), room, after: Seq(0) }).await,
            refusal(&bus, &Post { token: token.clone(), room, frame: frame("x") }).await,
            refusal(&bus, &Read { token: token.clone(), room, message }).await,
            refusal(&bus, &Members { token: token.clone(), room, after: UserId::NOWHERE }).await,
            refusal(&bus, &Profile { token }).await,
        ];
        assert_eq!(answers, ["unauthenticated"; 6]);
    }
    // What an older edge asks, with a user and no token.
    for (verb, question) in [
        ("events", json!({"room": team.room, "user": null, "after": 0})),
        ("post", json!({"user": team.bob.id, "login": 1, "room": team.room, "frame": {}})),
    ] {
        let subject = bus.subjects().rpc(verb);
        let answer = bus.client().request(subject, question.to_string().into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["refused"]["code"], "unauthenticated", "{verb}");
    }
    assert_eq!(team.bob.history(team.room).await.len(), 1);
    assert_eq!(team.bob.unread(team.room).await.0, 1);
}

#[tokio::test]
async fn with_a_users_token_an_edge_acts_as_that_user_alone() {
    let board = Board::start().await;
    let team = board.team().await;
    let secret = team.alice.makes_room(team.org, "secret", "PRIVATE").await;
    let said = team.alice.posts(secret, "not for Bob").await;
    let bus = connected(board.nats_url(), board.prefix()).await;
    let token = UserToken::from(team.bob.token.as_str());
    assert!(!format!("{token:?}").contains(&team.bob.token));
    let (room, message) = (secret.into(), said["id"].as_i64().unwrap().into());
    for answer in [
        refusal(&bus, &Open { token: token.clone(), room }).await,
        refusal(&bus, &Events { token: token.clone(), room, after: Seq(0) }).await,
        refusal(&bus, &Post { token: token.clone(), room, frame: frame("x") }).await,
        refusal(&bus, &Read { token: token.clone(), room, message }).await,
        refusal(&bus, &Members { token: token.clone(), room, after: UserId::NOWHERE }).await,
    ] {
        assert!(["not_found", "not_a_member"].contains(&answer.as_str()), "{answer}");
    }
    let post = Post { token: token.clone(), room: team.room.into(), frame: frame("I am Bob") };
    bus.ask(&post).await.unwrap();
    let history = team.alice.history(team.room).await;
    assert_eq!(history[0]["sender"].as_i64(), Some(team.bob.id), "{}", history[0]);
    let profile = bus.ask(&Profile { token: token.clone() }).await.unwrap();
    assert_eq!(profile.email, team.bob.email);
    // A login that was signed out is a proof no more.
    team.bob.delete(&format!("/auth/sessions/{}/", team.bob.login)).await.is(204);
    let open = Open { token, room: team.room.into() };
    eventually("the token is no proof", DEADLINE, async || {
        (refusal(&bus, &open).await == "unauthenticated").then_some(())
    })
    .await;
}
