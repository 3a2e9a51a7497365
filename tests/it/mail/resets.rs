//! A forgotten password.

use std::time::Duration;

use testkit::{Board, Reply, json};

use super::{board, token};

const PASSWORD: &str = "a good password";
const REQUEST: &str = "/auth/password/reset/";
const CONFIRM: &str = "/auth/password/reset/confirm/";

async fn asks(board: &Board, email: &str) -> Reply {
    board.post(REQUEST, json!({"email": email})).await
}

async fn confirms(board: &Board, token: &str, password: &str) -> Reply {
    board.post(CONFIRM, json!({"token": token, "new_password": password})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_set_anew_and_every_login_ends() {
    let board = board().await;
    let user = board.register("ada@chat.test", PASSWORD).await;
    let tokens = board.sign_in("ada@chat.test", PASSWORD).await;
    let (id, access) = (user["id"].as_i64().unwrap(), tokens["access"].as_str().unwrap());
    let ada = board.person_with(id, "ada@chat.test", access);
    let mut socket = ada.opens_many(1).await;

    asks(&board, "ADA@chat.test").await.is(202);
    let first = token(&board.mailbox().mail_to("ada@chat.test").await, "reset");
    asks(&board, "ada@chat.test").await.is(202);
    let second = token(&board.mailbox().mail_to("ada@chat.test").await, "reset");
    assert_ne!(first, second);

    confirms(&board, &second, "short").await.blames(&["new_password"]);
    board.post(CONFIRM, json!({})).await.blames(&["new_password", "token"]);
    confirms(&board, "nonsense", "short").await.blames(&["new_password", "token"]);
    ada.get("/auth/me/").await.is(200);

    confirms(&board, &second, "another password").await.is(204);
    let closed = tokio::time::timeout(Duration::from_secs(2), socket.closes()).await;
    assert_eq!(closed.expect("within two seconds").code, 4001);
    ada.get("/auth/me/").await.refuses(401, "unauthenticated");
    let refresh = json!({"refresh": tokens["refresh"]});
    board.post("/auth/token/refresh/", refresh).await.refuses(401, "unauthenticated");
    for used in [&second, &first] {
        confirms(&board, used, "a third password").await.blames(&["token"]);
    }
    let old = json!({"email": "ada@chat.test", "password": PASSWORD});
    board.post("/auth/token/", old).await.refuses(401, "invalid_credentials");
    board.sign_in("ada@chat.test", "another password").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_who_has_an_account() {
    let board = board().await;
    let ada = board.person("ada").await;
    let known = asks(&board, &ada.email).await;
    for unknown in ["nobody@chat.test", "no address", ""] {
        let answer = asks(&board, unknown).await;
        assert_eq!((answer.status, &answer.text), (202, &known.text), "{unknown}");
        let names =
            |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&known));
    }
    board.post(REQUEST, json!({})).await.blames(&["email"]);
    board.mailbox().mail_to(&ada.email).await;
    assert_eq!(board.count("select count(*) from mails").await, 1);
    assert!(board.mailbox().mails_to("nobody@chat.test").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_works_for_an_hour_and_for_one_of_many() {
    let board = board().await;
    let ada = board.person("ada").await;
    asks(&board, &ada.email).await.is(202);
    let late = token(&board.mailbox().mail_to(&ada.email).await, "reset");
    board.clock.advance(Duration::from_secs(3_601));
    confirms(&board, &late, "another password").await.blames(&["token"]);

    asks(&board, &ada.email).await.is(202);
    let token = token(&board.mailbox().mail_to(&ada.email).await, "reset");
    let answers = futures_util::future::join_all(
        (0..5).map(|number| confirms_owned(&board, &token, format!("password {number}"))),
    )
    .await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422, 422, 422, 422]);
}

async fn confirms_owned(board: &Board, token: &str, password: String) -> Reply {
    confirms(board, token, &password).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_is_limited_as_signing_in_is() {
    let board = Board::builder().limits_on().start().await;
    let ada = board.person("ada").await;
    for email in [ada.email.as_str(), "nobody@chat.test"] {
        for _ in 0..10 {
            asks(&board, email).await.is(202);
        }
        let answer = asks(&board, email).await;
        answer.refuses(429, "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_links_die_with_a_password_change_and_prove_the_address() {
    let board = board().await;
    let ada = super::registers(&board, "ada@chat.test", None).await;
    asks(&board, &ada.email).await.is(202);
    let mailed = token(&board.mailbox().mail_to(&ada.email).await, "reset");
    // One that still waits to be mailed dies too, with its token.
    board.mailbox().goes_away().await;
    asks(&board, &ada.email).await.is(202);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    ada.post("/auth/password/change/", change).await.is(204);
    confirms(&board, &mailed, "the thief's password").await.blames(&["token"]);
    assert_eq!(board.count("select count(*) from mails where secret is not null").await, 0);
    board.mailbox().comes_back().await;
    board.sign_in(&ada.email, "another password").await;

    assert_eq!(ada.get("/auth/me/").await.is(200)["email_verified"], false);
    asks(&board, &ada.email).await.is(202);
    let mailed = token(&board.mailbox().mail_to(&ada.email).await, "reset");
    confirms(&board, &mailed, "a third password").await.is(204);
    let access = board.sign_in(&ada.email, "a third password").await["access"].clone();
    let ada = ada.with_token(access.as_str().unwrap());
    assert_eq!(ada.get("/auth/me/").await.is(200)["email_verified"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_links_are_open_at_once_and_further_requests_mail_nothing() {
    let board = board().await;
    let ada = board.person("ada").await;
    for _ in 0..7 {
        asks(&board, &ada.email).await.is(202);
    }
    assert_eq!(board.count("select count(*) from mails").await, 5);
    let newest = {
        let mut mail = board.mailbox().mail_to(&ada.email).await;
        for _ in 1..5 {
            mail = board.mailbox().mail_to(&ada.email).await;
        }
        token(&mail, "reset")
    };
    // Using one ends all, and makes room.
    confirms(&board, &newest, "another password").await.is(204);
    asks(&board, &ada.email).await.is(202);
    assert_eq!(board.count("select count(*) from mails").await, 6);
}
