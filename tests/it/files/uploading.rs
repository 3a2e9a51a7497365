//! Announcing, putting and completing.

use testkit::{Board, PNG, Value, json, uploads};

const TEXT: &[u8] = b"the quick brown fox";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_into_the_store_and_comes_back_as_an_attachment() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let name = "Grüße \"x\"/../<b>.txt";
    let announced = alice.announces(name, "text/plain", TEXT.len()).await;
    let at = announced.header("location").to_owned();
    let announced = announced.is(201);
    assert_eq!(announced["method"], "PUT");
    assert_eq!(announced["file_url"], Value::from(at));
    assert!(
        announced["file_url"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/api/v1/uploads/{}/", announced["id"].as_str().unwrap()))
    );
    let pending = alice.upload(&announced).await.is(200);
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["download_url"], Value::Null);
    alice.completes(&announced).await.refuses(409, "upload_incomplete");

    let url = announced["upload_url"].as_str().unwrap();
    assert_eq!(uploads::put(url, &announced["headers"], TEXT).await.status, 200);
    let done = alice.completes(&announced).await.is(200);
    assert_eq!(done["status"], "completed");
    assert_eq!(done["filename"], name);
    assert_eq!(done["file_size"], TEXT.len());
    assert_eq!(done["content_type"], "text/plain");
    assert!(done["uploaded_at"].is_string() && done["expires_at"].is_string());
    assert_eq!(alice.completes(&announced).await.is(200), done);

    let got = alice.upload(&announced).await.is(200);
    let file = uploads::fetch(got["download_url"].as_str().unwrap()).await;
    assert_eq!((file.status, file.bytes.as_slice()), (200, TEXT));
    let disposition = file.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment; "), "{disposition}");
    assert!(disposition.contains("filename*=UTF-8''Gr%C3%BC%C3%9Fe%20"), "{disposition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_uploaded_is_blamed_field_by_field() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    alice.post("/uploads/presign/", json!({})).await.blames(&[
        "filename",
        "content_type",
        "file_size",
    ]);
    alice.announces("", "text/plain", 1).await.blames(&["filename"]);
    alice.announces(&"x".repeat(256), "text/plain", 1).await.blames(&["filename"]);
    alice.announces(&"ü".repeat(255), "text/plain", 1).await.is(201);
    for bad in ["text/html", "image/svg+xml", "application/javascript", ""] {
        alice.announces("a", bad, 1).await.blames(&["content_type"]);
    }
    alice.announces("a", "IMAGE/PNG", 1).await.is(201);
    alice.announces("a", "text/plain", 0).await.blames(&["file_size"]);
    alice.announces("a", "text/plain", 100 * 1024 * 1024).await.is(201);
    alice.announces("a", "text/plain", 100 * 1024 * 1024 + 1).await.blames(&["file_size"]);
    let odd = json!({"filename": 1, "content_type": "text/plain", "file_size": 1.5});
    alice.post("/uploads/presign/", odd).await.blames(&["filename", "file_size"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_must_look_like_one() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let page = b"<script>alert(1)</script>";
    let fake = alice.puts("cat.png", "image/png", page).await;
    alice.completes(&fake).await.refuses(409, "upload_incomplete");
    assert_eq!(alice.upload(&fake).await.is(200)["status"], "pending");
    let cat = alice.uploads("cat.png", "image/png", PNG).await;
    assert_eq!(cat["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_their_owners_and_listed_newest_first() {
    let board = Board::start().await;
    let (alice, bob) = (board.person("alice").await, board.person("bob").await);
    let first = alice.announces("1", "text/plain", 1).await.is(201);
    let second = alice.uploads("2", "text/plain", TEXT).await;
    bob.announces("his", "text/plain", 1).await.is(201);
    let mine = alice.get("/uploads/my-uploads/").await.results();
    let ids: Vec<&Value> = mine.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&second["id"], &first["id"]]);
    assert_eq!(mine[0], second);
    assert_eq!(alice.walks("/uploads/my-uploads/?limit=1").await.len(), 2);
    for theirs in [&first, &second] {
        bob.upload(theirs).await.refuses(404, "not_found");
        bob.completes(theirs).await.refuses(404, "not_found");
    }
    for odd in ["1", "nope", "0197b3c45d6e7f809a0b1c2d3e4f5061", "{}"] {
        alice.get(&format!("/uploads/{odd}/")).await.refuses(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_announces_more_than_their_quota_however_fast() {
    let board = Board::builder().quotas(1_000, 0).start().await;
    let alice = board.person("alice").await;
    alice.announces("a", "text/plain", 1_001).await.blames(&["file_size"]);
    let tries = (0..8).map(|_| alice.announces("a", "text/plain", 300));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    alice.announces("a", "text/plain", 101).await.blames(&["file_size"]);
    alice.announces("a", "text/plain", 100).await.is(201);
}
