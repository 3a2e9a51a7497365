//! A message for everyone in a room of ten thousand.

use std::time::Duration;

use testkit::{Board, Team, eventually};

/// Until everyone is told, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Members of the room besides those of the team.
const MEMBERS: i64 = 10_000;
/// Rows of decisions that one transaction may write: one or two for each of 500 people.
const ROWS_MAX: i64 = 1_000;

/// Puts ten thousand people into the team's room, and counts the rows of each transaction that
/// decides for them.
async fn crowd(board: &Board, team: &Team) {
    board
        .sql(&format!(
            "insert into users (email, password_hash, first_name, last_name, created_at)
             select 'crowd' || n || '@chat.test', '', 'Crowd', n::text, now()
             from generate_series(1, {MEMBERS}) n;
             insert into organization_members (org_id, user_id, role, joined_at)
             select {org}, id, 'MEMBER', now() from users where email like 'crowd%';
             insert into room_members (room_id, user_id, last_read_seq, joined_at)
             select {room}, id, 0, now() from users where email like 'crowd%';
             update rooms set members_count = members_count + {MEMBERS} where id = {room};
             create table counted (rows bigint not null);
             create function count_rows() returns trigger language plpgsql as $$ begin
                 insert into counted select count(*) from made;
                 return null;
             end $$;
             create trigger count_rows after insert on notification_decisions
                 referencing new table as made for each statement execute function count_rows()",
            org = team.org,
            room = team.room,
        ))
        .await;
}

async fn all_told(board: &Board) {
    eventually("everyone is told", PATIENCE, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_told_in_many_small_transactions_and_others_have_their_turns() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let (dave, erin, quiet) = board.two_members_of("quiet").await;
    board.settle().await;
    crowd(&board, &team).await;
    team.alice.posts(team.room, "@room hello").await;
    dave.posts(quiet, &format!("@{} hello", erin.email)).await;
    all_told(&board).await;
    // Bob and Carol are members too; Alice wrote it. Erin was told of the other message.
    let told =
        "select count(distinct user_id) from notifications where notification_type = 'mention'";
    assert_eq!(board.count(told).await, MEMBERS + 3);
    let rows_max = board.count("select max(rows) from counted").await;
    assert!(rows_max <= ROWS_MAX, "{rows_max} rows in one transaction");
    // Ids rise in the order of planning.
    let after_erin = format!(
        "select count(*)::text from notifications where id > (
             select id from notifications where user_id = {})",
        erin.id
    );
    let after: i64 = board.texts(&after_erin).await[0].parse().unwrap();
    assert!(after > MEMBERS / 2, "{after} were told after the other organization");
    assert_eq!(board.count("select count(*) from outbox_dead").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_a_crowd_who_cannot_be_told_is_passed_over() {
    let board = Board::builder().start().await;
    let team = board.team().await;
    board.settle().await;
    crowd(&board, &team).await;
    board
        .sql(
            "create function poison() returns trigger language plpgsql as $$ begin
                 if new.user_id = (select id from users where email = 'crowd77@chat.test')
                 then raise exception 'this row is poisoned'; end if;
                 return new;
             end $$;
             create trigger poison before insert on notifications
                 for each row execute function poison()",
        )
        .await;
    team.alice.posts(team.room, "@room hello").await;
    all_told(&board).await;
    let told = "select count(*) from notifications where notification_type = 'mention'";
    assert_eq!(board.count(told).await, MEMBERS + 1);
    assert_eq!(board.count("select count(*) from outbox_dead").await, 0);
}
