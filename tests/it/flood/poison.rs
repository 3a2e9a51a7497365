//! One event that cannot be planned, of a kind that looks as if it might be later.

use std::time::Duration;

use testkit::{Board, Team, eventually};

/// Until a poisoned batch has been taken apart: each failure takes as long as the time budget.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Makes recording anything for Carol take longer than any transaction may.
async fn stall(board: &Board, team: &Team) {
    board
        .sql(&format!(
            "create function stall() returns trigger language plpgsql as $$ begin
                 if new.user_id = {} then perform pg_sleep(60); end if;
                 return new;
             end $$;
             create trigger stall before insert on notification_decisions
                 for each row execute function stall()",
            team.carol.id,
        ))
        .await;
}

/// A board whose relay finds twenty events waiting, one of which stalls; and Bob, who is mentioned
/// in the others.
async fn poisoned() -> (Board, Team) {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    stall(&board, &team).await;
    board.relay_finds_twenty_mentions(&team).await;
    (board, team)
}

#[tokio::test]
async fn an_event_that_always_runs_out_of_time_is_set_aside_and_holds_up_nothing() {
    let (board, team) = poisoned().await;
    eventually("the others are planned, and it is set aside", PATIENCE, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(team.bob.walks("/notifications/?limit=50").await.len(), 19);
    let carols = team.carol.walks("/notifications/").await;
    assert!(carols.is_empty(), "{carols:?}");
    let dead = board.texts("select reason from outbox_dead").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    // Whoever comes later is not held up either.
    team.alice.posts(team.room, &format!("@{} later", team.bob.email)).await;
    eventually("what comes later is planned", PATIENCE, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_relay_with_a_poisoned_batch_stops_when_asked() {
    let (board, _team) = poisoned().await;
    eventually("it has failed", PATIENCE, async || {
        let failed = "select count(*) from outbox where failures > 0";
        (board.count(failed).await > 0).then_some(())
    })
    .await;
    let relay = &mut board.processes().await[Board::RELAY];
    let code = tokio::time::timeout(STOP_WITHIN, relay.stop()).await.expect("it stops");
    assert_eq!(code, Some(0), "the exit code");
}
