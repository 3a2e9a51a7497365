//! A hundred senders, fifty sockets, two edges, and something that dies.

use std::time::Duration;

use testkit::{Board, Report, Storm};

use super::{length, strikes};

fn storm() -> Storm {
    Storm { length: length(), ..Storm::default() }
}

/// That the storm was one: a test that sent nothing proves nothing.
fn was_real(report: Report) {
    assert!(report.acknowledged >= 100, "hardly anything was sent: {report:?}");
    assert!(report.delivered >= report.acknowledged * 50, "not everyone listened: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_senders_and_fifty_sockets_on_two_edges_agree_on_one_order() {
    let board = Board::start().await;
    let report = storm().rages(&board, std::future::ready(())).await;
    was_real(report);
    assert_eq!(report.returns, 0, "a listener had to come back: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_that_are_killed_lose_nothing() {
    let board = Board::builder().processes().start().await;
    let menace = strikes(Duration::from_secs(2), |number| board.crash(Board::EDGE + number % 2));
    let report = storm().rages(&board, menace).await;
    was_real(report);
    assert!(report.returns > 0, "nobody noticed that edges died: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_killed_between_commit_and_publish_loses_nothing() {
    let board = Board::builder().processes().start().await;
    let menace = strikes(Duration::from_secs(1), |_| board.crash(Board::API));
    was_real(storm().rages(&board, menace).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_killed_forgets_no_event() {
    let board = Board::builder().processes().start().await;
    let menace = strikes(Duration::from_secs(1), |_| board.crash(Board::RELAY));
    was_real(storm().rages(&board, menace).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_is_killed_and_restarted_loses_nothing() {
    let board = Board::builder().own_servers().start().await;
    let menace = strikes(Duration::from_secs(3), |_| async {
        let nats = &board.servers().nats;
        nats.kill().expect("nats-server is killed");
        nats.start_again().expect("nats-server starts again");
    });
    was_real(storm().rages(&board, menace).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_loses_its_disk_loses_nothing() {
    let board = Board::builder().own_servers().start().await;
    let menace = strikes(Duration::from_secs(3), |_| async {
        let nats = &board.servers().nats;
        nats.kill().expect("nats-server is killed");
        nats.wipe_store().expect("its store can be deleted");
        nats.start_again().expect("nats-server starts again");
    });
    was_real(storm().rages(&board, menace).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_stopped_at_once_and_restarted_loses_nothing() {
    let board = Board::builder().own_servers().start().await;
    let menace = strikes(Duration::from_secs(3), |_| async {
        board.servers().postgres.restart_immediate().expect("Postgres restarts");
    });
    was_real(storm().rages(&board, menace).await);
}
