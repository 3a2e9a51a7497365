//! Planning: once for each event, whatever dies, whoever else plans, and however many it concerns.

use std::time::Duration;

use testkit::{Board, Team, eventually};

use super::{PATIENCE, told};

#[tokio::test]
async fn two_relays_tell_everything_once_though_one_is_killed() {
    let board = Board::builder().processes().start().await;
    let team = board.team().await;
    board.settle().await;
    let other = board.processes().await[Board::RELAY].another();
    for number in 0..60 {
        if number % 10 == 5 {
            board.crash(Board::RELAY).await;
        }
        team.alice.posts(team.room, &format!("@{} {number}", team.bob.email)).await;
    }
    board.settle().await;
    drop(other);
    let mut texts: Vec<String> = team
        .bob
        .walks("/notifications/?limit=7")
        .await
        .iter()
        .map(|one| one["message"].as_str().unwrap().to_owned())
        .collect();
    texts.sort_unstable();
    let mut sent: Vec<String> =
        (0..60).map(|number| format!("@{} {number}", team.bob.email)).collect();
    sent.sort_unstable();
    assert_eq!(texts, sent);
    let decided = "select count(*) from notification_decisions where channel = 'app'";
    assert_eq!(board.count(decided).await, 60);
}

#[tokio::test]
async fn two_relays_share_the_work() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    let mut other = board.processes().await[Board::RELAY].another();
    other.ready(board.http()).await;
    eventually("both have planned", PATIENCE, async || {
        team.alice.posts(team.room, "work for whoever has time").await;
        let planned = "chatboard_events_planned_total";
        let first = board.processes().await[Board::RELAY].metric(board.http(), planned).await;
        let second = other.metric(board.http(), planned).await;
        (first > 0.0 && second > 0.0).then_some(())
    })
    .await;
    board.settle().await;
}

#[tokio::test]
async fn a_batch_with_an_event_that_cannot_be_planned_is_split() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    poison(&board, &team).await;
    board.relay_finds_twenty_mentions(&team).await;
    let told = told(&team.bob, 19).await;
    assert_eq!(told.len(), 19);
    eventually("nothing waits", PATIENCE, || async {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(board.count("select count(*) from outbox_dead").await, 1);
}

/// Makes events that concern Carol impossible to plan.
async fn poison(board: &Board, team: &Team) {
    board
        .sql(&format!(
            "alter table users drop constraint users_email_notifications_check;
             update users set email_notifications = 'odd' where id = {}",
            team.carol.id,
        ))
        .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_planned_is_set_aside_and_holds_up_nothing() {
    let board = Board::start().await;
    let team = board.team().await;
    board.settle().await;
    poison(&board, &team).await;
    for number in 0..5 {
        team.alice.posts(team.room, &format!("@{} {number}", team.bob.email)).await;
        if number == 2 {
            team.alice.posts(team.room, &format!("@{} poison", team.carol.email)).await;
        }
    }
    assert_eq!(told(&team.bob, 5).await.len(), 5);
    eventually("nothing waits", PATIENCE, || async {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    let dead = "select count(*) from outbox_dead where reason like '%email_notifications%'";
    assert_eq!(board.count(dead).await, 1);
    assert_eq!(board.count("select count(*) from outbox_dead").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_people_are_told_at_once() {
    let board = Board::start().await;
    let team = board.team().await;
    board.settle().await;
    board
        .sql(&format!(
            "with crowd as (
                 insert into users (email, password_hash, created_at)
                 select 'crowd' || n || '@chat.test', '-', now() from generate_series(1, 10000) n
                 returning id
             ), members as (
                 insert into organization_members (org_id, user_id, role, joined_at)
                 select {}, id, 'MEMBER', now() from crowd
             )
             insert into room_members (room_id, user_id, last_read_seq, joined_at)
             select {room}, id, 0, now() from crowd;
             update rooms set members_count = members_count + 10000 where id = {room}",
            team.org,
            room = team.room,
        ))
        .await;
    team.alice.posts(team.room, "@room lunch").await;
    team.alice.posts(team.room, "@room coffee").await;
    team.alice.posts(team.room, "@room home").await;
    eventually("everyone is told", Duration::from_secs(60), || async {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    // Bob and Carol are there too.
    assert_eq!(board.count("select count(*) from notifications").await, 30_006);
    assert_eq!(board.count("select count(*) from outbox_dead").await, 0);
    assert_eq!(told(&team.bob, 3).await.len(), 3);
}
