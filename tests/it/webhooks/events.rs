//! Which events webhooks hear of, and what they are told.

use std::time::Duration;

use testkit::{Board, Person, Reaction, Received, Receiver, Value, json};

use super::{admin, hook};

async fn hook_of(admin: &Person, org: i64, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"org": org, "url": receiver.url(), "events": [
        "message.created", "message.updated", "message.deleted", "member.invited",
        "member.joined", "member.left", "room.created"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    admin.post("/webhooks/", body).await.is(201)
}

/// What came, in the order of its sequence.
async fn told(receiver: &Receiver, count: usize) -> Vec<(String, Value)> {
    let mut calls = receiver.gets(count).await;
    calls.sort_by_key(Received::sequence);
    let sequences: Vec<i64> = calls.iter().map(Received::sequence).collect();
    let gapless: Vec<i64> = (1..).take(calls.len()).collect();
    assert_eq!(sequences, gapless);
    let kind = |call: &Received| call.json()["type"].as_str().unwrap().to_owned();
    calls.iter().map(|call| (kind(call), call.json()["data"].clone())).collect()
}

#[tokio::test]
async fn a_room_s_life_is_told_in_order() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    board.settle().await;
    let receiver = Receiver::start().await;
    let made = hook_of(&team.alice, team.org, &receiver, json!({})).await;

    let message = team.bob.posts(team.room, "hello").await;
    let path = format!("/messages/{}/", message["id"]);
    board.settle().await;
    let reaction = json!({"emoji": "👍"});
    team.alice.post(&format!("{path}reactions/"), reaction).await.is(200);
    let edited = team.bob.patch(&path, json!({"body": "hello!"})).await.is(200);
    board.settle().await;
    team.bob.delete(&path).await.is(204);
    board.settle().await;
    team.bob.post(&format!("/rooms/{}/leave/", team.room), json!({})).await;
    board.settle().await;

    let told = told(&receiver, 4).await;
    let room = json!({"id": team.room, "name": "general"});
    assert_eq!(told[0].0, "message.created");
    assert_eq!(told[0].1, json!({"message": message, "room": room, "org": team.org}));
    assert_eq!(told[1].0, "message.updated");
    assert_eq!(told[1].1["message"]["body"], edited["body"]);
    assert_eq!(told[2].0, "message.deleted");
    assert_eq!(told[2].1["message"]["body"], "");
    assert_eq!(told[3].0, "member.left");
    let bob = json!({"id": team.bob.id, "email": team.bob.email});
    assert_eq!(
        told[3].1,
        json!({"scope": "room", "org": team.org, "room": room, "user": bob,
            "email": team.bob.email, "role": "MEMBER"})
    );
    let first = &receiver.received()[0];
    let seq = &message["seq"];
    let path = format!("/rooms/{}/events/?limit=1", team.room);
    let epoch = team.alice.get(&path).await.header("chat-epoch").to_owned();
    assert_eq!(first.id(), format!("evt_{epoch}_r{}_{seq}", team.room));
    assert_eq!(first.json()["timestamp"], message["created_at"]);
    let listed = super::events(&team.alice, &made).await;
    assert_eq!(listed.len(), 4, "{listed:?}");
}

#[tokio::test]
async fn an_organization_s_life_is_told() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    hook_of(&alice, org, &receiver, json!({})).await;
    let bob = board.person("bob").await;
    let invite =
        alice.post(&format!("/orgs/{org}/invite/"), json!({"email": bob.email})).await.is(201);
    bob.post("/orgs/accept-invite/", json!({"token": invite["token"]})).await.is(200);
    let room = alice.post("/rooms/", json!({"org": org, "name": "plans"})).await.is(201);
    bob.delete(&format!("/orgs/{org}/members/{}/", bob.id)).await.is(204);
    let told = told(&receiver, 4).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["member.invited", "member.joined", "room.created", "member.left"]);
    let user = json!({"id": bob.id, "email": bob.email});
    let member = json!({"scope": "org", "org": org, "room": null, "user": user,
        "email": bob.email, "role": "MEMBER"});
    assert_eq!(told[0].1, member);
    assert_eq!(told[1].1, member);
    assert_eq!(told[2].1["room"]["id"], room["id"]);
    assert_eq!(told[2].1["room"]["name"], "plans");
    assert_eq!(told[3].1, member);
    let text: String = receiver.received().iter().map(|call| call.body.clone()).collect();
    assert!(!text.contains(invite["token"].as_str().unwrap()), "an invite's token was told");
}

#[tokio::test]
async fn private_rooms_are_told_on_request_and_direct_messages_never() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let (open, all) = (Receiver::start().await, Receiver::start().await);
    hook(&team.alice, team.org, &open).await;
    let body = json!({"include_private": true, "events": ["message.created"]});
    hook_of(&team.alice, team.org, &all, body).await;
    let secret = team.alice.makes_room(team.org, "secret", "PRIVATE").await;
    let body = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = team.alice.post("/rooms/dm/", body).await.json()["id"].as_i64().unwrap();
    team.alice.posts(dm, "between us").await;
    team.alice.posts(secret, "among us").await;
    team.alice.posts(team.room, "to all").await;
    let bodies = |told: Vec<(String, Value)>| -> Vec<Value> {
        told.into_iter().map(|(_, data)| data["message"]["body"].clone()).collect()
    };
    let mut heard = bodies(told(&all, 2).await);
    heard.sort_by_key(ToString::to_string);
    assert_eq!(heard, ["among us", "to all"]);
    assert_eq!(bodies(told(&open, 1).await), ["to all"]);
    board.settle().await;
    assert_eq!((open.received().len(), all.received().len()), (1, 2));
}

#[tokio::test]
async fn nothing_is_recorded_for_a_webhook_that_is_not_active() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let receiver = Receiver::start().await;
    let made = hook(&team.alice, team.org, &receiver).await;
    let path = format!("/webhooks/{}/", made["id"]);
    team.alice.patch(&path, json!({"is_active": false})).await.is(200);
    team.alice.posts(team.room, "unheard").await;
    board.settle().await;
    team.alice.patch(&path, json!({"is_active": true})).await.is(200);
    team.alice.posts(team.room, "heard").await;
    let told = told(&receiver, 1).await;
    assert_eq!(told[0].1["message"]["body"], "heard");
}

#[tokio::test]
async fn every_message_arrives_whatever_crashes() {
    let board = Board::builder().webhooks().processes().start().await;
    let team = board.team().await;
    board.settle().await;
    let (steady, shaky) = (Receiver::start().await, Receiver::start().await);
    hook(&team.alice, team.org, &steady).await;
    let made = hook(&team.alice, team.org, &shaky).await;
    for number in 0..60 {
        if number % 10 == 3 {
            shaky.next(Reaction::Status(500));
        }
        match number {
            15 | 40 => board.crash(Board::RELAY).await,
            25 | 50 => board.crash(board.webhooks_process()).await,
            _ => {}
        }
        team.bob.posts(team.room, &format!("message {number}")).await;
    }
    board.settle().await;
    // The claims of those that died run out.
    board
        .sql(
            "update webhook_outbox set claimed_until = now(), hand_out_at = null \
              where claimed_until > now()",
        )
        .await;
    testkit::eventually("everything is sent", Duration::from_secs(60), || async {
        let open = "select count(*) from webhook_outbox where status <> 'sent'";
        (board.count(open).await == 0).then_some(())
    })
    .await;
    for receiver in [&steady, &shaky] {
        let mut ids: Vec<(i64, String)> = receiver
            .received()
            .iter()
            .map(|call| (call.sequence(), call.id().to_owned()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let sequences: Vec<i64> = ids.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=60).collect::<Vec<i64>>());
    }
    let all = team.alice.walks(&format!("/webhooks/{}/events/?after=0", made["id"])).await;
    assert_eq!(all.len(), 60);
}
