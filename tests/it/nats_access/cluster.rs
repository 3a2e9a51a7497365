//! Three nats-servers with the shipped cluster configuration.

use async_nats::ConnectOptions;
use futures_util::StreamExt;
use nats::bus::Bus;
use nats::streams::StreamSettings;
use nats::subjects::Subjects;
use testkit::{DEADLINE, NATS_PASSWORD, NatsProcess, eventually, json};

async fn as_user(servers: &[NatsProcess], user: &str) -> async_nats::Client {
    let addresses: Vec<async_nats::ServerAddr> =
        servers.iter().map(|server| server.address().parse().unwrap()).collect();
    ConnectOptions::with_user_and_password(user.to_owned(), NATS_PASSWORD.to_owned())
        .connect(addresses)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_keep_three_copies_and_do_without_one_of_them() {
    let mut servers = NatsProcess::cluster().await;
    let urls: Vec<_> = servers.iter().map(|server| server.url_of("migrate")).collect();
    let migrate = super::connected(&urls.join(","), "chat").await;
    let settings = StreamSettings { replicas: 3, ..StreamSettings::default() };
    eventually("the streams are made", DEADLINE * 2, async || {
        nats::streams::migrate(&migrate, settings).await.ok()
    })
    .await;
    let urls: Vec<_> = servers.iter().map(|server| server.url_of("api")).collect();
    let api = Bus::connect(&urls.join(","), Subjects::new("chat"), "test").await.unwrap();
    let system = as_user(&servers, "sys").await;
    let inbox = system.new_inbox();
    let answers = system.subscribe(inbox.clone()).await.unwrap();
    system.publish_with_reply("$SYS.REQ.SERVER.PING", inbox, "".into()).await.unwrap();
    let names = testkit::within("three servers answer", async {
        let names = answers.take(3).map(|answer| {
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
            answer["server"]["name"].as_str().unwrap().to_owned()
        });
        names.collect::<std::collections::BTreeSet<_>>().await
    });
    assert_eq!(names.await.into_iter().collect::<Vec<_>>(), ["n1", "n2", "n3"]);

    servers.remove(0);
    let operator = as_user(&servers, "operator").await;
    let info = eventually("an event is kept with one server gone", DEADLINE * 2, async || {
        let event = json!({}).to_string();
        api.client().publish(api.subjects().room_log(1.into()), event.into()).await.ok()?;
        let asked = operator.request("$JS.API.STREAM.INFO.ROOMS", "".into()).await.ok()?;
        let info: serde_json::Value = serde_json::from_slice(&asked.payload).ok()?;
        (info["state"]["messages"].as_u64()? > 0).then_some(info)
    })
    .await;
    assert_eq!(info["config"]["num_replicas"], 3, "{info}");
    let violations: Vec<_> = servers.iter().flat_map(NatsProcess::violations).collect();
    assert_eq!(violations, Vec::<String>::new());
}
