//! Messages that carry files, and who may fetch them.

use testkit::{Board, Person, Value, json, uploads};

const TEXT: &[u8] = b"minutes of the meeting";

async fn try_post(person: &Person, room: i64, body: Value) -> testkit::Reply {
    person.post(&format!("/messages/rooms/{room}/"), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_carries_a_file_and_everyone_in_the_room_sees_what_it_is() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, bob, room) = (&team.alice, &team.bob, team.room);
    let mut watching = bob.opens(0, room).await;
    let upload = alice.uploads("minutes.txt", "text/plain", TEXT).await;
    let sent = alice.posts_file(room, &upload).await;
    assert_eq!(sent["upload_id"], upload["id"]);
    assert_eq!(sent["file_url"], upload["file_url"]);
    assert_eq!(sent["body"], "");
    let told = json!({"filename": "minutes.txt", "content_type": "text/plain",
        "file_size": TEXT.len(), "width": null, "height": null,
        "has_preview": false});
    assert_eq!(sent["upload"], told);
    let frame = watching.until("the file", |frame| frame["id"] == sent["id"]).await;
    assert_eq!(frame["upload"], told);
    assert_eq!(frame["upload_id"], upload["id"]);
    assert_eq!(bob.history(room).await.last().unwrap()["upload"], told);
    assert_eq!(bob.events(room, 0).await.last().unwrap()["upload"], told);

    // Over a socket too.
    let mut socket = alice.opens(0, room).await;
    let frame =
        json!({"type": "message", "upload_id": upload["id"], "nonce": "f1", "body": "again"});
    socket.sends(frame).await;
    let ack = socket.next_of_type("ack").await;
    let message = alice.get(&format!("/messages/{}/", ack["id"])).await.is(200);
    assert_eq!(message["upload"], told);
    let posted = alice.upload(&upload).await.is(200);
    assert_eq!(posted["expires_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_completed_upload_of_ones_own_can_be_carried() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, bob, room) = (&team.alice, &team.bob, team.room);
    let theirs = bob.uploads("his.txt", "text/plain", TEXT).await;
    let pending = alice.announces("mine.txt", "text/plain", 1).await.is(201);
    for bad in [theirs["id"].clone(), json!("nope"), json!("0197b3c4-5d6e-7f80-9a0b-1c2d3e4f5061")]
    {
        try_post(alice, room, json!({"upload_id": bad})).await.blames(&["upload_id"]);
    }
    try_post(alice, room, json!({"upload_id": 7})).await.blames(&["upload_id"]);
    try_post(alice, room, json!({"upload_id": pending["id"]}))
        .await
        .refuses(409, "upload_incomplete");
    // A nonce stands for its file too.
    let (one, two) = (
        alice.uploads("1.txt", "text/plain", TEXT).await,
        alice.uploads("2.txt", "text/plain", TEXT).await,
    );
    let draft = |upload: &Value| json!({"upload_id": upload["id"], "nonce": "n"});
    let sent = try_post(alice, room, draft(&one)).await.is(201);
    let again = try_post(alice, room, draft(&one)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.is(200), sent);
    try_post(alice, room, draft(&two)).await.refuses(409, "nonce_conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_for_those_who_can_read_a_message_that_carries_it() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, bob, room) = (&team.alice, &team.bob, team.room);
    let carol = board.person("carol").await;
    board.put_into_org(team.org, &carol, "MEMBER").await;
    let secret = alice.makes_room(team.org, "secret", "PRIVATE").await;
    alice.post(&format!("/rooms/{secret}/invite/"), json!({"user_id": bob.id})).await.is(201);
    let upload = alice.uploads("plan.txt", "text/plain", TEXT).await;
    bob.upload(&upload).await.refuses(404, "not_found");
    let sent = alice.posts_file(secret, &upload).await;

    let got = bob.upload(&upload).await.is(200);
    let file = uploads::fetch(got["download_url"].as_str().unwrap()).await;
    assert_eq!((file.status, file.bytes.as_slice()), (200, TEXT));
    carol.upload(&upload).await.refuses(404, "not_found");

    alice.delete(&format!("/rooms/{secret}/members/{}/", bob.id)).await.is(204);
    bob.upload(&upload).await.refuses(404, "not_found");
    // In another room as well, until it is deleted there.
    let shared = alice.posts_file(room, &upload).await;
    bob.upload(&upload).await.is(200);
    alice.delete(&format!("/messages/{}/", shared["id"])).await.is(204);
    bob.upload(&upload).await.refuses(404, "not_found");
    alice.delete(&format!("/messages/{}/", sent["id"])).await.is(204);
    let gone = alice.get(&format!("/messages/{}/", sent["id"])).await.is(200);
    for field in ["file_url", "upload_id", "upload"] {
        assert_eq!(gone[field], Value::Null, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_has_room_for_so_many_bytes() {
    let board = Board::builder().quotas(0, 50).start().await;
    let team = board.team().await;
    let (alice, room) = (&team.alice, team.room);
    let first = alice.uploads("1.txt", "text/plain", TEXT).await;
    let second = alice.uploads("2.txt", "text/plain", TEXT).await;
    let third = alice.uploads("3.txt", "text/plain", TEXT).await;
    alice.posts_file(room, &first).await;
    alice.posts_file(room, &second).await;
    // What is there already costs nothing again.
    alice.posts_file(room, &first).await;
    try_post(alice, room, json!({"upload_id": third["id"]})).await.blames(&["upload_id"]);
    let elsewhere = alice.makes_org("Elsewhere").await;
    let elsewhere = alice.makes_room_for_all(elsewhere, "general").await;
    alice.posts_file(elsewhere, &third).await;
}
