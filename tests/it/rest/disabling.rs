//! `chatboard admin user`: an operator disables an account, and enables it again.

use std::process::{Command, Output};
use std::time::Duration;

use testkit::{Board, binary, json};

const PASSWORD: &str = "a good password";

/// Runs the command with the board's database, and its NATS or one that nobody runs.
fn admin(board: &Board, has_nats: bool, arguments: &[&str]) -> Output {
    let nats = if has_nats { board.nats_url().to_owned() } else { "nats://127.0.0.1:1".to_owned() };
    Command::new(binary())
        .args(["admin", "user"])
        .args(arguments)
        .env("CHATBOARD_DATABASE_URL", board.database_url())
        .env("CHATBOARD_NATS_URL", nats)
        .env("CHATBOARD_NATS_PREFIX", board.prefix())
        .output()
        .unwrap()
}

fn says(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_is_out_at_once_and_comes_back_when_enabled() {
    let board = Board::start().await;
    let team = board.team().await;
    let user = board.register("dave@chat.test", PASSWORD).await;
    let tokens = board.sign_in("dave@chat.test", PASSWORD).await;
    let (id, access) = (user["id"].as_i64().unwrap(), tokens["access"].as_str().unwrap());
    let dave = board.person_with(id, "dave@chat.test", access);
    board.put_into_org(team.org, &dave, "ADMIN").await;
    dave.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    dave.posts(team.room, "still here").await;
    let invite = json!({"email": "friend@chat.test"});
    let invited = dave.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    let mut socket = dave.opens_many(1).await;

    let shown = says(&admin(&board, true, &["show", "DAVE@chat.test"]));
    assert!(shown.contains("dave@chat.test (not verified)"), "{shown}");
    assert!(shown.contains("enabled") && shown.contains("open logins   1"), "{shown}");
    let said = says(&admin(&board, true, &["disable", "Dave@chat.test"]));
    assert!(said.contains("disabled dave@chat.test"), "{said}");
    assert!(said.contains("1 logins revoked, 1 open invites withdrawn"), "{said}");
    assert!(!said.contains("note"), "{said}");

    let closed = tokio::time::timeout(Duration::from_secs(2), socket.closes()).await;
    assert_eq!(closed.expect("within two seconds").code, 4001);
    dave.get("/auth/me/").await.refuses(401, "unauthenticated");
    let refresh = json!({"refresh": tokens["refresh"]});
    board.post("/auth/token/refresh/", refresh).await.refuses(401, "unauthenticated");
    let sign_in = json!({"email": "dave@chat.test", "password": PASSWORD});
    board.post("/auth/token/", sign_in.clone()).await.refuses(401, "invalid_credentials");
    board.post("/auth/password/reset/", json!({"email": "dave@chat.test"})).await.is(202);
    assert_eq!(board.count("select count(*) from mails where kind = 'password_reset'").await, 0);
    let open = team.alice.get(&format!("/orgs/{}/invites/", team.org)).await.results();
    assert!(open.iter().all(|one| one["id"] != invited["id"]));
    let history = team.alice.history(team.room).await;
    assert!(history.iter().any(|message| message["body"] == "still here"));
    // A disabled ADMIN keeps nobody's organization going.
    let path = format!("/orgs/{}/members/{}/", team.org, team.alice.id);
    team.alice.delete(&path).await.refuses(409, "last_admin");

    let again = says(&admin(&board, true, &["disable", "dave@chat.test"]));
    assert!(again.contains("was disabled already, since"), "{again}");
    let said = says(&admin(&board, true, &["enable", &id.to_string()]));
    assert!(said.contains("enabled dave@chat.test"), "{said}");
    let said = says(&admin(&board, true, &["enable", "dave@chat.test"]));
    assert!(said.contains("was not disabled"), "{said}");
    board.post("/auth/token/", sign_in).await.is(200);
    dave.get("/auth/me/").await.refuses(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_nodes_find_the_revoked_logins_in_the_database() {
    let board = Board::start().await;
    let dave = board.person("dave").await;
    let mut socket = dave.opens_many(1).await;
    let said = says(&admin(&board, false, &["disable", &dave.email]));
    assert!(said.contains("NATS was not told"), "{said}");
    let closed = tokio::time::timeout(testkit::DEADLINE, socket.closes()).await;
    assert_eq!(closed.expect("the socket closes").code, 4001);
    dave.get("/auth/me/").await.refuses(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_account_is_an_error() {
    let board = Board::start().await;
    for command in ["show", "disable", "enable"] {
        let output = admin(&board, true, &[command, "nobody@chat.test"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("there is no account with the address or id nobody@chat.test"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_vouches_for_an_address() {
    let board = Board::builder().verification_required().start().await;
    let user = board.register("dave@chat.test", PASSWORD).await;
    let tokens = board.sign_in("dave@chat.test", PASSWORD).await;
    let (id, access) = (user["id"].as_i64().unwrap(), tokens["access"].as_str().unwrap());
    let dave = board.person_with(id, "dave@chat.test", access);
    dave.post("/orgs/", json!({"name": "His"})).await.refuses(403, "email_unverified");
    let said = says(&admin(&board, true, &["verify", "DAVE@chat.test"]));
    assert!(said.contains("counts as verified"), "{said}");
    assert!(says(&admin(&board, true, &["verify", "dave@chat.test"])).contains("already"));
    dave.makes_org("His").await;
    // The link that waited to be mailed is gone with its token.
    assert_eq!(board.count("select count(*) from mails where status = 'due'").await, 0);
}
