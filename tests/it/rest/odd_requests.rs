//! Odd requests: bytes that are no text, bodies that nobody asked for, ids of every wrong kind.

use testkit::{Board, Reply, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    for body in ["", " ", "{", "[]", "3", "null", "\"name\"", "{\"name\": }", "{\"name\": \"a\"} x"]
    {
        alice.sends_text("POST", "/orgs/", body).await.refuses(400, "malformed_request");
    }
    for body in [r#"{"name": "\ud800"}"#, r#"{"name": "\udc00 x"}"#] {
        alice.sends_text("POST", "/orgs/", body).await.refuses(400, "malformed_request");
    }
    alice.sends_text("POST", "/orgs/", r#"{"name": "a\u0000b"}"#).await.blames(&["name"]);
    alice.sends_text("POST", "/orgs/", r#"{"name": "\ud83d\ude00"}"#).await.is(201);

    let bearer = format!("Bearer {}", alice.token);
    let auth = ("authorization", bearer.as_str());
    let bytes = board
        .http()
        .post(format!("{}/api/v1/orgs/", board.api()))
        .headers([auth, JSON].into_iter().map(header).collect())
        .body(b"{\"name\": \"\xff\xfe\"}".to_vec());
    assert_eq!(bytes.send().await.unwrap().status(), 400, "not UTF-8");
}

fn header(
    (name, value): (&'static str, &str),
) -> (reqwest::header::HeaderName, reqwest::header::HeaderValue) {
    (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
}

#[tokio::test]
async fn a_body_must_be_declared_as_json_where_one_is_needed() {
    let board = Board::start().await;
    let team = board.team().await;
    let bearer = format!("Bearer {}", team.alice.token);
    let auth = ("authorization", bearer.as_str());
    let body = Some(r#"{"name": "Acme"}"#);
    let of_type = async |kind: Option<&str>, body: Option<&str>| {
        let mut headers = vec![auth];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        board.call("POST", "/orgs/", &headers, body).await
    };
    of_type(None, body).await.refuses(415, "unsupported_media_type");
    of_type(None, None).await.refuses(415, "unsupported_media_type");
    of_type(Some("text/plain"), body).await.refuses(415, "unsupported_media_type");
    of_type(Some("application/jsonx"), body).await.refuses(415, "unsupported_media_type");
    of_type(Some("application/json"), None).await.refuses(400, "malformed_request");
    of_type(Some("Application/JSON; charset=utf-8"), body).await.is(201);
    // A call that needs no body needs no type, whatever comes with it.
    let join = format!("/rooms/{}/join/", team.room);
    board.call("POST", &join, &[auth], None).await.is(200);
    board.call("POST", &join, &[auth, ("content-type", "text/plain")], Some("x")).await.is(200);
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_of_404() {
    let board = Board::start().await;
    for path in ["/", "/nothing/", "/rooms/1/nothing/", "/auth/", "/orgs/1/members/2/role/3/"] {
        board.get(path).await.refuses(404, "not_found");
    }
    for path in ["", "/api", "/api/v2/rooms/", "/metrics", "/health/nothing"] {
        board.get(&format!("{}{path}", board.api())).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn what_is_no_id_is_404_in_a_path_and_422_in_a_body() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, org) = (&team.alice, team.org);
    for id in ["-1", "0", "9223372036854775808", "18446744073709551616", "abc", "1.0", "%31x", "+1"]
    {
        for path in [
            format!("/rooms/{id}/"),
            format!("/orgs/{id}/"),
            format!("/messages/{id}/"),
            format!("/users/{id}/"),
            format!("/messages/rooms/{id}/"),
            format!("/rooms/{id}/events/"),
        ] {
            alice.get(&path).await.refuses(404, "not_found");
        }
        alice.delete(&format!("/orgs/{org}/members/{id}/")).await.refuses(404, "not_found");
        alice
            .post_empty(&format!("/rooms/{}/read/{id}/", team.room))
            .await
            .refuses(404, "not_found");
    }
    alice.get("/rooms/9223372036854775807/").await.refuses(404, "not_found");
    for id in
        ["-1", "0", "9223372036854775808", "18446744073709551616", "\"abc\"", "1.5", "true", "null"]
    {
        let room = format!(r#"{{"org": {id}, "name": "x"}}"#);
        alice.sends_text("POST", "/rooms/", &room).await.blames(&["org"]);
        let dm = format!(r#"{{"org": {org}, "user_ids": [{id}]}}"#);
        alice.sends_text("POST", "/rooms/dm/", &dm).await.blames(&["user_ids"]);
        let invite = format!(r#"{{"user_id": {id}}}"#);
        let path = format!("/rooms/{}/invite/", team.room);
        alice.sends_text("POST", &path, &invite).await.blames(&["user_id"]);
    }
}

#[tokio::test]
async fn a_user_has_a_hundred_requests_a_minute_and_sees_how_many_are_left() {
    let board = Board::builder().limits_on().edges(1).start().await;
    let alice = board.person("alice").await;
    let bob = board.person("bob").await;
    let mut refused: Option<Reply> = None;
    let mut before = 100;
    for sent in 1..=200 {
        let reply = alice.get("/auth/me/").await;
        assert_eq!(reply.header("ratelimit-limit"), "100");
        assert_ne!(reply.header("ratelimit-reset"), "");
        let left: i64 = reply.header("ratelimit-remaining").parse().unwrap();
        if reply.status == 429 {
            assert!(sent > 100, "refused after {sent}");
            assert_eq!(left, 0);
            refused = Some(reply);
            break;
        }
        reply.is(200);
        assert!(left < 100 && left >= before - 1, "{left} after {before}");
        before = left;
    }
    let refused = refused.expect("two hundred requests at once are too many");
    refused.refuses(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().expect("Retry-After in seconds");
    assert!((1..=60).contains(&wait));
    bob.get("/auth/me/").await.is(200);
    // The limit comes before the body, and after the token.
    let reply = alice.sends_text("POST", "/orgs/", "[").await;
    reply.refuses(429, "rate_limited");
    alice.with_token("bad").get("/auth/me/").await.refuses(401, "unauthenticated");
}

#[tokio::test]
async fn a_request_needs_one_host() {
    let board = Board::start().await;
    for hosts in ["", "host: x\r\nhost: x\r\n"] {
        let request = format!("GET /health/live HTTP/1.1\r\n{hosts}\r\n");
        for address in [board.api(), board.edge(0)] {
            let answer = board.raw(address, request.as_bytes(), "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
    }
    let old = board.raw(board.api(), b"GET /health/live HTTP/1.0\r\n\r\n", "").await;
    assert!(old.starts_with("HTTP/1.0 200 "), "{old}");
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_before() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let request = |length: usize| {
        format!(
            "POST /api/v1/orgs/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n",
            alice.token
        )
    };
    let larger = request(domain::limits::BODY_BYTES_MAX + 1);
    let answer = board.raw(board.api(), larger.as_bytes(), "payload_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let answer = board.raw(board.api(), request(20).as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_no_fault_of_the_server() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let request = format!(
        "POST /api/v1/orgs/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 20\r\n\r\n{{\"name\"",
        alice.token
    );
    let answer = board.raw(board.api(), request.as_bytes(), "request_timeout").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_client_that_is_still_sending_sees_the_answer_to_its_request() {
    let board = Board::start().await;
    let address = board.api().split("://").last().unwrap().to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let rest = vec![b'x'; 4 * 1024 * 1024];
    let head = format!(
        "POST /api/v1/orgs/ HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        rest.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Refused for the missing token, before a byte of the body is read.
    let mut first = [0; 1];
    within("the answer", stream.peek(&mut first)).await.unwrap();
    within("the rest is taken", stream.write_all(&rest)).await.unwrap();
    let mut answer = String::new();
    within("the end of the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("unauthenticated"), "{answer}");
}
