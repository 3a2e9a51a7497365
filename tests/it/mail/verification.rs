//! Addresses are proven by mail.

use std::process::Command;
use std::time::Duration;

use testkit::{Board, Person, Process, binary, json};

use super::{DELAY, PASSWORD, mailed_token, registers, token};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const VERIFY: &str = "/auth/verify-email/";

async fn strict_board() -> Board {
    Board::builder().mails_after(DELAY).verification_required().start().await
}

async fn is_verified(who: &Person) -> bool {
    who.get("/auth/me/").await.is(200)["email_verified"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_acts_once_its_link_was_opened() {
    let board = strict_board().await;
    let ada = registers(&board, "ada@chat.test", None).await;
    assert!(!is_verified(&ada).await);
    ada.post("/orgs/", json!({"name": "Acme"})).await.refuses(403, "email_unverified");
    let mail = board.mailbox().mail_to(&ada.email).await;
    assert_eq!(mail.subject, "Verify your e-mail address for ChatBoard");
    let link = token(&mail, "verify-email");
    board.post(VERIFY, json!({})).await.blames(&["token"]);
    board.post(VERIFY, json!({"token": "unknown"})).await.blames(&["token"]);
    board.post(VERIFY, json!({"token": link})).await.is(204);
    board.post(VERIFY, json!({"token": link})).await.blames(&["token"]);
    assert!(is_verified(&ada).await);
    ada.makes_org("Acme").await;
    // There is nothing left to mail.
    ada.post_empty("/auth/verify-email/resend/").await.is(202);
    assert_eq!(board.count("select count(*) from mails").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_mailed_again_at_most_five_a_day_and_expire() {
    let board = strict_board().await;
    let ada = registers(&board, "ada@chat.test", None).await;
    let first = token(&board.mailbox().mail_to(&ada.email).await, "verify-email");
    for _ in 0..4 {
        ada.post_empty("/auth/verify-email/resend/").await.is(202);
    }
    let limited = ada.post_empty("/auth/verify-email/resend/").await;
    limited.refuses(429, "rate_limited");
    assert!(limited.headers.contains_key("retry-after"));
    board.clock.advance(WEEK + Duration::from_secs(1));
    board.post(VERIFY, json!({"token": first})).await.blames(&["token"]);
    let ada = ada.with_token(board.sign_in(&ada.email, PASSWORD).await["access"].as_str().unwrap());
    ada.post_empty("/auth/verify-email/resend/").await.is(202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answered_invite_token_admits_nobody_to_a_foreign_address() {
    let board = strict_board().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    let made = team.carol.post(&path, json!({"email": "ceo@corp.test"})).await.is(201);
    let answered = made["token"].as_str().unwrap();
    let mailed = token(&board.mailbox().mail_to("ceo@corp.test").await, "invite");

    // A MANAGER takes the address of somebody else.
    let impostor = registers(&board, "ceo@corp.test", Some(answered)).await;
    let accept = "/orgs/accept-invite/";
    let body = json!({"token": answered});
    impostor.post(accept, body.clone()).await.refuses(403, "email_unverified");
    team.mallory.post(accept, body).await.refuses(403, "invite_email_mismatch");
    let found = team.alice.get(&format!("/orgs/{}/members/?search=ceo", team.org)).await;
    assert!(found.results().is_empty());

    // The owner of the address comes by the mail, and the impostor's account gives way.
    let owner = registers(&board, "CEO@corp.test", Some(&mailed)).await;
    assert!(is_verified(&owner).await);
    assert_ne!(owner.id, impostor.id);
    owner.post(accept, json!({"token": mailed})).await.is(200);
    impostor.get("/auth/me/").await.refuses(401, "unauthenticated");
    let members =
        team.alice.get(&format!("/orgs/{}/members/?search=ceo", team.org)).await.results();
    assert_eq!(members[0]["user"], owner.id);
    assert_eq!(members[0]["user_email_verified"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_verification_a_foreign_address_is_marked_and_its_owner_takes_it_back() {
    let board = super::board().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    let made = team.carol.post(&path, json!({"email": "ceo@corp.test"})).await.is(201);
    let impostor = registers(&board, "ceo@corp.test", made["token"].as_str()).await;
    impostor.post("/orgs/accept-invite/", json!({"token": made["token"]})).await.is(200);
    let search = format!("/orgs/{}/members/?search=ceo", team.org);
    assert_eq!(team.alice.get(&search).await.results()[0]["user_email_verified"], false);

    let reset = json!({"email": "ceo@corp.test"});
    board.post("/auth/password/reset/", reset).await.is(202);
    let reset = mailed_token(&board, "ceo@corp.test", "reset").await;
    let body = json!({"token": reset, "new_password": "the owner's own"});
    board.post("/auth/password/reset/confirm/", body).await.is(204);
    impostor.get("/auth/me/").await.refuses(401, "unauthenticated");
    assert_eq!(team.alice.get(&search).await.results()[0]["user_email_verified"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mailed_token_proves_the_address_of_an_account_that_was_there() {
    let board = strict_board().await;
    let team = board.team().await;
    let erin = registers(&board, "erin@chat.test", None).await;
    board.mailbox().mail_to(&erin.email).await;
    let path = format!("/orgs/{}/invite/", team.org);
    team.alice.post(&path, json!({"email": erin.email})).await.is(201);
    // The account is not found by an address that it has not proven.
    board.settle().await;
    assert!(erin.get("/notifications/").await.results().is_empty());
    let mailed = token(&board.mailbox().mail_to(&erin.email).await, "invite");
    erin.post("/orgs/accept-invite/", json!({"token": mailed})).await.is(200);
    assert!(is_verified(&erin).await);
    erin.makes_org("Hers").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_never_proves_its_address_gives_it_back_after_a_week() {
    let board =
        Board::builder().mails_after(DELAY).verification_required().janitors(1).start().await;
    let squatter = registers(&board, "ceo@corp.test", None).await;
    let again = json!({"email": "CEO@corp.test", "password": PASSWORD});
    board.post("/auth/register/", again.clone()).await.refuses(409, "email_taken");
    board.clock.advance(WEEK + Duration::from_secs(1));
    testkit::eventually("the account is gone", testkit::DEADLINE, || async {
        let sql = "select count(*) from users where email = 'ceo@corp.test'";
        (board.count(sql).await == 0).then_some(())
    })
    .await;
    let owner = board.post("/auth/register/", again).await.is(201);
    assert_ne!(owner["id"], squatter.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_before_are_asked_too_once_verification_is_required() {
    let board = super::board().await;
    let team = board.team().await;
    // Bob registered when addresses were believed; everyone before that counts as verified.
    let unverified = "update users set email_verified = false, last_name = 'Builder' \
                      where first_name = 'Bob'";
    board.sql(unverified).await;
    let mention = format!("@{}", team.bob.email);
    assert_eq!(mentioned(&board, &team, &mention).await, 1);
    let search = format!("/orgs/{}/members/?search={}", team.org, team.bob.email);
    assert_eq!(team.alice.get(&search).await.results().len(), 1);
    let of_room = format!("/rooms/{}/members/?search={}", team.room, team.bob.email);
    assert_eq!(team.alice.get(&of_room).await.results().len(), 1);

    let mut node = api_node(&board, "required");
    node.ready(board.http()).await;
    testkit::eventually("Bob must verify", testkit::DEADLINE, || async {
        team.alice.get(&search).await.results().is_empty().then_some(())
    })
    .await;
    assert_eq!(mentioned(&board, &team, &mention).await, 0);
    assert_eq!(mentioned(&board, &team, "@Bob.Builder").await, 1, "by name they are found");
    assert!(team.alice.get(&of_room).await.results().is_empty());
    team.bob.post("/orgs/", json!({"name": "His"})).await.refuses(403, "email_unverified");
    // What others write is not mailed to an address that may be somebody else's.
    let before = board.mailbox().mails_to(&team.bob.email).await.len();
    mentioned(&board, &team, "@Bob.Builder again").await;
    board.settle().await;
    let sql = "select count(*) from notification_decisions where reason = 'preference'";
    testkit::eventually("it is decided not to", testkit::DEADLINE, || async {
        (board.count(sql).await > 0).then_some(())
    })
    .await;
    assert_eq!(board.mailbox().mails_to(&team.bob.email).await.len(), before);
    team.bob.post_empty("/auth/verify-email/resend/").await.is(202);
    let link = mailed_token(&board, &team.bob.email, "verify-email").await;
    board.post(VERIFY, json!({"token": link})).await.is(204);
    assert_eq!(mentioned(&board, &team, &mention).await, 1);
    team.bob.makes_org("His").await;
    node.kill();

    // Switched off again, nobody is asked.
    let ada = registers(&board, "ada@chat.test", None).await;
    board.sql("update users set verify_email_by = 'infinity' where email = 'ada@chat.test'").await;
    ada.post("/orgs/", json!({"name": "Hers"})).await.refuses(403, "email_unverified");
    let mut node = api_node(&board, "off");
    node.ready(board.http()).await;
    testkit::eventually("Ada need not verify", testkit::DEADLINE, || async {
        (ada.post("/orgs/", json!({"name": "Hers"})).await.status == 201).then_some(())
    })
    .await;
}

/// One more api of the board, as a process of its own, with this setting of verification.
fn api_node(board: &Board, verification: &str) -> Process {
    let key = std::env::temp_dir().join(format!("chatboard-key-{}", board.prefix()));
    let _ = std::fs::remove_file(&key);
    let made = Command::new(binary()).args(["keys", "--out"]).arg(&key).status().unwrap();
    assert!(made.success());
    let port = devstack::ports::free_port(None).unwrap();
    let environment = [
        ("CHATBOARD_DATABASE_URL", board.database_url().to_owned()),
        ("CHATBOARD_NATS_URL", board.nats_url().to_owned()),
        ("CHATBOARD_NATS_PREFIX", board.prefix().to_owned()),
        ("CHATBOARD_SIGNING_KEY_FILE", key.display().to_string()),
        ("CHATBOARD_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("CHATBOARD_EMAIL_VERIFICATION", verification.to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Process::start("api", &format!("127.0.0.1:{port}"), environment)
}

/// How many a message of Alice's mentions.
async fn mentioned(board: &Board, team: &testkit::Team, text: &str) -> usize {
    let message = team.alice.posts(team.room, text).await;
    let sql =
        format!("select user_id::text from message_mentions where message_id = {}", message["id"]);
    board.texts(&sql).await.len()
}
