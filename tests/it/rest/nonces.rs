//! Sending twice what is to be sent once.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_identical_sends_at_once_make_one_message() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut witness = bob.opens(0, room).await;
    let path = format!("/messages/rooms/{room}/");
    for round in 0..5 {
        let nonce = format!("round {round}");
        let body = json!({"body": "only once", "nonce": nonce});
        let over_rest = super::auth::futures(10, |_| alice.post(&path, body.clone()));
        let over_sockets = super::auth::futures(10, |edge| {
            let (alice, nonce) = (&alice, &nonce);
            async move {
                let mut socket = alice.opens_many(edge).await;
                let frame =
                    json!({"type": "message", "room": room, "body": "only once", "nonce": nonce});
                socket.sends(frame).await;
                socket.next_of_type("ack").await
            }
        });
        let (replies, acks) = tokio::join!(over_rest, over_sockets);
        let first = replies[0].json()["id"].clone();
        let mut created = 0;
        for reply in &replies {
            assert_eq!(reply.json()["id"], first, "{}", reply.text);
            let is_replay = reply.header("idempotent-replayed") == "true";
            assert_eq!(reply.status, if is_replay { 200 } else { 201 });
            created += usize::from(!is_replay);
        }
        for ack in &acks {
            assert_eq!((&ack["id"], &ack["nonce"]), (&first, &json!(nonce)));
            created += usize::from(ack.get("replayed").is_none());
        }
        assert_eq!(created, 1, "one of them made it");
        assert_eq!(alice.room(room).await["last_seq"], round + 1);
    }
    witness.reaches(room, 5).await;
    assert_eq!(alice.history(room).await.len(), 5);
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_with_another_content_is_a_conflict() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let path = format!("/messages/rooms/{room}/");
    let first = json!({"body": "first", "nonce": "n"});
    let message = alice.post(&path, first.clone()).await.is(201);
    alice.post(&path, json!({"body": "other", "nonce": "n"})).await.refuses(409, "nonce_conflict");
    let with_file = json!({"body": "first", "nonce": "n", "file_url": "https://x.example/"});
    alice.post(&path, with_file).await.refuses(409, "nonce_conflict");
    let reply = json!({"body": "first", "nonce": "n", "reply_to": message["id"]});
    alice.post(&path, reply).await.refuses(409, "nonce_conflict");
    let mut socket = alice.opens(1, room).await;
    socket.sends(json!({"type": "message", "body": "other", "nonce": "n"})).await;
    let refused = socket.is_refused("nonce_conflict").await;
    assert_eq!((&refused["nonce"], &refused["type"]), (&json!("n"), &json!("error")));
    // The same nonce of another person, or in another room, is another send.
    bob.post(&path, json!({"body": "other", "nonce": "n"})).await.is(201);
    let org = message["org"].as_i64().unwrap();
    let other = alice.makes_room(org, "other", "PUBLIC").await;
    alice.post(&format!("/messages/rooms/{other}/"), first).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_answers_with_the_message_as_it_is_now() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let path = format!("/messages/rooms/{room}/");
    let send = json!({"body": "first", "nonce": "n"});
    let message = alice.post(&path, send.clone()).await.is(201);
    let one = format!("/messages/{}/", message["id"]);
    alice.patch(&one, json!({"body": "edited"})).await.is(200);
    let replayed = alice.post(&path, send.clone()).await;
    assert_eq!(replayed.is(200)["body"], "edited");
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    // The content that counts is the one first sent.
    let edited = json!({"body": "edited", "nonce": "n"});
    alice.post(&path, edited).await.refuses(409, "nonce_conflict");
    alice.delete(&one).await.is(204);
    let replayed = alice.post(&path, send).await.is(200);
    assert_eq!((&replayed["is_deleted"], &replayed["body"]), (&json!(true), &json!("")));
    assert_eq!(alice.room(room).await["last_seq"], 3, "replays take no seq");
}
