//! What cannot be worked on, in every schedule: the others are done, and it is retried later and
//! later, or given up.

use std::time::Duration;

use testkit::{Board, Mail, Receiver, Team, eventually, json};

/// Longer than anything is parked.
const HOURS: Duration = Duration::from_secs(2 * 3600);
/// Until something that takes as long as a statement may has been found and parked.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a process may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Until notifications are looked at.
const DELAY: Duration = Duration::from_millis(200);

/// Makes changes to rows fail: `event` is what a trigger fires on, `condition` names the rows.
async fn poison(board: &Board, event: &str, condition: &str) {
    harm(board, event, condition, "raise exception 'this row is poisoned'").await;
}

/// Makes changes to rows take longer than anything may.
async fn stall(board: &Board, event: &str, condition: &str) {
    harm(board, event, condition, "perform pg_sleep(60)").await;
}

async fn harm(board: &Board, event: &str, condition: &str, what: &str) {
    board
        .sql(&format!(
            "create function poison() returns trigger language plpgsql as $$ begin
                 if {condition} then {what}; end if;
                 return coalesce(new, old);
             end $$;
             create trigger poison before {event} for each row execute function poison()"
        ))
        .await;
}

async fn heal(board: &Board) {
    board.sql("drop function poison cascade").await;
}

async fn becomes(board: &Board, sql: &'static str, count: i64) {
    eventually(sql, PATIENCE, async || (board.count(sql).await == count).then_some(())).await;
}

/// Two rooms with messages.
async fn two_rooms(board: &Board, team: &Team) -> i64 {
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    for room in [team.room, other] {
        for number in 0..3 {
            team.alice.posts(room, &number.to_string()).await;
        }
    }
    board.settle().await;
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_log_cannot_be_cut_holds_up_no_other() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    two_rooms(&board, &team).await;
    let first = format!("old.id = {} and new.first_seq > old.first_seq", team.room);
    poison(&board, "update on rooms", &first).await;
    board.clock.advance(Duration::from_secs(100 * 86_400));
    becomes(&board, "select count(*) from messages", 3).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    becomes(&board, "select count(*) from messages", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_of_which_one_message_cannot_be_removed_holds_up_no_other() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    two_rooms(&board, &team).await;
    let last = format!("old.room_id = {} and old.body = '2'", team.room);
    poison(&board, "delete on messages", &last).await;
    board.clock.advance(Duration::from_secs(100 * 86_400));
    // What comes before it in its room is removed too, in batches that get smaller.
    becomes(&board, "select count(*) from messages", 1).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    becomes(&board, "select count(*) from messages", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_room_that_cannot_be_removed_holds_up_no_other() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    let other = two_rooms(&board, &team).await;
    poison(&board, "delete on messages", &format!("old.room_id = {}", team.room)).await;
    for room in [team.room, other] {
        team.alice.delete(&format!("/rooms/{room}/")).await.is(204);
    }
    becomes(&board, "select count(*) from removals", 1).await;
    becomes(&board, "select count(*) from messages", 3).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    becomes(&board, "select count(*) from removals", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_expired_hold_up_no_others() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    board
        .sql(&format!(
            "insert into mails (kind, user_id, to_email, data, status, created_at)
             select 'digest', {}, n::text, '{{}}', 'sent', now() - interval '40 days'
                    + n * interval '1 second'
             from generate_series(1, 1200) n",
            team.alice.id
        ))
        .await;
    // The trigger comes after the first round may have begun: the clock says when they expire.
    poison(&board, "delete on mails", "old.to_email in ('2000', '2001')").await;
    board
        .sql(
            "insert into mails (kind, user_id, to_email, data, status, created_at)
             select 'digest', u.id, n::text, '{}', 'sent', now() - interval '10 days'
                    + n * interval '1 second'
             from generate_series(2000, 3199) n, (select min(id) as id from users) u",
        )
        .await;
    becomes(&board, "select count(*) from mails where to_email::integer < 2000", 0).await;
    board.clock.advance(Duration::from_secs(25 * 86_400));
    becomes(&board, "select count(*) from mails", 2).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    becomes(&board, "select count(*) from mails", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_cannot_be_handed_over_is_given_up_and_holds_up_no_other() {
    let board = Board::builder().mails_after(DELAY).start().await;
    let team = board.team().await;
    poison(&board, "update on mails", "new.to_email = 'x@chat.test' and new.status = 'handing'")
        .await;
    for who in ["x", "y"] {
        let invite = json!({"email": format!("{who}@chat.test")});
        team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    }
    board.mailbox().mail_to("y@chat.test").await;
    let failed = "select count(*) from mails where to_email = 'x@chat.test' and status = 'failed'
                  and secret is null and last_error like '%statement failed%'";
    eventually("it is given up", PATIENCE, async || {
        // Each further attempt is later than the one before.
        board.clock.advance(Duration::from_secs(300));
        (board.count(failed).await == 1).then_some(())
    })
    .await;
    let mails: Vec<Mail> = board.mailbox().mails_to("x@chat.test").await;
    assert!(mails.is_empty(), "{mails:?}");
    let attempts = "select attempts::bigint from mails where to_email = 'x@chat.test'";
    assert_eq!(board.count(attempts).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn someone_whose_digest_cannot_be_made_holds_up_nobody() {
    let board = Board::builder().mails_after(DELAY).start().await;
    let team = board.team().await;
    let of_carol = format!("new.user_id = {} and new.mail_id is not null", team.carol.id);
    poison(&board, "update on notifications", &of_carol).await;
    let text = format!("@{} @{}", team.carol.email, team.bob.email);
    team.alice.posts(team.room, &text).await;
    board.mailbox().mail_to(&team.bob.email).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    board.mailbox().mail_to(&team.carol.email).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_cannot_be_recorded_is_given_up_and_holds_up_no_other() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let receiver = Receiver::start().await;
    let body = json!({"org": team.org, "url": receiver.url(), "events": ["message.created"]});
    team.alice.post("/webhooks/", body).await.is(201);
    poison(&board, "update on webhook_outbox", "new.sequence = 2 and new.status = 'sent'").await;
    for number in 0..5 {
        team.alice.posts(team.room, &number.to_string()).await;
    }
    becomes(&board, "select count(*) from webhook_outbox where status = 'sent'", 4).await;
    let failed = "select count(*) from webhook_outbox where status = 'failed'
                  and last_error like 'cannot be recorded%'";
    eventually("it is given up", PATIENCE, async || {
        board.clock.advance(Duration::from_secs(600));
        (board.count(failed).await == 1).then_some(())
    })
    .await;
    let attempts = receiver.received().iter().filter(|one| one.sequence() == 2).count();
    assert_eq!(attempts, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_claimed_is_passed_over_by_the_sweep() {
    let board = Board::builder().start().await;
    let team = board.team().await;
    for number in 0..20 {
        team.alice.posts(team.room, &number.to_string()).await;
    }
    board.settle().await;
    poison(&board, "update on outbox", "new.seq = (select min(seq) + 2 from messages)").await;
    board
        .sql(
            "insert into outbox (room_id, seq, publish_after)
             select room_id, seq, created_at - interval '1 minute' from messages",
        )
        .await;
    becomes(&board, "select count(*) from outbox", 1).await;
    heal(&board).await;
    board.clock.advance(HOURS);
    becomes(&board, "select count(*) from outbox", 0).await;
}

#[tokio::test]
async fn a_janitor_with_work_that_stalls_does_the_rest_and_stops_when_asked() {
    let board = Board::builder().processes().janitors(1).start().await;
    let team = board.team().await;
    let other = two_rooms(&board, &team).await;
    stall(&board, "delete on messages", &format!("old.room_id = {}", team.room)).await;
    for room in [team.room, other] {
        team.alice.delete(&format!("/rooms/{room}/")).await.is(204);
    }
    let mut processes = board.processes().await;
    let janitor = processes.last_mut().unwrap();
    janitor.kill();
    janitor.start_again();
    becomes(&board, "select count(*) from messages", 3).await;
    eventually("the failure is counted", PATIENCE, async || {
        let name = "chatboard_work_failed_total{work=\"removals\"}";
        (janitor.metric(board.http(), name).await >= 1.0).then_some(())
    })
    .await;
    let code = tokio::time::timeout(STOP_WITHIN, janitor.stop()).await.expect("it stops");
    assert_eq!(code, Some(0), "the exit code");
}
