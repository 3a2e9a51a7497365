//! Invites are mailed, always.

use testkit::json;

use super::{board, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_is_mailed_with_a_link_that_accepts_it() {
    let board = board().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    dave.patch("/auth/me/", json!({"email_notifications": "none"})).await.is(200);
    let path = format!("/orgs/{}/invite/", team.org);
    let made = team.alice.post(&path, json!({"email": dave.email})).await.is(201);

    let mail = board.mailbox().mail_to(&dave.email).await;
    assert_eq!(mail.subject, "You are invited to join “Acme” on ChatBoard");
    assert!(mail.text.contains("“Alice” invited you"), "{}", mail.text);
    assert_ne!(token(&mail, "invite"), made["token"].as_str().unwrap());
    let accepted = json!({"token": token(&mail, "invite")});
    dave.post("/orgs/accept-invite/", accepted).await.is(200);
    assert!(mail.header("Message-ID").unwrap().starts_with("<mail-"));
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    // Its token is forgotten with that.
    testkit::eventually("the mail is recorded as sent", testkit::DEADLINE, || async {
        let sent = "select count(*) from mails where status = 'sent' and secret is null";
        (board.count(sent).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_account_is_invited_too_and_a_withdrawn_invite_is_not_mailed() {
    let board = board().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    board.mailbox().goes_away().await;
    let made = team.alice.post(&path, json!({"email": "late@chat.test"})).await.is(201);
    team.alice.delete(&format!("/orgs/{}/invites/{}/", team.org, made["id"])).await.is(204);
    board.mailbox().comes_back().await;
    team.carol.post(&path, json!({"email": "New@Chat.test"})).await.is(201);
    let mail = board.mailbox().mail_to("new@chat.test").await;
    assert!(mail.text.contains("“Carol” invited you"), "{}", mail.text);
    testkit::eventually("the withdrawn one is dropped", testkit::DEADLINE, || async {
        (board.count("select count(*) from mails where status = 'dropped'").await == 1)
            .then_some(())
    })
    .await;
    assert!(board.mailbox().mails_to("late@chat.test").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_stay_in_their_place() {
    let board = board().await;
    let team = board.team().await;
    board
        .sql(
            "update users set first_name = e'<b>Al</b>\\r\\nBcc: eve@chat.test\\r\\n\\r\\nHi'; \
             update organizations set name = '<script>x</script> & \"co\"'",
        )
        .await;
    let path = format!("/orgs/{}/invite/", team.org);
    team.alice.post(&path, json!({"email": "dave@chat.test"})).await.is(201);
    let mail = board.mailbox().mail_to("dave@chat.test").await;
    assert_eq!(mail.subject, "You are invited to join “<script>x</script> & co” on ChatBoard");
    assert_eq!(mail.header("Bcc"), None);
    assert_eq!(mail.recipients, ["dave@chat.test"]);
    let html = mail.html.unwrap();
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    let by = "“<b>Al</b> Bcc: eve@chat. test Hi” invited you";
    assert!(mail.text.contains(by), "{}", mail.text);
}
