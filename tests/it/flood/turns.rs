//! What one organization or user has a lot of, and what another then waits for: nothing.

use std::time::Duration;

use testkit::{Board, DEADLINE, Receiver, eventually, json};

/// Events that wait to be planned. Each is made to take 10 ms.
const BACKLOG: i64 = 3_000;
/// Until all of them are on the stream, and until all of them are planned.
const PATIENCE: Duration = Duration::from_secs(90);
/// Statements that wait for a lock.
const LOCK_WAITS: &str = "select count(*) from pg_stat_activity \
                          where wait_event_type = 'Lock' and datname = current_database()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_behind_the_backlog_of_another_organization() {
    let board = Board::builder().webhooks().start().await;
    let (mallory, _, noise) = board.two_members_of("noise").await;
    let (dave, erin, quiet) = board.two_members_of("quiet").await;
    let receiver = Receiver::start().await;
    let org = dave.room(quiet).await["org"].as_i64().unwrap();
    let hook = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
    dave.post("/webhooks/", hook).await.is(201);
    board.settle().await;
    board
        .sql(&format!(
            "create function slow() returns trigger language plpgsql as $$ begin
                 if old.room_id = {noise} then perform pg_sleep(0.01); end if;
                 return old;
             end $$;
             create trigger slow before delete on outbox for each row execute function slow();
             insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at)
             select org_id, id, last_seq + n, {sender}, 'noise', '',
                    now() + n * interval '1 microsecond'
             from rooms, generate_series(1, {BACKLOG}) n where id = {noise};
             insert into outbox (room_id, seq, publish_after)
             select room_id, seq, now() - interval '1 minute' from messages
             where room_id = {noise} and body = 'noise';
             update rooms set last_seq = last_seq + {BACKLOG} where id = {noise}",
            sender = mallory.id,
        ))
        .await;
    eventually("all of it is on the stream", PATIENCE, async || {
        let waiting = "select count(*) from outbox where attempts = 0";
        (board.count(waiting).await == 0).then_some(())
    })
    .await;
    dave.posts(quiet, &format!("@{} hello", erin.email)).await;
    let deliveries = receiver.gets(1).await;
    assert_eq!(deliveries[0].sequence(), 1);
    let told = erin.walks("/notifications/").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let waiting = board.count("select count(*) from outbox").await;
    assert!(waiting > 0, "the other organization's event came after all of the backlog");
    // Dropping the trigger would wait for a table that is in use.
    let quick = "create or replace function slow() returns trigger language plpgsql as
        $$ begin return old; end $$";
    board.sql(quick).await;
    eventually("the backlog is planned", PATIENCE, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(board.count("select count(*) from outbox_dead").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_commit_of_another_organization() {
    let board = std::sync::Arc::new(Board::start().await);
    let (mallory, _, noise) = board.two_members_of("noise").await;
    let (dave, _, quiet) = board.two_members_of("quiet").await;
    let held = board.holding(&format!("select from rooms where id = {noise} for update")).await;
    let path = format!("/messages/rooms/{noise}/");
    let slow = testkit::spawn(async move { mallory.post(&path, json!({"body": "x"})).await });
    eventually("the commit waits", DEADLINE, async || {
        (board.count(LOCK_WAITS).await > 0).then_some(())
    })
    .await;
    dave.posts(quiet, "hello").await;
    assert!(!slow.is_finished(), "one organization waited for another");
    held.release().await;
    slow.await.unwrap().is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_do_not_wait_for_requests_that_hold_all_other_connections() {
    let board = std::sync::Arc::new(Board::builder().api_connections(4).start().await);
    let (mallory, nick, _) = board.two_members_of("noise").await;
    let (dave, _, quiet) = board.two_members_of("quiet").await;
    let held = board.holding("lock table notifications in access exclusive mode").await;
    let slow: Vec<_> = [mallory, nick]
        .into_iter()
        .cycle()
        .take(12)
        .map(|one| testkit::spawn(async move { one.get("/notifications/").await.status }))
        .collect();
    eventually("the connections are in use", DEADLINE, async || {
        (board.count(LOCK_WAITS).await >= 4).then_some(())
    })
    .await;
    dave.posts(quiet, "hello").await;
    assert!(slow.iter().all(|one| !one.is_finished()), "a send waited for other requests");
    held.release().await;
    for one in slow {
        assert!([200, 503].contains(&one.await.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_one_user_run_a_few_at_a_time() {
    let board = std::sync::Arc::new(Board::builder().api_connections(8).start().await);
    let (mallory, _, _) = board.two_members_of("noise").await;
    let (dave, _, _) = board.two_members_of("quiet").await;
    let mallory = std::sync::Arc::new(mallory);
    let held = board.holding("lock table notifications in access exclusive mode").await;
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let mallory = mallory.clone();
            testkit::spawn(async move { mallory.get("/notifications/").await.status })
        })
        .collect();
    eventually("as many run as may", DEADLINE, || async {
        (board.count(LOCK_WAITS).await >= 2).then_some(())
    })
    .await;
    // More of them would hold all connections by now.
    for _ in 0..20 {
        dave.get("/auth/me/").await.is(200);
    }
    assert_eq!(board.count(LOCK_WAITS).await, 2);
    held.release().await;
    for one in slow {
        assert_eq!(one.await.unwrap(), 200, "reads that waited are answered");
    }
}

/// Searches that wait for a lock.
const SEARCHES_THAT_WAIT: &str = "select count(*) from pg_stat_activity \
                                  where wait_event_type = 'Lock' \
                                    and datname = current_database() and query like '%tsquery%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_of_one_user_run_one_at_a_time() {
    let board = std::sync::Arc::new(Board::start().await);
    let (mallory, _, _) = board.two_members_of("noise").await;
    let mallory = std::sync::Arc::new(mallory);
    let held = board.holding("lock table messages in access exclusive mode").await;
    let slow: Vec<_> = (0..4)
        .map(|number| {
            let mallory = mallory.clone();
            let path = format!("/messages/search/?q=word{number}");
            testkit::spawn(async move { mallory.get(&path).await.status })
        })
        .collect();
    eventually("one runs", DEADLINE, || async {
        (board.count(SEARCHES_THAT_WAIT).await >= 1).then_some(())
    })
    .await;
    // Each of the others would wait for the table too by now.
    for _ in 0..20 {
        board.count(SEARCHES_THAT_WAIT).await;
    }
    assert_eq!(board.count(SEARCHES_THAT_WAIT).await, 1);
    held.release().await;
    for one in slow {
        assert!([200, 503].contains(&one.await.unwrap()));
    }
}
