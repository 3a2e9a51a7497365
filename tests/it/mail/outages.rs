//! Mail servers and notifiers that die.

use testkit::{Board, DEADLINE, eventually, json};

use super::{DELAY, board};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_away_delays_and_loses_nothing() {
    let board = board().await;
    let team = board.team().await;
    board.mailbox().goes_away().await;
    let path = format!("/orgs/{}/invite/", team.org);
    for number in 0..5 {
        let invite = json!({"email": format!("new{number}@chat.test")});
        team.alice.post(&path, invite).await.is(201);
    }
    eventually("all were tried", DEADLINE, || async {
        let tried = "select count(*) from mails where attempts > 0 and status = 'due'";
        (board.count(tried).await == 5).then_some(())
    })
    .await;
    board.mailbox().comes_back().await;
    for number in 0..5 {
        board.mailbox().mail_to(&format!("new{number}@chat.test")).await;
    }
    eventually("all are recorded", DEADLINE, || async {
        let sent = "select count(*) from mails where status = 'sent'";
        (board.count(sent).await == 5).then_some(())
    })
    .await;
    for number in 0..5 {
        let mails = board.mailbox().mails_to(&format!("new{number}@chat.test")).await;
        assert_eq!(mails.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notifier_killed_while_it_hands_over_sends_no_digest_twice() {
    let board = Board::builder().mails_after(DELAY).processes().edges(1).start().await;
    let team = board.team().await;
    board.mailbox().withhold_answers(true).await;
    team.alice.posts(team.room, &format!("hello @{}", team.bob.email)).await;
    let invite = json!({"email": "dave@chat.test"});
    team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    board.mailbox().mail_to(&team.bob.email).await;
    board.mailbox().mail_to("dave@chat.test").await;
    {
        let mut processes = board.processes().await;
        let notifier = processes.last_mut().unwrap();
        notifier.kill();
        board.mailbox().withhold_answers(false).await;
        // Long enough ago for the next one to notice.
        board.sql("update mails set handed_at = handed_at - interval '1 hour'").await;
        notifier.start_again();
        notifier.ready(board.http()).await;
    }
    // The invite goes out again, the digest does not.
    board.mailbox().mail_to("dave@chat.test").await;
    eventually("both are settled", DEADLINE, || async {
        let sent = "select count(*) from mails where status = 'sent'";
        (board.count(sent).await == 2).then_some(())
    })
    .await;
    assert_eq!(board.mailbox().mails_to(&team.bob.email).await.len(), 1);
    let decided =
        "select count(*) from notification_decisions where outcome = 'sent' and channel = 'email'";
    assert_eq!(board.count(decided).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_outlive_nats_and_all_that_it_stored() {
    let board = Board::builder().own_servers().mails_after(DELAY).start().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    team.alice.post(&path, json!({"email": "before@chat.test"})).await.is(201);
    board.mailbox().mail_to("before@chat.test").await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).expect("nats-server can be killed");
    team.alice.post(&path, json!({"email": "during@chat.test"})).await.is(201);
    tokio::task::block_in_place(|| nats.wipe_store()).expect("its store can be removed");
    tokio::task::block_in_place(|| nats.start_again()).expect("nats-server comes back");
    board.mailbox().mail_to("during@chat.test").await;
    assert_eq!(board.mailbox().mails_to("before@chat.test").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_notifiers_share_the_work_and_double_nothing() {
    let board = Board::builder().mails_after(DELAY).notifiers(3).start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    let mut people = Vec::new();
    for _ in 0..10 {
        let person = board.person("reader").await;
        board.put_into_org(org, &person, "MEMBER").await;
        people.push(person);
    }
    let room = alice.makes_room_for_all(org, "general").await;
    for number in 0..3 {
        alice.posts(room, &format!("@room {number}")).await;
    }
    for person in &people {
        board.mailbox().mail_to(&person.email).await;
    }
    eventually("all are settled", DEADLINE, || async {
        let open = "select count(*) from mails where status <> 'sent'";
        (board.count(open).await == 0).then_some(())
    })
    .await;
    for person in &people {
        assert_eq!(board.mailbox().mails_to(&person.email).await.len(), 1);
    }
}
