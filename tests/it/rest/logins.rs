//! Logins: how they are renewed, and how ending one reaches every socket and token of it.

use std::time::Duration;

use testkit::{Board, Person, Value, json};

const PASSWORD: &str = "a good password";

/// Registers and signs in over REST; the person, and their refresh token.
async fn joins(board: &Board, email: &str) -> (Person, String) {
    let user = board.register(email, PASSWORD).await;
    signs_in(board, email, user["id"].as_i64().unwrap()).await
}

async fn signs_in(board: &Board, email: &str, id: i64) -> (Person, String) {
    let tokens = board.sign_in(email, PASSWORD).await;
    let person = board.person_with(id, email, tokens["access"].as_str().unwrap());
    (person, tokens["refresh"].as_str().unwrap().to_owned())
}

async fn refreshes(board: &Board, token: &str) -> testkit::Reply {
    board.post("/auth/token/refresh/", json!({"refresh": token})).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test]
async fn an_address_is_taken_whatever_its_case_and_its_domain_may_be_idn() {
    let board = Board::start().await;
    board.register("ada@chat.test", PASSWORD).await;
    for email in ["ada@chat.test", "ADA@CHAT.test", " Ada@chat.TEST "] {
        let body = json!({"email": email, "password": PASSWORD});
        board.post("/auth/register/", body).await.refuses(409, "email_taken");
    }
    let user = board.register("Jörg@bücher.test".replace('ö', "o").as_str(), PASSWORD).await;
    assert_eq!(user["email"], "Jorg@xn--bcher-kva.test");
    board.sign_in("jorg@BÜCHER.test", PASSWORD).await;
    board.sign_in("JORG@xn--bcher-kva.test", PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_gives_the_same_successor_however_often_and_parallel() {
    let board = Board::start().await;
    let (ada, first) = joins(&board, "ada@chat.test").await;
    let second = refreshes(&board, &first).await.is(200)["refresh"].clone();
    assert_ne!(second, json!(first));
    let board = std::sync::Arc::new(board);
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let (board, first) = (board.clone(), first.clone());
            testkit::spawn(async move { refreshes(&board, &first).await.is(200) })
        })
        .collect();
    for answer in asking {
        let answer = answer.await.unwrap();
        assert_eq!(answer["refresh"], second);
        ada.with_token(text(&answer["access"])).get("/auth/me/").await.is(200);
    }
    let third = refreshes(&board, text(&second)).await.is(200)["refresh"].clone();
    assert_ne!(third, second);
    for token in ["", "nonsense", &"x".repeat(1000)] {
        refreshes(&board, token).await.refuses(401, "unauthenticated");
    }
    board.post("/auth/token/refresh/", json!({"refresh": 1})).await.blames(&["refresh"]);
    // None of that has harmed the login.
    refreshes(&board, text(&third)).await.is(200);
}

#[tokio::test]
async fn a_refresh_token_presented_after_its_successor_revokes_the_login_everywhere() {
    let board = Board::start().await;
    let (ada, first) = joins(&board, "ada@chat.test").await;
    let (elsewhere, _) = signs_in(&board, "ada@chat.test", ada.id).await;
    let second = refreshes(&board, &first).await.is(200)["refresh"].clone();
    let third = refreshes(&board, text(&second)).await.is(200);
    let mut sockets = [ada.opens_many(0).await, ada.opens_many(1).await];
    let mut other = elsewhere.opens_many(1).await;

    refreshes(&board, &first).await.refuses(401, "refresh_reused");
    for socket in &mut sockets {
        let closed = tokio::time::timeout(Duration::from_secs(2), socket.closes()).await;
        assert_eq!(closed.expect("within two seconds").code, 4001);
    }
    ada.get("/auth/me/").await.refuses(401, "unauthenticated");
    ada.with_token(text(&third["access"])).get("/auth/me/").await.refuses(401, "unauthenticated");
    for token in [&first, text(&second), text(&third["refresh"])] {
        assert_eq!(refreshes(&board, token).await.status, 401);
    }
    assert_eq!(ada.opening(1, "/ws/").is_closed().await.code, 4001);
    elsewhere.get("/auth/me/").await.is(200);
    other.catches_up().await;
}

#[tokio::test]
async fn logging_out_ends_that_login_alone() {
    let board = Board::start().await;
    let (ada, refresh) = joins(&board, "ada@chat.test").await;
    let (elsewhere, other) = signs_in(&board, "ada@chat.test", ada.id).await;
    let mut socket = ada.opens_many(1).await;
    for token in [refresh.as_str(), refresh.as_str(), "", "any string"] {
        let reply = board.post("/auth/logout/", json!({"refresh": token})).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    }
    assert_eq!(socket.closes().await.code, 4001);
    ada.get("/auth/me/").await.refuses(401, "unauthenticated");
    refreshes(&board, &refresh).await.refuses(401, "unauthenticated");
    elsewhere.get("/auth/me/").await.is(200);
    refreshes(&board, &other).await.is(200);
}

#[tokio::test]
async fn a_changed_password_ends_sockets_and_refresh_tokens_of_other_logins() {
    let board = Board::start().await;
    let (ada, refresh) = joins(&board, "ada@chat.test").await;
    let (phone, of_phone) = signs_in(&board, "ada@chat.test", ada.id).await;
    let mut socket = phone.opens_many(1).await;
    let path = "/auth/password/change/";
    let change =
        |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    ada.post(path, change("a wrong one", "another password")).await.blames(&["current_password"]);
    ada.post(path, change(PASSWORD, "short")).await.blames(&["new_password"]);
    ada.post(path, json!({})).await.blames(&["current_password", "new_password"]);
    phone.get("/auth/me/").await.is(200);

    ada.post(path, change(PASSWORD, "another password")).await.is(204);
    assert_eq!(socket.closes().await.code, 4001);
    phone.get("/auth/me/").await.refuses(401, "unauthenticated");
    refreshes(&board, &of_phone).await.refuses(401, "unauthenticated");
    ada.get("/auth/me/").await.is(200);
    refreshes(&board, &refresh).await.is(200);
    let old = json!({"email": "ada@chat.test", "password": PASSWORD});
    board.post("/auth/token/", old).await.refuses(401, "invalid_credentials");
    board.sign_in("ada@chat.test", "another password").await;
}

#[tokio::test]
async fn an_ended_session_takes_its_sockets_and_refresh_token_along() {
    let board = Board::start().await;
    let (ada, _) = joins(&board, "ada@chat.test").await;
    let (phone, refresh) = signs_in(&board, "ada@chat.test", ada.id).await;
    let (eve, _) = joins(&board, "eve@chat.test").await;
    let sessions = ada.get("/auth/sessions/").await.results();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
    for field in ["user_agent", "created_at", "last_seen"] {
        assert!(sessions[0][field].is_string(), "{}", sessions[0]);
    }
    let of_phone = phone.get("/auth/sessions/").await.results();
    let current = of_phone.iter().find(|session| session["current"] == true).unwrap();
    let path = format!("/auth/sessions/{}/", current["sid"]);
    eve.delete(&path).await.refuses(404, "not_found");
    let mut socket = phone.opens_many(0).await;
    ada.delete(&path).await.is(204);
    assert_eq!(socket.closes().await.code, 4001);
    phone.get("/auth/me/").await.refuses(401, "unauthenticated");
    refreshes(&board, &refresh).await.refuses(401, "unauthenticated");
    assert_eq!(ada.get("/auth/sessions/").await.results().len(), 1);
    ada.get("/auth/me/").await.is(200);
}
