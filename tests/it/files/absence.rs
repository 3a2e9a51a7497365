//! Without the object store, and with one that was told something else.

use std::time::Duration;

use testkit::{Board, json, uploads};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_itself_refuses_what_was_not_announced() {
    let board = Board::builder().edges(1).start().await;
    let alice = board.person("alice").await;
    let announced = alice.announces("a.txt", "text/plain", 5).await.is(201);
    let url = announced["upload_url"].as_str().unwrap();
    let headers = &announced["headers"];
    assert_eq!(uploads::put(url, headers, b"more than five").await.status, 403);
    let mut html = headers.clone();
    let kind = html.as_object_mut().unwrap().iter_mut();
    for (_, value) in kind.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        *value = json!("text/html");
    }
    assert_ne!(&html, headers);
    assert_eq!(uploads::put(url, &html, b"<b/>!").await.status, 403);
    alice.completes(&announced).await.refuses(409, "upload_incomplete");
    assert_eq!(uploads::put(url, headers, b"hello").await.status, 200);
    alice.completes(&announced).await.is(200);
    assert_eq!(uploads::put(url, headers, b"other").await.status, 412, "it is not replaced");

    let late = alice.announces("late.txt", "text/plain", 5).await.is(201);
    board.clock.advance(Duration::from_secs(3_602));
    let url = late["upload_url"].as_str().unwrap();
    assert_eq!(uploads::put(url, &late["headers"], b"hello").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_goes_on_without_the_store() {
    let board = Board::builder().edges(1).start().await;
    let team = board.team().await;
    let upload = team.alice.uploads("a.txt", "text/plain", b"hello").await;
    let pending = team.alice.announces("b.txt", "text/plain", 5).await.is(201);
    board.files().goes_away().await;
    team.alice.posts_file(team.room, &upload).await;
    team.bob.posts(team.room, "still here").await;
    assert_eq!(board.get("/health/ready").await.is(200)["status"], "ok");
    team.alice.completes(&pending).await.refuses(503, "unavailable");
    board.files().comes_back().await;
    let url = pending["upload_url"].as_str().unwrap();
    assert_eq!(uploads::put(url, &pending["headers"], b"hello").await.status, 200);
    team.alice.completes(&pending).await.is(200);
}
