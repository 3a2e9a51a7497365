//! What each user of the shipped configurations may hear and say.

use async_nats::ConnectOptions;
use futures_util::StreamExt;
use nats::streams::StreamSettings;
use testkit::{DEADLINE, NATS_PASSWORD, NatsProcess, eventually};

async fn as_user(server: &NatsProcess, user: &str) -> async_nats::Client {
    // People use the `nats` command, whose inbox is the usual one.
    let inbox = if user == "operator" { "_INBOX".to_owned() } else { format!("_INBOX_{user}") };
    ConnectOptions::with_user_and_password(user.to_owned(), NATS_PASSWORD.to_owned())
        .custom_inbox_prefix(inbox)
        .connect(server.address())
        .await
        .unwrap()
}

/// Whether what `sender` publishes on a subject reaches `hearer`, who listens by a pattern.
async fn reaches(
    server: &NatsProcess,
    (sender, subject): (&str, &str),
    hearer: (&str, &str),
) -> bool {
    let (sending, hearing) = (as_user(server, sender).await, as_user(server, hearer.0).await);
    let mut heard = hearing.subscribe(hearer.1.to_owned()).await.unwrap();
    // Both have been processed, or refused, by the time the server answers what came after.
    round_trip(&hearing, hearer.0).await;
    sending.publish(subject.to_owned(), "x".into()).await.unwrap();
    round_trip(&sending, sender).await;
    round_trip(&hearing, hearer.0).await;
    futures_util::FutureExt::now_or_never(heard.next()).flatten().is_some()
}

/// A question that nobody answers, on a subject that the user may publish on.
async fn round_trip(client: &async_nats::Client, user: &str) {
    let subject = match user {
        "edge" => "chat.rpc.ping",
        "api" | "relay" | "webhooks" | "notifier" => "chat.user.0",
        _ => "$JS.API.INFO",
    };
    let asked = client.request(subject.to_owned(), "".into()).await;
    let nobody = async_nats::client::RequestErrorKind::NoResponders;
    let is_answered = asked.as_ref().map_or_else(|error| error.kind() == nobody, |_| true);
    assert!(is_answered, "{user} hears no answer: {asked:?}");
}

#[tokio::test]
async fn with_the_shipped_permissions_no_role_hears_or_forges_the_answers_to_another() {
    let server = NatsProcess::shipped("server.conf").await;
    // What must work: an api answers an edge, and edges tell who is online.
    assert!(reaches(&server, ("api", "_INBOX_edge.a.1"), ("edge", "_INBOX_edge.a.*")).await);
    for listener in ["api", "relay", "notifier", "edge"] {
        let (said, call) = ("chat.edge.a.beat", "chat.edge.roll.call");
        assert!(reaches(&server, ("edge", said), (listener, "chat.edge.*.beat")).await);
        assert!(reaches(&server, (listener, call), ("edge", call)).await, "{listener}");
    }
    for sender in ["api", "relay"] {
        for push in ["chat.edge.a.push", "chat.edge.all.push"] {
            assert!(reaches(&server, (sender, push), ("edge", push)).await, "{sender}: {push}");
        }
    }
    // Overhearing an answer that is meant for an edge.
    for thief in ["webhooks", "notifier", "relay", "migrate", "operator"] {
        for pattern in ["_INBOX_edge.>", ">", "_INBOX_edge.a.1"] {
            let heard = reaches(&server, ("api", "_INBOX_edge.a.1"), (thief, pattern)).await;
            assert!(!heard, "{thief} overhears by {pattern}");
        }
    }
    // An edge forging the signing keys for another edge, and answers to the other roles.
    for victim in ["edge", "api", "relay", "webhooks", "notifier", "migrate"] {
        let inbox = format!("_INBOX_{victim}.a.1");
        let pattern = format!("_INBOX_{victim}.a.*");
        let is_forged = reaches(&server, ("edge", &inbox), (victim, &pattern)).await;
        assert!(!is_forged, "an edge answers for {victim}");
    }
    // An edge hears no question, and writes no log, push or revocation.
    assert!(!reaches(&server, ("edge", "chat.rpc.keys"), ("edge", "chat.rpc.*")).await);
    let pushes = ["chat.edge.a.push", "chat.edge.all.push", "chat.user.1"];
    for subject in pushes.into_iter().chain(["chat.room.1.log", "chat.revoked"]) {
        assert!(!reaches(&server, ("edge", subject), ("edge", subject)).await, "{subject}");
    }
}

/// Waits until the server has logged that a user may not do something with a subject.
async fn refuses(server: &NatsProcess, user: &str, (verb, subject): (&str, &str)) {
    let (verb, quoted) = (format!("{verb} Violation"), format!("\"{subject}\""));
    eventually(&format!("{user}: {verb} for {subject}"), DEADLINE, async || {
        let lines = server.violations();
        let mut of_subject = lines.iter().filter(|line| line.contains(&quoted));
        of_subject.any(|line| line.contains(&verb) && line.contains(user)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_role_may_subscribe_to_the_inbox_of_another() {
    let server = NatsProcess::shipped("server.conf").await;
    let inboxes =
        ["_INBOX.>", "_INBOX_api.>", "_INBOX_edge.>", "_INBOX_migrate.>", "_INBOX_relay.>"];
    for thief in ["webhooks", "notifier"] {
        let client = as_user(&server, thief).await;
        let others = [">", "*.>", "chat.rpc.*", "chat.room.*.log", "chat.edge.*.push"];
        for inbox in inboxes.into_iter().chain(others) {
            let _heard = client.subscribe(inbox).await.unwrap();
            refuses(&server, thief, ("Subscription", inbox)).await;
        }
    }
}

#[tokio::test]
async fn an_operator_sees_the_streams_and_changes_nothing() {
    let server = NatsProcess::shipped("server.conf").await;
    let migrate = super::connected(&server.url_of("migrate"), "chat").await;
    nats::streams::migrate(&migrate, StreamSettings::default()).await.unwrap();
    let operator = as_user(&server, "operator").await;
    let asked = operator.request("$JS.API.STREAM.INFO.ROOMS", "".into()).await.unwrap();
    let info: serde_json::Value = serde_json::from_slice(&asked.payload).unwrap();
    assert_eq!(info["config"]["name"], "ROOMS", "{info}");
    for subject in ["$JS.API.STREAM.DELETE.ROOMS", "$JS.API.STREAM.PURGE.ROOMS", "chat.revoked"] {
        operator.publish(subject, "".into()).await.unwrap();
        refuses(&server, "operator", ("Publish", subject)).await;
    }
    let system = as_user(&server, "sys").await;
    let asked = system.request("$SYS.REQ.SERVER.PING", "".into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&asked.payload).unwrap();
    assert_eq!(answer["server"]["name"], "n1", "{answer}");
}
