//! A clock that is wrong.

use std::time::Duration;

use runtime::telemetry::Metrics;
use testkit::{Board, DEADLINE, Person, Reaction, Receiver, eventually, json};

use super::DAY;

/// 100 days, in seconds.
const WRONG_BY: i64 = 100 * 86_400;

fn for_long(person: &Person) -> Person {
    person.with_token(&person.mint(1_000 * DAY))
}

/// Waits until a gauge of this process has a value that fits: other boards of the process set it
/// too.
async fn gauge(name: &str, fits: impl Fn(f64) -> bool) {
    let metrics = Metrics::install();
    eventually(name, DEADLINE, || async {
        let text = metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.filter(|value| fits(*value)).map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_janitor_whose_clock_is_100_days_wrong_removes_nothing() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let team = board.team().await;
    let bob = for_long(&team.bob);
    for number in 0..20 {
        bob.posts(team.room, &format!("kept {number}")).await;
    }
    board.register("eve@chat.test", "a good password").await;
    board.sign_in("eve@chat.test", "a good password").await;
    board.settle().await;
    let left = "select (select count(*) from messages) + (select count(*) from refresh_tokens)";
    let before = board.count(left).await;

    board.clock.set_wrong(WRONG_BY);
    gauge("chatboard_janitor_removal_blocked{reason=\"clock\"} ", |value| value > 0.5).await;
    gauge("chatboard_clock_skew_seconds ", |value| value > 8e6).await;
    let failures = "chatboard_janitor_failures_total ";
    gauge(failures, |count| count >= 3.0).await;
    assert_eq!(board.count(left).await, before);

    board.clock.set_wrong(0);
    assert_eq!(bob.history(team.room).await.len(), 20, "the clock is right, all is there");
    // The same time passes, as it were: now they go.
    board.clock.advance(100 * DAY);
    super::retention::none_left(&board, "select count(*) from messages").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_disables_no_webhook() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(500));
    let hook = json!({"org": team.org, "url": receiver.url(), "events": ["message.created"]});
    let made = alice.post("/webhooks/", hook).await.is(201);
    let path = format!("/webhooks/{}/", made["id"]);
    let test = format!("{path}test/");
    alice.post(&test, json!({})).await.is(202);
    let failed = "select count(*) from webhook_outbox where status = 'failed'";
    let has_failed = async |count: i64| {
        eventually("deliveries have failed", DEADLINE, async || {
            (board.count(failed).await == count).then_some(())
        })
        .await;
    };
    has_failed(1).await;
    board.clock.set_wrong(6 * 86_400);
    alice.post(&test, json!({})).await.is(202);
    has_failed(2).await;
    assert_eq!(alice.get(&path).await.is(200)["is_active"], true);

    board.clock.set_wrong(0);
    board.clock.advance(6 * DAY);
    alice.post(&test, json!({})).await.is(202);
    has_failed(3).await;
    assert_eq!(alice.get(&path).await.is(200)["is_active"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_mails_no_digest_early() {
    let board = Board::builder().mails_after(Duration::from_secs(3_600)).start().await;
    let team = board.team().await;
    board.register("eve@chat.test", "a good password").await;
    team.alice.posts(team.room, &format!("hello @{}", team.bob.email)).await;
    board.settle().await;
    board.clock.set_wrong(2 * 3_600);
    // Sent by a later look at the same schedule than the first after the clock went wrong.
    for _ in 0..2 {
        board.post("/auth/password/reset/", json!({"email": "eve@chat.test"})).await.is(202);
        board.mailbox().mail_to("eve@chat.test").await;
    }
    assert!(board.mailbox().mails_to(&team.bob.email).await.is_empty());
    board.clock.set_wrong(0);
    board.clock.advance(Duration::from_secs(2 * 3_600));
    board.mailbox().mail_to(&team.bob.email).await;
}
