//! A retry never sends twice, whatever road it takes.

use testkit::{Board, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_identical_sends_over_rest_and_both_edges_make_one_message() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("general").await;
    let mut of_bob = bob.opens(1, room).await;
    let path = format!("/messages/rooms/{room}/");
    let sends = (0..20).map(|number| {
        let (alice, path) = (alice.clone(), path.clone());
        testkit::spawn(async move {
            let body = json!({"body": "only once", "nonce": "the nonce"});
            if number % 2 == 0 {
                let reply = alice.post(&path, body).await;
                assert!([200, 201].contains(&reply.status), "{}", reply.text);
                return (reply.json()["id"].clone(), reply.status == 200);
            }
            let mut socket = alice.opens_many(number).await;
            let frame = json!({"type": "message", "room": room, "body": "only once",
                               "nonce": "the nonce"});
            socket.sends(frame).await;
            let ack = socket.next_of_type("ack").await;
            (ack["id"].clone(), ack["replayed"] == true)
        })
    });
    let mut answers: Vec<(Value, bool)> = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        answers.push(send.await.unwrap());
    }
    let (id, _) = answers[0].clone();
    assert!(answers.iter().all(|(other, _)| *other == id), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, is_replay)| !is_replay).count(), 1, "{answers:?}");
    assert_eq!(of_bob.sees("only once").await["id"], id);
    assert_eq!(alice.history(room).await.len(), 1);
    assert_eq!(alice.room(room).await["last_seq"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_answers_with_the_message_as_it_is_now_and_refuses_another_content() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("general").await;
    let path = format!("/messages/rooms/{room}/");
    let first = json!({"body": "first", "nonce": "n"});
    let message = alice.post(&path, first.clone()).await.is(201);
    let edit = json!({"body": "edited"});
    alice.patch(&format!("/messages/{}/", message["id"]), edit.clone()).await.is(200);

    let again = alice.post(&path, first).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.is(200)["body"], "edited");
    let other = json!({"body": "edited", "nonce": "n"});
    assert_eq!(alice.post(&path, other.clone()).await.is(409)["code"], "nonce_conflict");
    bob.post(&path, other).await.is(201);
}
