//! How long messages are kept is the deployment's, not a process's.

use testkit::{Board, DEADLINE, Team, eventually};

use super::{DAY, Running, fails, succeeds};

/// Waits until a count of rows is 0.
pub(super) async fn none_left(board: &Board, sql: &'static str) {
    eventually(sql, DEADLINE, async || (board.count(sql).await == 0).then_some(())).await;
}

const MESSAGES: &str = "select count(*) from messages";

/// A team with two messages that are some days old.
async fn with_old_messages(board: &Board, days: u32) -> Team {
    let team = board.team().await;
    for body in ["one", "two"] {
        team.bob.posts(team.room, body).await;
    }
    board.settle().await;
    let age = format!("created_at = created_at - interval '{days} days'");
    board.sql(&format!("update messages set {age}; update room_events set {age}")).await;
    team
}

/// Waits until a janitor has ended a round.
async fn has_looked(janitor: &Running) {
    janitor.has_metric("chatboard_janitor_round_at_seconds{work=\"retention\"} ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_that_was_never_set_removes_nothing_until_an_operator_sets_it() {
    let board = Board::builder().edges(1).janitors(1).retention_unset().start().await;
    let team = with_old_messages(&board, 200).await;
    let database = board.database_url();
    assert!(succeeds(database, &["admin", "retention"]).await.contains("not set"));
    // A role that was told nothing starts beside it.
    let forgetful = Running::start("janitor", database, &[]).await;
    has_looked(&forgetful).await;
    forgetful.says(&["WARN", "retention was never set"]).await;
    assert_eq!(board.count(MESSAGES).await, 2);
    assert_eq!(team.bob.history(team.room).await.len(), 2);

    let refused = fails(database, &["admin", "retention", "90"]).await;
    assert!(refused.contains("2 messages would expire now"), "{refused}");
    assert_eq!(team.bob.history(team.room).await.len(), 2);
    succeeds(database, &["admin", "retention", "0"]).await;
    board.clock.advance(DAY);
    let changed = succeeds(database, &["admin", "retention", "90", "--yes"]).await;
    assert!(changed.contains("90 days") && changed.contains("2 more messages"), "{changed}");
    assert!(succeeds(database, &["admin", "retention"]).await.contains("90 days"));
    none_left(&board, MESSAGES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_told_another_retention_warns_and_changes_nothing() {
    let board = Board::builder().edges(1).retention_days(0).start().await;
    with_old_messages(&board, 200).await;
    let database = board.database_url();
    let other = [("CHATBOARD_RETENTION_DAYS", "1")];
    let (told, forgetful) = tokio::join!(
        Running::start("janitor", database, &other),
        Running::start("janitor", database, &[]),
    );
    told.says(&["WARN", "CHATBOARD_RETENTION_DAYS is 1, the deployment's retention is 0"]).await;
    has_looked(&told).await;
    has_looked(&forgetful).await;
    assert!(!forgetful.log().contains("WARN"), "{}", forgetful.log());
    assert_eq!(board.count(MESSAGES).await, 2);
    let row = "select retention_days::bigint from deployment_settings";
    assert_eq!(board.count(row).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_days_are_taken_once_where_none_were_set() {
    let board = Board::builder().edges(1).retention_unset().start().await;
    with_old_messages(&board, 200).await;
    let told = [("CHATBOARD_RETENTION_DAYS", "300")];
    let janitor = Running::start("janitor", board.database_url(), &told).await;
    janitor.says(&["INFO", "retention is now 300 days"]).await;
    has_looked(&janitor).await;
    assert_eq!(board.count(MESSAGES).await, 2);
    let row = "select retention_days::bigint from deployment_settings";
    assert_eq!(board.count(row).await, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_would_remove_too_much_waits_for_an_operator() {
    let board = Board::builder().edges(1).retention_unset().start().await;
    let team = board.team().await;
    board
        .sql(&format!(
            "insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at)
             select org_id, id, last_seq + n, {}, 'x', '', now() - interval '200 days'
             from rooms, generate_series(1, 10001) n where id = {};
             update rooms set last_seq = last_seq + 10001 where id = {};
             insert into deployment_settings (retention_days) values (90);
             analyze",
            team.bob.id, team.room, team.room
        ))
        .await;
    let janitor = Running::start("janitor", board.database_url(), &[]).await;
    janitor.says(&["ERROR", "10001 of 10001", "admin retention approve"]).await;
    let blocked = "chatboard_janitor_removal_blocked{reason=\"share\"} ";
    assert!((janitor.has_metric(blocked).await - 1.0).abs() < 0.5);
    has_looked(&janitor).await;
    assert_eq!(board.count(MESSAGES).await, 10_001);
    drop(janitor);

    // An approval that is over does not count.
    let ended = "update deployment_settings set removal_approved_until = now() - interval '1 s'";
    board.sql(ended).await;
    let janitor = Running::start("janitor", board.database_url(), &[]).await;
    janitor.says(&["ERROR", "10001 of 10001"]).await;
    has_looked(&janitor).await;
    assert_eq!(board.count(MESSAGES).await, 10_001);
    drop(janitor);

    let said = succeeds(board.database_url(), &["admin", "retention", "approve"]).await;
    assert!(said.contains("10001 messages"), "{said}");
    let janitor = Running::start("janitor", board.database_url(), &[]).await;
    eventually("all are removed", DEADLINE * 3, async || {
        (board.count(MESSAGES).await == 0).then_some(())
    })
    .await;
    janitor.says(&["INFO", "the janitor's retention removed", "10001 messages"]).await;
}
