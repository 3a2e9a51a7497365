//! What happens to endpoints that fail, hang or are switched off.

use std::time::Duration;

use testkit::{Board, Reaction, Receiver, json};

use super::retries::webhooks_config;
use super::{admin, events, hook, newest_is, test};

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_its_admins_are_told() {
    let board = Board::builder().webhooks().start().await;
    let team = board.team().await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(410));
    let made = hook(&team.alice, team.org, &receiver).await;
    test(&team.alice, &made).await;
    let failed = newest_is(&team.alice, &made, "failed").await;
    assert_eq!(failed["last_status_code"], 410);
    let path = format!("/webhooks/{}/", made["id"]);
    let shown = team.alice.get(&path).await.is(200);
    assert_eq!(shown["is_active"], false);
    assert_eq!(shown["disabled_reason"], "the endpoint answered 410 Gone");
    let told = "select count(*) from mails where kind = 'webhook_disabled'";
    assert_eq!(board.count(told).await, 1);

    receiver.always(Reaction::Status(200));
    let shown = team.alice.patch(&path, json!({"is_active": true})).await.is(200);
    assert_eq!(shown["disabled_reason"], json!(null));
    let retry = format!("{path}events/{}/retry/", failed["id"].as_str().unwrap());
    team.alice.post(&retry, json!({})).await.is(202);
    newest_is(&team.alice, &made, "sent").await;
}

#[tokio::test]
async fn admins_are_told_after_the_fourth_failure_in_a_row_and_after_five_days() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(500));
    let made = hook(&alice, org, &receiver).await;
    test(&alice, &made).await;
    receiver.gets(3).await;
    newest_is(&alice, &made, "failed").await;
    let failing = "select count(*) from mails where kind = 'webhook_failing'";
    assert_eq!(board.count(failing).await, 1);
    assert_eq!(receiver.received().len(), 8);

    board.clock.advance(Duration::from_secs(5 * 24 * 3600));
    let alice = alice.on_another_device(&board).await;
    test(&alice, &made).await;
    newest_is(&alice, &made, "failed").await;
    let shown = alice.get(&format!("/webhooks/{}/", made["id"])).await.is(200);
    assert_eq!(shown["is_active"], false);
    assert_eq!(shown["disabled_reason"], "nothing but failures for 5 days");
    let told = "select count(*) from mails where kind = 'webhook_disabled'";
    assert_eq!(board.count(told).await, 1);
    assert_eq!(board.count(failing).await, 1);
}

#[tokio::test]
async fn what_was_parked_when_its_worker_died_goes_on_without_it() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.next(Reaction::Status(500));
    let made = hook(&alice, org, &receiver).await;
    test(&alice, &made).await;
    receiver.gets(1).await;
    newest_is(&alice, &made, "sent").await;
    // As it is left by a worker that dies, or is a moment late, when a broken endpoint is back.
    let parked = "update webhook_outbox set status = 'retrying', next_attempt_at = now(), \
                  hand_out_at = now() + interval '1 hour'";
    board.sql(parked).await;
    newest_is(&alice, &made, "sent").await;
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn a_broken_endpoint_gets_one_probe_at_a_time_and_then_everything() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(500));
    let made = hook(&alice, org, &receiver).await;
    for _ in 0..20 {
        test(&alice, &made).await;
    }
    receiver.gets(7).await;
    receiver.always(Reaction::Status(200));
    testkit::eventually("all is sent", Duration::from_secs(30), || async {
        let events = events(&alice, &made).await;
        events.iter().all(|event| event["status"] == "sent").then_some(())
    })
    .await;
    let mut ids: Vec<String> =
        receiver.received().iter().map(|received| received.id().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    let broken = "select count(*) from webhooks where probe_at is not null or failures_in_row > 0";
    assert_eq!(board.count(broken).await, 0);
}

#[tokio::test]
async fn an_endpoint_that_lets_an_attempt_wait_in_vain_is_tried_by_probes_until_it_answers() {
    let config = webhooks::Config {
        timeout: Duration::from_millis(300),
        ..webhooks_config(vec![Duration::from_millis(500); 7])
    };
    let board = Board::builder().webhooks_by(config).start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Hang);
    let made = hook(&alice, org, &receiver).await;
    for _ in 0..5 {
        test(&alice, &made).await;
    }
    testkit::eventually("it is broken", Duration::from_secs(20), || async {
        let broken = "select count(*) from webhooks where probe_at is not null";
        (board.count(broken).await == 1).then_some(())
    })
    .await;
    let parked = "select count(*) from webhook_outbox
                  where next_attempt_at is not null and hand_out_at > now() + interval '5 minutes'";
    testkit::eventually("the others are parked", Duration::from_secs(20), || async {
        (board.count(parked).await >= 3).then_some(())
    })
    .await;
    receiver.gets(3).await;
    receiver.always(Reaction::Status(200));
    testkit::eventually("all is sent", Duration::from_secs(30), || async {
        let events = events(&alice, &made).await;
        events.iter().all(|event| event["status"] == "sent").then_some(())
    })
    .await;
}

#[tokio::test]
async fn endpoints_that_hang_do_not_delay_another() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    slow.always(Reaction::Hang);
    let mut hanging = Vec::new();
    for _ in 0..20 {
        hanging.push(hook(&alice, org, &slow).await);
    }
    let healthy = hook(&alice, org, &fast).await;
    for hook in &hanging {
        test(&alice, hook).await;
        test(&alice, hook).await;
    }
    slow.gets(20).await;
    test(&alice, &healthy).await;
    fast.gets(1).await;
    // One at a time for an endpoint of which nothing is known.
    assert_eq!(slow.received().len(), 20);
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_switched_off_has_failed() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Hang);
    let made = hook(&alice, org, &receiver).await;
    test(&alice, &made).await;
    test(&alice, &made).await;
    receiver.gets(1).await;
    alice.patch(&format!("/webhooks/{}/", made["id"]), json!({"is_active": false})).await.is(200);
    for event in events(&alice, &made).await {
        assert_eq!(event["status"], "failed");
        assert_eq!(event["last_error"], "the webhook was deactivated");
    }
}
