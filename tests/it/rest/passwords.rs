//! Which passwords are taken, and that the same letters are the same password.

use testkit::{Board, PASSWORD, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn common_passwords_and_the_owners_names_are_refused() {
    let board = Board::builder().start().await;
    for password in [
        "password",
        "12345678",
        "aaaaaaaa",
        "zzzzzzzzzzzzz",
        "xyxyxyxyxyxy",
        "ILoveYou1",
        "Dora@chat.test",
        "DORA LONG",
        "doralong",
    ] {
        let body = json!({"email": "dora@chat.test", "password": password,
                          "first_name": "Dora", "last_name": "Long"});
        board.post("/auth/register/", body).await.blames(&["password"]);
    }
    let body = json!({"email": "dora.long@chat.test", "password": "dora.long"});
    board.post("/auth/register/", body).await.blames(&["password"]);

    let alice = board.person("alice").await;
    for password in ["PASSWORD1", "alice@chat.test"] {
        let change = json!({"current_password": PASSWORD, "new_password": password});
        alice.post("/auth/password/change/", change).await.blames(&["new_password"]);
    }
    let all = json!({"current_password": "wrong", "new_password": "password"});
    let both = ["current_password", "new_password"];
    alice.post("/auth/password/change/", all).await.blames(&both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_letters_are_the_same_password() {
    let board = Board::start().await;
    let (composed, decomposed) = ("pâté en croûte", "pa\u{302}te\u{301} en crou\u{302}te");
    for (email, set, typed) in
        [("a@chat.test", composed, decomposed), ("b@chat.test", decomposed, composed)]
    {
        board.register(email, set).await;
        board.sign_in(email, set).await;
        board.sign_in(email, typed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hash_of_what_was_typed_still_opens_and_is_renewed() {
    /// Of "Größenwahn für Ärzte", decomposed: as older versions stored it.
    const OLD: &str = "$argon2id$v=19$m=64,t=2,p=1$bZ6A2lGa1ICcYVeAAGBTkw$dXbfZEXaf2bDC8hxE5CNZNZgUDvTeDaib0JlWufh+XE";
    let board = Board::start().await;
    let alice = board.person("alice").await;
    board.sql(&format!("update users set password_hash = '{OLD}' where id = {}", alice.id)).await;
    let (composed, decomposed) =
        ("Größenwahn für Ärzte", "Gro\u{308}ßenwahn fu\u{308}r A\u{308}rzte");
    let with = |password: &str| json!({"email": alice.email, "password": password});
    board.post("/auth/token/", with(composed)).await.refuses(401, "invalid_credentials");
    board.sign_in(&alice.email, decomposed).await;
    board.sign_in(&alice.email, composed).await;
    board.sign_in(&alice.email, decomposed).await;
}
