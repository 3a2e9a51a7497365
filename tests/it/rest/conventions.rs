//! What holds for every call.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_served_with_and_without_its_slash() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    for path in ["/auth/me", "/orgs", &format!("/orgs/{org}"), "/rooms"] {
        let bare = alice.get(path).await;
        let slashed = alice.get(&format!("{path}/")).await;
        assert_eq!(bare.is(200), slashed.is(200), "{path}");
    }
    alice.post("/orgs", json!({"name": "Other"})).await.is(201);
    board.get("/api/schema").await.is(200);
    board.get("/api/schema/").await.is(200);
    board.get("/.well-known/jwks.json").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_works_where_get_does_and_put_nowhere() {
    let board = Board::start().await;
    let team = board.team().await;
    let paths = [
        "/auth/me/".to_owned(),
        "/orgs/".to_owned(),
        format!("/orgs/{}/", team.org),
        "/rooms/".to_owned(),
        format!("/rooms/{}/", team.room),
        format!("/messages/rooms/{}/", team.room),
        "/.well-known/jwks.json".to_owned(),
    ];
    for path in &paths {
        let head = team.alice.call("HEAD", path, None).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        let put = team.alice.call("PUT", path, Some(&json!({}))).await;
        put.refuses(405, "method_not_allowed");
        let allow = put.header("allow");
        assert!(allow.contains("GET") && allow.contains("HEAD"), "{path}: Allow: {allow}");
    }
    let allow = team.alice.call("PUT", "/rooms/", None).await;
    assert!(allow.header("allow").contains("POST"), "{}", allow.header("allow"));
    // The method is looked at before who asks.
    board.call("PUT", "/auth/me/", &[], None).await.refuses(405, "method_not_allowed");
    board.call("PUT", "/no/such/path/", &[], None).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_come_in_the_order_of_the_contract() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = format!("/rooms/{}/", team.room);
    let huge = format!("{{\"topic\": \"{}\"}}", "x".repeat(300 * 1024));
    let bearer = format!("Bearer {}", team.mallory.token);
    let patch = |headers: Vec<(&'static str, String)>, body: String| {
        let (board, room) = (&board, &room);
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            board.call("PATCH", room, &headers, Some(&body)).await
        }
    };
    let json_type = ("content-type", "application/json".to_owned());
    let text_type = ("content-type", "text/plain".to_owned());
    let who = ("authorization", bearer);
    // 401 before 413, 415 and 400.
    let refused = patch(vec![text_type.clone()], huge.clone()).await;
    refused.refuses(401, "unauthenticated");
    // Nobody sends their next request on this connection.
    assert_eq!(refused.header("connection"), "close");
    // 413 before 415.
    patch(vec![who.clone(), text_type.clone()], huge).await.refuses(413, "payload_too_large");
    // 415 before 400, 400 before 404, 404 before 422: a stranger's invalid body tells nothing.
    let not_json = "{".to_owned();
    patch(vec![who.clone(), text_type], not_json.clone())
        .await
        .refuses(415, "unsupported_media_type");
    patch(vec![who.clone(), json_type.clone()], not_json).await.refuses(400, "malformed_request");
    let invalid = json!({"topic": 5}).to_string();
    patch(vec![who, json_type], invalid).await.refuses(404, "not_found");
    // 403 before 422, 422 before 409.
    team.bob.patch(&room, json!({"topic": 5})).await.refuses(403, "forbidden");
    let role = format!("/orgs/{}/members/{}/role/", team.org, team.alice.id);
    team.alice.post(&role, json!({"role": "KING"})).await.blames(&["role"]);
    team.alice.post(&role, json!({"role": "MEMBER"})).await.refuses(409, "last_admin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_reads_ends_no_connection() {
    let board = Board::start().await;
    let team = board.team().await;
    let answer = team.bob.post("/auth/verify-email/resend/", json!({"un": "wanted"})).await;
    answer.is(202);
    assert_eq!(answer.header("connection"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_out_of_range_are_not_found_in_paths_and_invalid_in_bodies() {
    let board = Board::start().await;
    let team = board.team().await;
    let ids =
        ["-1", "0", "9223372036854775808", "18446744073709551616", "x", "1.0", "%00", "+1", "01x"];
    for id in ids {
        for path in [
            format!("/rooms/{id}/"),
            format!("/orgs/{id}/"),
            format!("/messages/{id}/"),
            format!("/messages/rooms/{id}/"),
            format!("/users/{id}/"),
            format!("/rooms/{}/read/{id}/", team.room),
        ] {
            let method = if path.contains("/read/") { "POST" } else { "GET" };
            team.alice.call(method, &path, None).await.refuses(404, "not_found");
        }
        let session = format!("/auth/sessions/{id}/");
        team.alice.delete(&session).await.refuses(404, "not_found");
    }
    team.alice.get("/rooms/9223372036854775807/").await.refuses(404, "not_found");
    for id in [json!(-1), json!(0), json!(9_223_372_036_854_775_808_u64), json!("1"), json!(1.5)] {
        let room = json!({"org": id, "name": "x"});
        team.alice.post("/rooms/", room).await.blames(&["org"]);
        let dm = json!({"org": team.org, "user_ids": [id]});
        team.alice.post("/rooms/dm/", dm).await.blames(&["user_ids"]);
        let path = format!("/messages/rooms/{}/", team.room);
        let reply = json!({"body": "x", "reply_to": id});
        team.alice.post(&path, reply).await.blames(&["reply_to"]);
    }
    let beyond = "{\"org\": 18446744073709551616, \"name\": \"x\"}";
    team.alice.sends_text("POST", "/rooms/", beyond).await.blames(&["org"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_a_request_id() {
    let board = Board::start().await;
    let given = [("x-request-id", "from-the_client.42")];
    for path in ["/auth/me/", "/no/such/", "/api/schema/", "/health/live"] {
        let own = board.get(path).await;
        assert!(!own.header("x-request-id").is_empty(), "{path}");
        let echoed = board.call("GET", path, &given, None).await;
        assert_eq!(echoed.header("x-request-id"), "from-the_client.42", "{path}");
    }
    for bad in ["", "has space", &"x".repeat(129), "semi;colon"] {
        let answer = board.call("GET", "/auth/me/", &[("x-request-id", bad)], None).await;
        assert_ne!(answer.header("x-request-id"), bad);
        assert!(!answer.header("x-request-id").is_empty());
    }
    let longest = "x".repeat(128);
    let answer = board.call("GET", "/auth/me/", &[("x-request-id", &longest)], None).await;
    assert_eq!(answer.header("x-request-id"), longest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allowed_origins_are_named_and_others_are_not() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let bearer = format!("Bearer {}", alice.token);
    let own = board.api().to_owned();
    for origin in ["https://friend.example", &own] {
        let headers = [("origin", origin), ("authorization", bearer.as_str())];
        let answer = board.call("GET", "/auth/me/", &headers, None).await;
        answer.is(200);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert!(answer.header("vary").to_lowercase().contains("origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let exposed = answer.header("access-control-expose-headers").to_lowercase();
        for name in ["x-request-id", "retry-after", "idempotent-replayed", "location", "chat-epoch"]
        {
            assert!(exposed.contains(name), "{name} in {exposed}");
        }
        assert!(exposed.contains("ratelimit-limit") && exposed.contains("ratelimit-reset"));
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let preflight = board.call("OPTIONS", "/rooms/", &headers, None).await;
        assert_eq!(preflight.status, 204, "{}", preflight.text);
        assert_eq!(preflight.header("access-control-allow-origin"), origin);
        assert_eq!(preflight.header("access-control-max-age"), "600");
        let allowed = preflight.header("access-control-allow-headers").to_lowercase();
        for name in ["authorization", "content-type", "x-request-id"] {
            assert!(allowed.contains(name), "{name} in {allowed}");
        }
        assert!(preflight.header("access-control-allow-methods").contains("POST"));
    }
    // An error is readable too.
    let refused = board.call("GET", "/auth/me/", &[("origin", "https://friend.example")], None);
    let refused = refused.await;
    refused.refuses(401, "unauthenticated");
    assert_eq!(refused.header("access-control-allow-origin"), "https://friend.example");
    for origin in ["https://foe.example", "null", "https://friend.example.foe.example"] {
        let headers = [("origin", origin), ("authorization", bearer.as_str())];
        let answer = board.call("GET", "/auth/me/", &headers, None).await;
        answer.is(200);
        let named = answer.headers.keys().any(|name| name.as_str().starts_with("access-control"));
        assert!(!named, "{origin}: {:?}", answer.headers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_over_the_limit_is_told_when_to_come_back() {
    let board = Board::builder().limits_on().start().await;
    let alice = board.person("alice").await;
    let bob = board.person("bob").await;
    let first = alice.get("/auth/me/").await;
    first.is(200);
    assert_eq!(first.header("ratelimit-limit"), "100");
    assert!(first.header("ratelimit-remaining").parse::<u32>().unwrap() < 100);
    assert!(!first.header("ratelimit-reset").is_empty());
    let mut over = None;
    for _ in 0..130 {
        let answer = alice.get("/auth/me/").await;
        if answer.status != 200 {
            over = Some(answer);
            break;
        }
    }
    let over = over.expect("a limit of 100 a minute is reached");
    over.refuses(429, "rate_limited");
    assert!(over.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(over.header("ratelimit-remaining"), "0");
    bob.get("/auth/me/").await.is(200);
    // Sign-in is limited per address and e-mail.
    let body = json!({"email": "bob@chat.test", "password": "wrong password"});
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(board.post("/auth/token/", body.clone()).await.status);
    }
    assert!(statuses.starts_with(&[401; 10]) && statuses.ends_with(&[429]), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_documents_are_public() {
    let board = Board::start().await;
    assert_eq!(board.get("/health/live").await.is(200), json!({"status": "ok"}));
    let ready = board.get("/health/ready").await.is(200);
    assert_eq!(ready["status"], "ok");
    for check in ["postgres", "nats"] {
        assert_eq!(ready["checks"][check]["status"], "ok");
        assert!(ready["checks"][check]["latency_ms"].is_number());
    }
    let schema = board.get("/api/schema/").await.is(200);
    assert!(schema["openapi"].as_str().unwrap().starts_with("3.1"));
    let docs = board.get("/api/docs/").await;
    assert_eq!(docs.status, 200);
    assert!(docs.text.contains("swagger"), "{}", docs.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_served_document_is_well_formed() {
    let board = Board::start().await;
    let schema = board.get("/api/schema/").await.is(200);
    let mut ids = std::collections::HashSet::new();
    let public = [
        "/api/v1/auth/register/",
        "/api/v1/auth/registration/",
        "/api/v1/auth/verify-email/",
        "/api/v1/orgs/check-invite/",
        "/api/v1/auth/token/",
        "/api/v1/auth/token/refresh/",
        "/api/v1/auth/logout/",
        "/api/v1/auth/password/reset/",
        "/api/v1/auth/password/reset/confirm/",
        "/api/v1/notifications/unsubscribe/",
        "/.well-known/jwks.json",
    ];
    for (path, item) in schema["paths"].as_object().unwrap() {
        let is_operational = path.starts_with("/api/") || path.starts_with("/health/");
        assert!(is_operational || path.starts_with("/.well-known/"), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            if !["get", "post", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(
                !id.is_empty() && ids.insert(id.clone()),
                "{method} {path}: operationId {id:?}"
            );
            let is_public = operation["security"] == json!([]);
            if path.starts_with("/api/v1/") || path.starts_with("/.well-known/") {
                assert_eq!(is_public, public.contains(&path.as_str()), "{method} {path}");
            }
        }
    }
    assert!(schema["components"]["securitySchemes"]["bearerAuth"].is_object());
}
