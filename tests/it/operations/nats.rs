//! What is wrong with NATS is said with server, user and reason, never with a password.

use std::time::Duration;

use testkit::{Board, Process};

use super::{nats_server, says, with};

const USERS: &str = r#"authorization {
    users: [
        { user: api, password: "hidden-word" }
        {
            user: narrow, password: "hidden-word"
            permissions: { publish: { allow: ["*.user.*"] }, subscribe: { allow: ["_INBOX.>", "_INBOX_narrow.>"] } }
        }
    ]
}"#;

/// How long stopping may take where nothing is in flight: less than a role waits for what is.
const STOPS_WITHIN: Duration = Duration::from_secs(4);

fn address(user: &str, port: u16) -> String {
    format!("nats://{user}:hidden-word@127.0.0.1:{port}")
}

/// Starts a role with an address of NATS, waits for a line of its log with these words, and ends
/// it; returns the line.
async fn line(board: &Board, (role, nats): (&'static str, &str), words: &[&str]) -> String {
    let settings = with(&board.settings(), &[("CHATBOARD_NATS_URL", nats)]);
    let (mut process, log) = Process::start_with_log(role, settings);
    let line = log.line_with(words).await;
    assert!(!log.text().contains("hidden-word"), "a password is in the log: {}", log.text());
    assert_eq!(process.stop_within(Duration::from_secs(10)).await, Some(0));
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_cannot_be_reached_is_named_with_user_and_reason() {
    let board = Board::start().await;
    let port = devstack::ports::free_port(None).unwrap();
    let server = format!("127.0.0.1:{port}");
    let refused = ["WARN", &server, "as user api", "refused"];
    line(&board, ("api", &address("api", port)), &refused).await;
    line(&board, ("edge", &address("api", port)), &refused).await;
    let unknown = ["WARN", "nowhere.invalid:4222", "lookup"];
    line(&board, ("relay", "nats://nowhere.invalid:4222"), &unknown).await;
    let plain = board.nats_url().replace("nats://", "tls://");
    line(&board, ("api", &plain), &["ERROR", "TLS", "does that server have TLS"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_refuses_is_an_error_with_user_and_subject() {
    let board = Board::start().await;
    let nats = nats_server(USERS).await;
    let wrong = format!("nats://api:wrong@127.0.0.1:{}", nats.port());
    let said = line(&board, ("api", &wrong), &["ERROR", "as user api", "authorization"]).await;
    assert!(said.contains(&format!("127.0.0.1:{}", nats.port())), "{said}");
    let foreign = address("narrow", nats.port());
    let words = ["ERROR", "as user narrow", "Permissions Violation", ".rpc."];
    line(&board, ("api", &foreign), &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_without_nats_or_rights_are_not_ready_and_say_why() {
    let board = Board::start().await;
    let nats = nats_server(USERS).await;
    let away = devstack::ports::free_port(None).unwrap();
    for role in ["relay", "webhooks"] {
        let url = address("narrow", nats.port());
        let settings = with(&board.settings(), &[("CHATBOARD_NATS_URL", &url)]);
        let process = Process::start_with_stderr(role, settings, std::process::Stdio::null());
        says(&process, (503, "consumer"), &["consumer", role]).await;
        let url = address("api", away);
        let settings = with(&board.settings(), &[("CHATBOARD_NATS_URL", &url)]);
        let process = Process::start_with_stderr(role, settings, std::process::Stdio::null());
        says(&process, (503, "nats"), &["refused", "as user api"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_stops_promptly_while_nats_is_away() {
    let board = Board::builder().processes().own_servers().edges(1).webhooks().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    alice.posts(room, "hi").await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).unwrap();
    let mut processes = board.processes().await;
    for process in processes.iter() {
        if process.role() != "janitor" {
            let status = if process.role() == "api" { 200 } else { 503 };
            says(process, (status, "nats"), &["refused"]).await;
        }
    }
    alice.posts(room, "while it is away").await;
    for process in processes.iter_mut() {
        assert_eq!(process.stop_within(STOPS_WITHIN).await, Some(0), "{process:?}");
    }
}
