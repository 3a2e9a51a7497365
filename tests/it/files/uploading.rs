//! Announcing, putting and completing.

use testkit::{Board, PNG, Person, Value, json, uploads};

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
    alice.announces("a", "IMAGE/PNG", 1).await.is(201);
    alice.announces("a", "text/plain", 0).await.blames(&["file_size"]);
    alice.announces("a", "text/plain", 100 * 1024 * 1024).await.is(201);
    alice.announces("a", "text/plain", 100 * 1024 * 1024 + 1).await.blames(&["file_size"]);
    let odd = json!({"filename": 1, "content_type": "text/plain", "file_size": 1.5});
    alice.post("/uploads/presign/", odd).await.blames(&["filename", "file_size"]);
}

/// What a browser is told of a downloaded file.
async fn served(alice: &Person, name: &str, content_type: &str, bytes: &[u8]) -> [String; 3] {
    let upload = alice.uploads(name, content_type, bytes).await;
    let got = alice.upload(&upload).await.is(200);
    let file = uploads::fetch(got["download_url"].as_str().unwrap()).await;
    assert_eq!((file.status, file.bytes.as_slice()), (200, bytes), "{name}");
    let header = |header: &str| file.headers[header].to_str().unwrap().to_owned();
    assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
    let disposition = header("content-disposition");
    let kind = disposition.split(';').next().unwrap_or_default().to_owned();
    [upload["content_type"].as_str().unwrap().to_owned(), header("content-type"), kind]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_any_type_are_stored_and_none_can_run_when_downloaded() {
    const OCTETS: &str = "application/octet-stream";
    const SCRIPT: &[u8] = b"<script>alert(document.domain)</script>";
    let board = Board::start().await;
    let alice = board.person("alice").await;
    for (name, announced, bytes, kept, served_as) in [
        ("page.html", "text/html", SCRIPT, "text/html", OCTETS),
        (
            "image.svg",
            "image/svg+xml",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".as_slice(),
            "image/svg+xml",
            OCTETS,
        ),
        (
            "page.xhtml",
            "application/xhtml+xml; charset=utf-8",
            SCRIPT,
            "application/xhtml+xml",
            OCTETS,
        ),
        ("code.js", "text/javascript", b"alert(1)", "text/javascript", OCTETS),
        ("data.csv", "text/csv", b"a,b\n", "text/csv", OCTETS),
        ("main.rs", "", b"fn main() {}", OCTETS, OCTETS),
        ("odd", "no type at all", b"?", OCTETS, OCTETS),
        ("old.zip", "application/x-zip-compressed", b"PK\x03\x04", "application/zip", OCTETS),
        // Types that are served must be what the bytes say.
        ("fake.pdf", "application/pdf", SCRIPT, OCTETS, OCTETS),
        ("fake.mp4", "video/mp4", SCRIPT, OCTETS, OCTETS),
        ("fake.txt", "text/plain", b"MZ\x90\0", OCTETS, OCTETS),
        ("film.mp4", "video/mp4", b"\0\0\0\x18ftypmp42", "video/mp4", "video/mp4"),
        ("sound.mp3", "audio/mp3", b"ID3\x04", "audio/mpeg", "audio/mpeg"),
        ("paper.pdf", "application/x-pdf", b"%PDF-1.7", "application/pdf", "application/pdf"),
        ("notes.txt", "text/plain; charset=utf-8", TEXT, "text/plain", "text/plain"),
        ("cat.jpg", "image/jpg", b"\xff\xd8\xff\xe0", "image/jpeg", "image/jpeg"),
    ] {
        let found = served(&alice, name, announced, bytes).await;
        assert_eq!(found, [kept, served_as, "attachment"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_restrict_the_types_of_files() {
    let mut builder = Board::builder();
    builder.uploads.types = ["image/png", "text/plain"].map(str::to_owned).to_vec();
    let board = builder.start().await;
    let alice = board.person("alice").await;
    alice.announces("a", "IMAGE/X-PNG", 1).await.is(201);
    alice.announces("a", "text/plain;charset=utf-8", 1).await.is(201);
    for refused in ["text/html", "image/gif", ""] {
        alice.announces("a", refused, 1).await.blames(&["content_type"]);
    }
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
