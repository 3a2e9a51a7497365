//! What a start logs; and a start that is refused ends, although nobody can be told why.

use std::process::Stdio;
use std::time::Duration;

use testkit::{Board, Process};

use super::with;

/// What a pipe of Linux holds.
const PIPE_BYTES: usize = 65_536;

async fn is_refused(board: &Board, stderr: impl Into<Stdio>) {
    let wrong = with(&board.settings(), &[("CHATBOARD_HTTP_ADDR", "nowhere")]);
    let mut api = Process::start_with_stderr("api", wrong, stderr);
    assert_eq!(api.ended().await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_start_ends_although_its_reason_cannot_be_written() {
    let board = Board::start().await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    is_refused(&board, full).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    is_refused(&board, writer).await;
    // Nobody reads, and the pipe is full already: a write waits for ever.
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, &vec![b'x'; PIPE_BYTES]).unwrap();
    is_refused(&board, writer).await;
    drop(reader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_start_logs_no_warning() {
    let board = Board::start().await;
    // Empty is the default filter.
    let settings = with(&board.settings(), &[("CHATBOARD_LOG", "")]);
    for role in ["webhooks", "notifier"] {
        let (mut worker, log) = Process::start_with_log(role, settings.clone());
        worker.ready(board.http()).await;
        assert_eq!(worker.stop_within(Duration::from_secs(10)).await, Some(0));
        let text = log.text();
        // Board has no mail server.
        let is_trouble = |line: &&str| {
            (line.contains("WARN") || line.contains("ERROR"))
                && !line.contains("CHATBOARD_SMTP_URL is not set")
        };
        let trouble: Vec<&str> = text.lines().filter(is_trouble).collect();
        assert_eq!(trouble, Vec::<&str>::new(), "{role}");
    }
}
