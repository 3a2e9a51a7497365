//! Days on which the machine, not the network, is at fault: a log that cannot be written, a clock
//! that is wrong, a database that is not what it must be.

use std::process::Stdio;
use std::time::Duration;

use testkit::{Board, eventually};

/// How long something that is slow on a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks an api for something until it is ready, then `count` times, and stops it.
async fn serves_and_stops(board: &Board, stderr: Stdio, count: usize) {
    let (mut api, http) = {
        let processes = board.processes().await;
        processes[Board::API].another_logging_to(stderr)
    };
    let client = testkit::http::client(testkit::DEADLINE);
    api.ready(&client).await;
    for _ in 0..count {
        let answer = client.get(format!("http://{http}/api/v1/auth/me/")).send().await;
        assert_eq!(answer.unwrap().status(), 401);
    }
    assert_eq!(api.stop().await, Some(0), "SIGTERM ends it, and in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_stops_no_request_and_no_shutdown() {
    let board: Board = Board::builder().processes().start().await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    serves_and_stops(&board, full.into(), 300).await;

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    serves_and_stops(&board, writer.into(), 300).await;

    // Nobody reads: what a pipe holds is soon full, and a write would wait.
    let (reader, writer) = std::io::pipe().unwrap();
    serves_and_stops(&board, writer.into(), 2_000).await;
    drop(reader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_schema_is_named_and_serves_once_it_is_migrated() {
    let board: Board = Board::builder().processes().start().await;
    board.sql("alter table _sqlx_migrations rename to hidden_migrations").await;
    let client = testkit::http::client(testkit::DEADLINE);
    let (mut api, http) = {
        let processes = board.processes().await;
        processes[Board::API].another_logging_to(Stdio::null())
    };
    let ready = format!("http://{http}/health/ready");
    let status = || async { client.get(&ready).send().await.ok().map(|answer| answer.status()) };
    eventually("it says that it is not ready", PATIENCE, || async {
        (status().await?.as_u16() == 503).then_some(())
    })
    .await;
    board.sql("alter table hidden_migrations rename to _sqlx_migrations").await;
    eventually("it is ready by itself", PATIENCE, || async {
        (status().await?.as_u16() == 200).then_some(())
    })
    .await;
    assert_eq!(api.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_at_once_wait_for_each_other_repair_an_index_and_leave_a_newer_schema_alone() {
    let board: Board = Board::builder().processes().start().await;
    let migrate = || async {
        let processes = board.processes().await;
        let first = &processes[Board::API];
        std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..3).map(|_| scope.spawn(|| first.command(&["migrate"], &[]))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        })
    };
    // As an interrupted migration leaves it: the index is there, and nothing says so.
    board.sql("delete from _sqlx_migrations where version = 6").await;
    for (is_fine, said) in migrate().await {
        assert!(is_fine, "{said}");
    }
    board
        .sql(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (9999, 'of a later version', true, '', 0)",
        )
        .await;
    for (is_fine, said) in migrate().await {
        assert!(is_fine, "{said}");
        assert!(said.contains("nothing to do"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_named_within_seconds() {
    let board: Board = Board::builder().processes().start().await;
    let processes = board.processes().await;
    let nowhere = "postgres://chatboard@127.0.0.1:1/chatboard";
    let (is_fine, said) =
        processes[Board::API].command(&["migrate"], &[("CHATBOARD_DATABASE_URL", nowhere)]);
    assert!(!is_fine);
    assert!(said.contains("127.0.0.1:1") && said.contains("refused"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_clock_is_a_hundred_days_ahead_removes_nothing() {
    let board: Board = Board::start().await;
    let team = board.team().await;
    team.alice.posts(team.room, "still here").await;
    let failures = || {
        let text = runtime::telemetry::Metrics::install().render();
        let name = "chatboard_janitor_failures_total ";
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        value.unwrap_or(0.0)
    };
    let before = failures();
    let clock = runtime::Clock::system();
    clock.set_wrong(100 * 24 * 3600);
    let parts = janitor::Parts {
        store: store::Store::connect(board.database_url(), 2).await.unwrap(),
        objects: None,
        clock,
    };
    let config =
        janitor::Config { scan_every: Duration::from_millis(20), ..janitor::Config::default() };
    let life = runtime::Lifecycle::new();
    janitor::start(config, parts, &life).await.unwrap();
    eventually("its rounds fail", PATIENCE, || {
        std::future::ready((failures() >= before + 20.0).then_some(()))
    })
    .await;
    life.stop(PATIENCE).await;
    let kept = board.count("select count(*) from messages where body = 'still here'").await;
    assert_eq!(kept, 1, "the message");
    let logins = board.count("select count(*) from refresh_tokens").await;
    assert!(logins > 0, "logins");
}
