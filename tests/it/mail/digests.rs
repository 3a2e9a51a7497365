//! What someone missed while away.

use std::time::Duration;

use testkit::{Board, DEADLINE, Person, Team, eventually, json};

use super::board;

/// Long enough for a test to do what it must before mails are due: the clock is moved then.
const LATER: Duration = Duration::from_secs(60);

async fn patient_board() -> Board {
    Board::builder().mails_after(LATER).start().await
}

/// Mentions Bob, as planned.
async fn mentions(board: &Board, team: &Team, text: &str) -> i64 {
    let text = format!("{text} @{}", team.bob.email);
    let message = team.alice.posts(team.room, &text).await["id"].as_i64().unwrap();
    board.settle().await;
    message
}

/// Why the newest thing was not mailed; `sent` when it was.
async fn decided(board: &Board, expected: &str) {
    let sql: &'static str = match expected {
        "sent" => {
            "select count(*) from notification_decisions where outcome = 'sent' and channel = 'email'"
        }
        "read" => "select count(*) from notification_decisions where reason = 'read'",
        "online" => "select count(*) from notification_decisions where reason = 'online'",
        "deleted" => "select count(*) from notification_decisions where reason = 'deleted'",
        "muted" => "select count(*) from notification_decisions where reason = 'muted'",
        "preference" => "select count(*) from notification_decisions where reason = 'preference'",
        _ => "select count(*) from notification_decisions where reason = 'rate'",
    };
    eventually(&format!("the decision {expected}"), DEADLINE, || async {
        (board.count(sql).await > 0).then_some(())
    })
    .await;
}

async fn no_mail_to(board: &Board, who: &Person) {
    assert!(board.mailbox().mails_to(&who.email).await.is_empty());
    let pending = "select count(*) from notifications \
                   where email_due_at is not null or mail_id is not null";
    assert_eq!(board.count(pending).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_mentions_within_the_delay_are_one_mail() {
    let board = patient_board().await;
    let team = board.team().await;
    for number in 0..10 {
        mentions(&board, &team, &format!("<b>hello</b> {number}")).await;
    }
    board.clock.advance(LATER);
    let mail = board.mailbox().mail_to(&team.bob.email).await;
    decided(&board, "sent").await;
    assert_eq!(mail.subject, "10 new messages in “general” (“Acme”)");
    let html = mail.html.as_deref().unwrap();
    for number in 0..10 {
        let line = format!("> <b>hello</b> {number} @Bob");
        assert!(mail.text.lines().any(|one| one == line), "{}", mail.text);
        assert!(html.contains(&format!("hello&#60;/b&#62; {number} @Bob<")), "{html}");
    }
    assert!(!html.contains("<b>"), "{html}");
    assert!(mail.text.contains(&format!("/r/{}/m/", team.room)), "{}", mail.text);
    let thread = format!("<room-{}.user-{}@", team.room, team.bob.id);
    for name in ["References", "In-Reply-To"] {
        assert!(mail.header(name).unwrap().starts_with(&thread));
    }
    // What comes right after waits.
    mentions(&board, &team, "and another thing").await;
    board.clock.advance(LATER);
    decided(&board, "rate").await;
    assert_eq!(board.mailbox().mails_to(&team.bob.email).await.len(), 1);
    board.clock.advance(Duration::from_secs(16 * 60));
    let next = board.mailbox().mail_to(&team.bob.email).await;
    assert!(next.text.contains("and another thing"), "{}", next.text);
    assert_eq!(next.subject, "New mention by “Alice” in “general” (“Acme”)");
    assert!(next.header("References").unwrap().starts_with(&thread));
    assert_ne!(next.header("Message-ID"), mail.header("Message-ID"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_elsewhere_is_not_mailed() {
    let board = patient_board().await;
    let team = board.team().await;
    let message = mentions(&board, &team, "read me").await;
    team.bob.post_empty(&format!("/rooms/{}/read/{message}/", team.room)).await.is(200);
    board.clock.advance(LATER);
    decided(&board, "read").await;
    no_mail_to(&board, &team.bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_online_gets_no_mail_and_whose_client_is_killed_gets_it() {
    let board = board().await;
    let team = board.team().await;
    let socket = team.bob.opens_many(1).await;
    mentions(&board, &team, "are you there?").await;
    decided(&board, "online").await;
    assert!(board.mailbox().mails_to(&team.bob.email).await.is_empty());
    drop(socket);
    let mail = board.mailbox().mail_to(&team.bob.email).await;
    assert!(mail.text.contains("are you there?"), "{}", mail.text);
    decided(&board, "sent").await;
    let by_mail = "select count(*) from notification_decisions where channel = 'email'";
    assert_eq!(board.count(by_mail).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_message_is_not_mailed_and_an_edited_one_as_it_is_now() {
    let board = patient_board().await;
    let team = board.team().await;
    board.mailbox().goes_away().await;
    let gone = mentions(&board, &team, "gone").await;
    let edited = mentions(&board, &team, "first words").await;
    board.clock.advance(LATER);
    // The digest waits for the mail server when that happens.
    eventually("the digest is made", DEADLINE, || async {
        let tried = "select count(*) from mails where kind = 'digest' and attempts > 0";
        (board.count(tried).await == 1).then_some(())
    })
    .await;
    team.alice.delete(&format!("/messages/{gone}/")).await.is(204);
    let path = format!("/messages/{edited}/");
    team.alice.patch(&path, json!({"body": "second words"})).await.is(200);
    board.settle().await;
    board.clock.advance(LATER);
    board.mailbox().comes_back().await;
    let mail = board.mailbox().mail_to(&team.bob.email).await;
    assert!(mail.text.contains("second words"), "{}", mail.text);
    for old in ["gone", "first words"] {
        assert!(!mail.raw.contains(old), "{}", mail.raw);
    }
    decided(&board, "deleted").await;
    assert_eq!(mail.subject, "New mention by “Alice” in “general” (“Acme”)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_person_and_room_and_leaving_it_count_at_sending() {
    for (change, reason) in [
        ("update users set email_notifications = 'none'", "preference"),
        ("update room_members set notify = 'none'", "muted"),
        ("delete from room_members", "deleted"),
    ] {
        let board = patient_board().await;
        let team = board.team().await;
        mentions(&board, &team, "hello").await;
        board.sql(change).await;
        board.clock.advance(LATER);
        decided(&board, reason).await;
        no_mail_to(&board, &team.bob).await;
    }
    let board = patient_board().await;
    let team = board.team().await;
    let dm = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = team.alice.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    team.alice.posts(dm, "a word").await;
    board.settle().await;
    team.bob.patch("/auth/me/", json!({"email_notifications": "mentions"})).await.is(200);
    board.clock.advance(LATER);
    decided(&board, "preference").await;
    no_mail_to(&board, &team.bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_click_unsubscribes_and_a_look_does_not() {
    let board = board().await;
    let team = board.team().await;
    mentions(&board, &team, "hello").await;
    let mail = board.mailbox().mail_to(&team.bob.email).await;
    assert_eq!(mail.header("List-Unsubscribe-Post").unwrap(), "List-Unsubscribe=One-Click");
    let url = mail.header("List-Unsubscribe").unwrap();
    let url = url.trim_matches(['<', '>']);
    assert!(mail.html.unwrap().contains(url));
    let setting = || async {
        team.bob.get("/auth/me/").await.is(200)["email_notifications"].as_str().unwrap().to_owned()
    };
    let page = board.get(url).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("method=post"), "{}", page.text);
    assert_eq!(setting().await, "all");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let done = board.call("POST", url, &form, Some("List-Unsubscribe=One-Click")).await;
    assert_eq!(done.status, 200);
    assert_eq!(setting().await, "none");
    assert_eq!(board.call("POST", url, &[], None).await.status, 200);
    let path = "/notifications/unsubscribe/";
    for query in ["", "?token=x", "?token=00000000-0000-4000-8000-000000000000"] {
        board.call("POST", &format!("{path}{query}"), &[], None).await.refuses(404, "not_found");
    }
}
