//! Tokens: what is taken, what is refused, and how they are renewed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use testkit::{Board, PASSWORD, Person, Value, json};

async fn refresh(board: &Board, token: &Value) -> testkit::Reply {
    board.post("/auth/token/refresh/", json!({"refresh": token})).await
}

fn with_access(board: &Board, tokens: &Value) -> Person {
    board.person_with(1, "alice@chat.test", tokens["access"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_refresh_logs_nobody_out() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let first = board.sign_in(&alice.email, PASSWORD).await;
    let answers = super::auth::futures(6, |_| refresh(&board, &first["refresh"])).await;
    let successors: Vec<_> =
        answers.iter().map(|answer| answer.is(200)["refresh"].clone()).collect();
    assert!(successors.iter().all(|successor| *successor == successors[0]), "{successors:?}");
    assert_ne!(successors[0], first["refresh"]);
    // Again later, the same successor, with a fresh access token.
    let again = refresh(&board, &first["refresh"]).await.is(200);
    assert_eq!(again["refresh"], successors[0]);
    with_access(&board, &again).get("/auth/me/").await.is(200);
    // Its successor is presented: from now on the old one is a stolen one.
    let third = refresh(&board, &successors[0]).await.is(200);
    refresh(&board, &first["refresh"]).await.refuses(401, "refresh_reused");
    with_access(&board, &third).get("/auth/me/").await.refuses(401, "unauthenticated");
    refresh(&board, &third["refresh"]).await.refuses(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_slide_for_seven_days() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let mut tokens = board.sign_in(&alice.email, PASSWORD).await;
    for _ in 0..3 {
        board.clock.advance(Duration::from_secs(6 * 24 * 3600));
        tokens = refresh(&board, &tokens["refresh"]).await.is(200);
    }
    board.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    refresh(&board, &tokens["refresh"]).await.refuses(401, "unauthenticated");
    for bad in [json!("nonsense"), json!("")] {
        refresh(&board, &bad).await.refuses(401, "unauthenticated");
    }
    refresh(&board, &json!(5)).await.blames(&["refresh"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_revokes_that_login_and_answers_any_string() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let tokens = board.sign_in(&alice.email, PASSWORD).await;
    for any in [json!("nonsense"), json!(""), tokens["refresh"].clone(), tokens["refresh"].clone()]
    {
        board.post("/auth/logout/", json!({"refresh": any})).await.is(204);
    }
    with_access(&board, &tokens).get("/auth/me/").await.refuses(401, "unauthenticated");
    refresh(&board, &tokens["refresh"]).await.refuses(401, "unauthenticated");
    alice.get("/auth/me/").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_token_lives_fifteen_minutes() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let tokens = board.sign_in(&alice.email, PASSWORD).await;
    let signed_in = with_access(&board, &tokens);
    let claims = tokens["access"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 15 * 60);
    assert_eq!(claims["token_type"], "access");
    assert_eq!(
        (&claims["user_id"], &claims["sub"]),
        (&json!(alice.id), &json!(alice.id.to_string()))
    );
    assert!(claims["sid"].is_number() && claims["jti"].is_string());
    board.clock.advance(Duration::from_secs(14 * 60));
    signed_in.get("/auth/me/").await.is(200);
    board.clock.advance(Duration::from_secs(61));
    signed_in.get("/auth/me/").await.refuses(401, "token_expired");
}

/// A token with another header or other claims, and the signature that it had.
fn forge(token: &str, change: impl Fn(&mut Value, &mut Value)) -> String {
    let mut parts = token.split('.');
    let mut part = || -> Value {
        serde_json::from_slice(&BASE64.decode(parts.next().unwrap()).unwrap()).unwrap()
    };
    let (mut header, mut claims) = (part(), part());
    let signature = parts.next().unwrap();
    change(&mut header, &mut claims);
    let encode = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}.{signature}", encode(&header), encode(&claims))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_not_ours_are_refused_everywhere() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let stranger = testkit::foreign_keys();
    let good = alice.token.as_str();
    let mut bad = vec![
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        good[..good.len() - 4].to_owned(),
        forge(good, |header, _| header["alg"] = json!("none")),
        forge(good, |header, _| header["alg"] = json!("HS256")),
        forge(good, |header, _| header["kid"] = json!("another")),
        forge(good, |header, _| drop(header.as_object_mut().unwrap().remove("kid"))),
        forge(good, |_, claims| claims["user_id"] = json!(bob.id)),
        forge(good, |_, claims| claims["exp"] = json!(9_999_999_999_i64)),
        alice.mint_with(&stranger, Duration::from_secs(60)),
    ];
    let no_signature = forge(good, |header, _| header["alg"] = json!("none"));
    bad.push(format!("{}.", no_signature.rsplit_once('.').unwrap().0));
    for token in &bad {
        let answer = alice.with_token(token).get("/auth/me/").await;
        answer.refuses(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let closed = alice.with_token(token).opening(0, &format!("/ws/rooms/{room}/"));
        assert_eq!(closed.is_closed().await.code, 4001, "{token}");
    }
    for header in [alice.token.clone(), format!("Basic {good}"), format!("Token {good}")] {
        let answer = board.call("GET", "/auth/me/", &[("authorization", &header)], None).await;
        answer.refuses(401, "unauthenticated");
    }
    let any_case = [("authorization", &*format!("bearer {good}"))];
    board.call("GET", "/auth/me/", &any_case, None).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_keys_verify_what_is_signed() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let tokens = board.sign_in(&alice.email, PASSWORD).await;
    let keys = board.get("/.well-known/jwks.json").await.is(200);
    let header = tokens["access"].as_str().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("the signing key");
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(key.get("d").is_none(), "the private half");
}
