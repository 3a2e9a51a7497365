//! What ADMINs are told of their webhooks.

use testkit::{Board, Reaction, Receiver, json};

use super::DELAY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_are_mailed_when_a_webhook_is_disabled() {
    let board = Board::builder().webhooks().mails_after(DELAY).start().await;
    let team = board.team().await;
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(410));
    let hook = json!({"org": team.org, "url": receiver.url(), "events": ["message.created"]});
    let made = team.alice.post("/webhooks/", hook).await.is(201);
    team.alice.post(&format!("/webhooks/{}/test/", made["id"]), json!({})).await.is(202);
    let mail = board.mailbox().mail_to(&team.alice.email).await;
    assert_eq!(mail.subject, "A webhook of “Acme” has been disabled");
    // Its address is named, not linked.
    let port = receiver.url().rsplit(':').next().unwrap().to_owned();
    assert!(mail.text.contains(&port) && !mail.text.contains(&receiver.url()), "{}", mail.text);
    assert!(mail.text.contains("410"), "{}", mail.text);
    assert_eq!(mail.header("List-Unsubscribe"), None);
    for other in [&team.bob, &team.carol] {
        assert!(board.mailbox().mails_to(&other.email).await.is_empty());
    }
}
