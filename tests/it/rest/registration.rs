//! Who may register.

use domain::registration::{EmailDomain, EmailVerification, RegistrationMode, RegistrationPolicy};
use testkit::{Board, Reply, Value, json};

fn policy(mode: RegistrationMode, domains: &[&str]) -> RegistrationPolicy {
    RegistrationPolicy {
        mode,
        domains: domains.iter().map(|domain| EmailDomain::parse(domain).unwrap()).collect(),
        verification: EmailVerification::Off,
    }
}

async fn registers(board: &Board, email: &str, invite_token: &Value) -> Reply {
    let body = json!({"email": email, "password": "a good password", "invite_token": invite_token});
    board.post("/auth/register/", body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anyone_registers_unless_the_operator_says_otherwise() {
    let board = Board::start().await;
    let rules = board.get("/auth/registration/").await.is(200);
    assert_eq!(rules, json!({"mode": "open", "domains": [], "email_verification": "off"}));
    let user = registers(&board, "ada@chat.test", &Value::Null).await.is(201);
    assert_eq!(user["email_verified"], false);
    // A token that is no good changes nothing where none is needed.
    registers(&board, "bob@chat.test", &json!("no token")).await.is(201);
    registers(&board, "eve@chat.test", &json!(7)).await.blames(&["invite_token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_invitation_only_the_invited_address_registers() {
    let rules = policy(RegistrationMode::Invite, &[]);
    let board = Board::builder().registration(rules).start().await;
    let team = board.team().await;
    assert_eq!(board.get("/auth/registration/").await.is(200)["mode"], "invite");
    let path = format!("/orgs/{}/invite/", team.org);
    let made = team.carol.post(&path, json!({"email": "dave@chat.test"})).await.is(201);
    let token = &made["token"];
    for (email, token) in [
        ("dave@chat.test", &Value::Null),
        ("dave@chat.test", &json!("no token")),
        ("eve@chat.test", token),
    ] {
        registers(&board, email, token).await.refuses(403, "registration_closed");
    }
    // A stranger's invalid body tells nothing.
    board.post("/auth/register/", json!({})).await.refuses(403, "registration_closed");
    registers(&board, "no address", token).await.blames(&["email"]);
    let user = registers(&board, "Dave@chat.test", token).await.is(201);
    assert_eq!(user["email_verified"], false, "the answered token proves nothing");
    // A withdrawn invite admits nobody.
    let made = team.carol.post(&path, json!({"email": "erin@chat.test"})).await.is(201);
    team.carol.delete(&format!("/orgs/{}/invites/{}/", team.org, made["id"])).await.is(204);
    let refused = registers(&board, "erin@chat.test", &made["token"]).await;
    refused.refuses(403, "registration_closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permitted_domains_register_without_an_invite() {
    for mode in [RegistrationMode::Open, RegistrationMode::Invite] {
        let board = Board::builder().registration(policy(mode, &["Corp.test"])).start().await;
        let team = board.team().await;
        let rules = board.get("/auth/registration/").await.is(200);
        assert_eq!(rules["domains"], json!(["corp.test"]));
        registers(&board, "ada@CORP.test", &Value::Null).await.is(201);
        for email in ["eve@chat.test", "eve@sub.corp.test", "eve@corp.test.evil.test"] {
            let refused = registers(&board, email, &Value::Null).await;
            refused.refuses(403, "registration_closed");
        }
        let body = json!({"email": "guest@chat.test"});
        let made = team.carol.post(&format!("/orgs/{}/invite/", team.org), body).await.is(201);
        registers(&board, "guest@chat.test", &made["token"]).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_is_closed_to_invited_people_too() {
    let rules = policy(RegistrationMode::Closed, &["corp.test"]);
    let board = Board::builder().registration(rules).start().await;
    let team = board.team().await;
    let body = json!({"email": "dave@corp.test"});
    let made = team.carol.post(&format!("/orgs/{}/invite/", team.org), body).await.is(201);
    for (email, token) in [("dave@corp.test", &made["token"]), (&team.bob.email, &Value::Null)] {
        registers(&board, email, token).await.refuses(403, "registration_closed");
    }
}
