//! Trying again: by the schedule, by hand, after a crash.

use std::time::Duration;

use testkit::{Board, Reaction, Receiver, json};

use super::{admin, events, hook, newest_is, test};

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id() {
    let board = Board::builder().webhooks().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    receiver.next(Reaction::Status(500));
    receiver.next(Reaction::Header(302, "location", elsewhere.url()));
    receiver.next(Reaction::Header(429, "retry-after", "1".to_owned()));
    let made = hook(&alice, org, &receiver).await;
    let event = test(&alice, &made).await;
    let calls = receiver.gets(4).await;
    assert!(calls.iter().all(|one| one.id() == event && one.sequence() == 1));
    assert!(calls.iter().all(|one| one.body == calls[0].body));
    let sent = newest_is(&alice, &made, "sent").await;
    assert_eq!(sent["retries"], 3);
    assert_eq!(sent["last_error"], json!(null));
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
}

#[tokio::test]
async fn what_fails_to_the_end_can_be_replayed() {
    let config = webhooks_config(vec![Duration::from_millis(100)]);
    let board = Board::builder().webhooks_by(config).start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(503));
    let made = hook(&alice, org, &receiver).await;
    let first = test(&alice, &made).await;
    let failed = newest_is(&alice, &made, "failed").await;
    assert_eq!(failed["retries"], 1);
    assert_eq!(failed["last_status_code"], 503);
    assert_eq!(failed["last_error"], "the endpoint answered 503");
    assert_eq!(failed["next_attempt_at"], json!(null));

    let before = receiver.received().len();
    receiver.always(Reaction::Status(204));
    let path = format!("/webhooks/{}/events/{first}/retry/", made["id"]);
    assert_eq!(alice.post(&path, json!({})).await.is(202)["event_id"], first.as_str());
    assert_eq!(receiver.gets(before + 1).await[before].id(), first);
    newest_is(&alice, &made, "sent").await;
    // From any state.
    alice.post(&path, json!({})).await.is(202);
    receiver.gets(before + 2).await;
    let unknown = format!("/webhooks/{}/events/evt_none/retry/", made["id"]);
    alice.post(&unknown, json!({})).await.is(404);

    // Everything since a time.
    newest_is(&alice, &made, "sent").await;
    receiver.always(Reaction::Status(500));
    let second = test(&alice, &made).await;
    newest_is(&alice, &made, "failed").await;
    let third = test(&alice, &made).await;
    newest_is(&alice, &made, "failed").await;
    receiver.always(Reaction::Status(200));
    let before = receiver.received().len();
    let since = events(&alice, &made).await[1]["created_at"].clone();
    let path = format!("/webhooks/{}/retry-failed/", made["id"]);
    assert_eq!(alice.post(&path, json!({"since": since})).await.is(202)["count"], 2);
    let again = receiver.gets(before + 2).await.split_off(before);
    let mut again: Vec<&str> = again.iter().map(testkit::Received::id).collect();
    again.sort_unstable();
    let mut wanted = [second.as_str(), third.as_str()];
    wanted.sort_unstable();
    assert_eq!(again, wanted);
    alice.post(&path, json!({"since": "yesterday"})).await.is(422);
    // Without a time it is everything that has failed: by now nothing has.
    assert_eq!(alice.post(&path, json!({})).await.is(202)["count"], 0);
    receiver.always(Reaction::Status(500));
    let last = test(&alice, &made).await;
    newest_is(&alice, &made, "failed").await;
    receiver.always(Reaction::Status(200));
    let before = receiver.received().len();
    assert_eq!(alice.call("POST", &path, None).await.is(202)["count"], 1);
    assert_eq!(receiver.gets(before + 1).await[before].id(), last);
}

#[tokio::test]
async fn an_attempt_cut_off_by_a_crash_is_made_again() {
    let board = Board::builder().webhooks().processes().start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    receiver.next(Reaction::Hang);
    let made = hook(&alice, org, &receiver).await;
    let event = test(&alice, &made).await;
    receiver.gets(1).await;
    board.crash(board.webhooks_process()).await;
    // The claim of the one that died runs out.
    board
        .sql(
            "update webhook_outbox set claimed_until = now(), hand_out_at = null \
              where claimed_until > now()",
        )
        .await;
    assert_eq!(receiver.gets(2).await[1].id(), event);
    assert_eq!(newest_is(&alice, &made, "sent").await["id"], event.as_str());
}

pub(super) fn webhooks_config(retry_schedule: Vec<Duration>) -> webhooks::Config {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    webhooks::Config {
        guard: outbound::Guard::new(allowed, outbound::Names::default()),
        retry_schedule,
        ..webhooks::Config::default()
    }
}
