//! Accounts: register, sign in, who I am, passwords, sessions.

use testkit::{Board, PASSWORD, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_makes_an_account_that_can_sign_in() {
    let board = Board::start().await;
    let body = json!({"email": "  Ada@Chat.TEST ", "password": "a good password",
        "first_name": "Ada", "last_name": "Lovelace", "avatar_url": "https://x.example/ada.png"});
    let user = board.post("/auth/register/", body).await.is(201);
    assert_eq!(user["email"], "Ada@chat.test", "as typed, with its domain in lower case");
    assert_eq!(user["email_notifications"], "all");
    assert!(user["last_login"].is_null());
    let tokens = board.sign_in("aDA@chat.test", "a good password").await;
    let email = user["email"].as_str().unwrap();
    let access = tokens["access"].as_str().unwrap();
    let ada = board.person_with(user["id"].as_i64().unwrap(), email, access);
    let me = ada.get("/auth/me/").await.is(200);
    assert_eq!((&me["id"], &me["first_name"]), (&user["id"], &json!("Ada")));
    assert!(me["last_login"].is_string());
    let fields: Vec<_> = me.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec![
        "id",
        "email",
        "email_verified",
        "first_name",
        "last_name",
        "avatar_url",
        "email_notifications",
        "created_at",
        "last_login",
    ];
    expected.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, expected);
    let again = json!({"email": "ADA@chat.test", "password": "another password"});
    board.post("/auth/register/", again).await.refuses(409, "email_taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_and_passwords_have_their_limits() {
    let board = Board::start().await;
    let try_email = |email: String| {
        let board = &board;
        async move {
            let body = json!({"email": email, "password": "a good password"});
            board.post("/auth/register/", body).await
        }
    };
    let long = format!("{}@chat.test", "x".repeat(250));
    for bad in ["", "x", "@chat.test", "x@", "a b@chat.test", "jörg@chat.test", &long] {
        try_email(bad.to_owned()).await.blames(&["email"]);
    }
    let idn = try_email("joerg@Bücher.example".to_owned()).await.is(201);
    assert_eq!(idn["email"], "joerg@xn--bcher-kva.example");
    let try_password = |email: &str, password: String| {
        let (board, email) = (&board, email.to_owned());
        async move {
            let body = json!({"email": email, "password": password});
            board.post("/auth/register/", body).await
        }
    };
    try_password("a@chat.test", "1234567".to_owned()).await.blames(&["password"]);
    try_password("a@chat.test", "x".repeat(129)).await.blames(&["password"]);
    try_password("a@chat.test", "äöü ".repeat(32)).await.is(201);
    try_password("b@chat.test", "ab 45678".to_owned()).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_who_register_an_address_at_once_gets_it() {
    let board = Board::start().await;
    let body = json!({"email": "ada@chat.test", "password": "a good password"});
    let all = futures(8, |_| board.post("/auth/register/", body.clone())).await;
    let made = all.iter().filter(|answer| answer.status == 201).count();
    let taken = all.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made, taken), (1, 7));
}

/// Does the same so many times at once.
pub(crate) async fn futures<F: Future>(count: usize, make: impl Fn(usize) -> F) -> Vec<F::Output> {
    futures_util::future::join_all((0..count).map(make)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_credentials_say_nothing_about_which_was_bad() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let wrong = json!({"email": alice.email, "password": "wrong password"});
    let wrong = board.post("/auth/token/", wrong).await;
    let unknown = json!({"email": "nobody@chat.test", "password": "wrong password"});
    let unknown = board.post("/auth/token/", unknown).await;
    let (wrong_body, unknown_body) =
        (wrong.refuses(401, "invalid_credentials"), unknown.refuses(401, "invalid_credentials"));
    assert_eq!(wrong_body["detail"], unknown_body["detail"]);
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    board.sign_in(&alice.email, PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_the_password_ends_every_other_login() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let phone = alice.on_another_device(&board).await;
    let wrong = json!({"current_password": "wrong one", "new_password": "a new password"});
    alice.post("/auth/password/change/", wrong).await.blames(&["current_password"]);
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    alice.post("/auth/password/change/", short).await.blames(&["new_password"]);
    phone.get("/auth/me/").await.is(200);
    let right = json!({"current_password": PASSWORD, "new_password": "a new password"});
    alice.post("/auth/password/change/", right).await.is(204);
    alice.get("/auth/me/").await.is(200);
    phone.get("/auth/me/").await.refuses(401, "unauthenticated");
    let old = json!({"email": alice.email, "password": PASSWORD});
    board.post("/auth/token/", old).await.refuses(401, "invalid_credentials");
    board.sign_in(&alice.email, "a new password").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_login_loses_its_sockets_on_every_edge_within_two_seconds() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let phone = alice.on_another_device(&board).await;
    let mut sockets = [phone.opens(0, room).await, phone.opens_many(1).await];
    let mut stays = alice.opens(1, room).await;
    let began = std::time::Instant::now();
    alice.delete(&format!("/auth/sessions/{}/", phone.login)).await.is(204);
    for socket in &mut sockets {
        assert_eq!(socket.closes().await.code, 4001);
    }
    assert!(began.elapsed().as_secs_f64() < 2.5, "{:?}", began.elapsed());
    assert_eq!(phone.opening(0, "/ws/").is_closed().await.code, 4001);
    stays.catches_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_shown_to_whoever_shares_or_shared_an_organization() {
    let board = Board::start().await;
    let team = board.team().await;
    let bob = format!("/users/{}/", team.bob.id);
    let shown = team.alice.get(&bob).await.is(200);
    assert_eq!(shown["email"], json!(team.bob.email));
    let mut fields: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["avatar_url", "email", "first_name", "id", "last_name"]);
    team.mallory.get(&bob).await.refuses(404, "not_found");
    team.mallory.get(&format!("/users/{}/", team.mallory.id)).await.is(200);
    let gone = format!("/orgs/{}/members/{}/", team.org, team.bob.id);
    team.bob.delete(&gone).await.is(204);
    team.alice.get(&bob).await.is(200);
    team.bob.get(&format!("/users/{}/", team.alice.id)).await.is(200);
}
