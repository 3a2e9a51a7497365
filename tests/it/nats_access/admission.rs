//! On which nats-servers a process starts.

use std::process::{Command, Stdio};

use testkit::{Board, DEADLINE, NatsProcess, eventually, within};

/// Starts a role and waits until it has ended, which it must by itself; returns what it said.
async fn refused(role: &'static str, settings: Vec<(&'static str, String)>) -> String {
    let run = tokio::task::spawn_blocking(move || {
        Command::new(testkit::binary()).arg(role).env_clear().envs(settings).output().unwrap()
    });
    let output = within(&format!("{role} ends"), run).await.unwrap();
    assert!(!output.status.success(), "{role}");
    String::from_utf8(output.stderr).unwrap()
}

fn edge(url: String, allows: bool) -> Vec<(&'static str, String)> {
    vec![
        ("CHATBOARD_NATS_URL", url),
        ("CHATBOARD_NATS_ALLOW_UNAUTHENTICATED", allows.to_string()),
        // Cannot be listened on, so one that is let in ends as well.
        ("CHATBOARD_WS_ADDR", "192.0.2.1:1".to_owned()),
        ("CHATBOARD_LOG", "error".to_owned()),
    ]
}

const OPEN: &str = r#"listen: "127.0.0.1:{port}"
jetstream { store_dir: "{store}" }
"#;
/// Says `auth_required`, and lets in who says nothing all the same.
const NO_AUTH_USER: &str = r#"listen: "127.0.0.1:{port}"
authorization { users: [{ user: one, password: "secret" }] }
no_auth_user: one
"#;

#[tokio::test]
async fn no_role_starts_on_a_server_that_lets_anyone_in() {
    let board = Board::start().await;
    let key = std::env::temp_dir().join(format!("chatboard-test-open-{}.pem", std::process::id()));
    std::fs::write(&key, runtime::tokens::SigningKeys::generate().unwrap()).unwrap();
    let server = NatsProcess::start(OPEN, &[]).await;
    for role in ["all", "api", "edge", "relay", "webhooks", "notifier", "migrate"] {
        let settings = vec![
            ("CHATBOARD_DATABASE_URL", board.database_url().to_owned()),
            ("CHATBOARD_NATS_URL", format!("nats://one:secret@{}", server.address())),
            ("CHATBOARD_SIGNING_KEY_FILE", key.display().to_string()),
            ("CHATBOARD_HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("CHATBOARD_OPS_ADDR", "127.0.0.1:0".to_owned()),
            ("CHATBOARD_LOG", "error".to_owned()),
        ];
        let said = refused(role, settings).await;
        let server_and_fault =
            format!("NATS at {} accepts connections without signing in", server.address());
        assert!(said.contains(&server_and_fault), "{role}: {said}");
        assert!(said.contains("set a password (see nats/server.conf)"), "{role}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{role}: {said}");
    }
    std::fs::remove_file(key).unwrap();
}

#[tokio::test]
async fn a_password_that_need_not_be_given_is_none() {
    let server = NatsProcess::start(NO_AUTH_USER, &[]).await;
    let url = format!("nats://one:secret@{}", server.address());
    let said = refused("edge", edge(url.clone(), false)).await;
    assert!(said.contains("accepts connections without signing in"), "{said}");
    let said = refused("edge", edge(url, true)).await;
    assert!(said.contains("cannot listen on 192.0.2.1:1"), "{said}");
}

#[tokio::test]
async fn an_open_server_that_comes_later_ends_the_process() {
    let port = || devstack::ports::free_port(None).unwrap();
    let (nats, operations) = (port(), format!("127.0.0.1:{}", port()));
    let mut settings = edge(format!("nats://one:secret@127.0.0.1:{nats}"), false);
    settings.push(("CHATBOARD_WS_ADDR", "127.0.0.1:0".to_owned()));
    settings.push(("CHATBOARD_OPS_ADDR", operations.clone()));
    let child = Command::new(testkit::binary())
        .arg("edge")
        .env_clear()
        .envs(settings)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the edge runs without NATS", DEADLINE, async || {
        tokio::net::TcpStream::connect(&operations).await.ok().map(drop)
    })
    .await;
    let _server = NatsProcess::start_on(nats, OPEN, &[]).await;
    let ending = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = within("the edge ends", ending).await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("accepts connections without signing in"), "{said}");
}

#[tokio::test]
async fn no_role_starts_with_a_password_of_the_example() {
    let mut settings = edge("nats://edge:change4me@127.0.0.1:1".to_owned(), false);
    settings.push(("CHATBOARD_S3_SECRET_KEY", "change9me".to_owned()));
    let said = refused("edge", settings).await;
    for name in ["CHATBOARD_NATS_URL", "CHATBOARD_S3_SECRET_KEY"] {
        let line = format!("{name} (environment): has a password of deploy/env.example");
        assert!(said.contains(&line), "{said}");
    }
    assert!(!said.contains("change4me"), "{said}");
}
