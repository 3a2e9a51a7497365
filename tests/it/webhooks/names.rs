//! Hosts whose name server does not answer cost nobody else anything.

use std::time::Duration;

use futures_util::future::join_all;
use outbound::{Guard, Names};
use testkit::{Board, NameServer, PASSWORD, Person, Receiver, Value, eventually, json, within};

use super::{admin, newest_is};

/// Webhooks of one organization: as many as it may have, less one.
const ORG_HOOKS: usize = 49;

async fn board_asking(names: &NameServer) -> Board {
    let worker = webhooks::Config {
        guard: Guard::new(vec!["127.0.0.0/8".parse().unwrap()], Names::by(&[names.address()])),
        retry_schedule: vec![Duration::from_secs(60); 3],
        ..webhooks::Config::default()
    };
    Board::builder().webhooks_by(worker).start().await
}

async fn makes_hook(admin: &Person, org: i64, url: &str) -> Value {
    let body = json!({"org": org, "url": url, "events": ["message.created"]});
    admin.post("/webhooks/", body).await.is(201)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_silent_hosts_hold_up_neither_sign_ins_nor_sends() {
    let names = NameServer::start().await;
    let board = board_asking(&names).await;
    let (alice, _) = admin(&board).await;
    let bob = board.person("bob").await;
    let org = bob.makes_org("Quiet").await;
    let room = bob.makes_room(org, "general", "PUBLIC").await;
    let flood = async {
        let mut hooks = Vec::new();
        for number in 0..8 {
            let org = alice.makes_org("Acme").await;
            let alice = alice.clone();
            hooks.extend((0..ORG_HOOKS).map(move |hook| {
                let alice = alice.clone();
                let url = format!("http://h{number}-{hook}.silent.example/");
                async move { makes_hook(&alice, org, &url).await }
            }));
        }
        join_all(hooks).await.len()
    };
    let bystander = async {
        let asked = "the name server is asked for silent hosts";
        eventually(asked, Duration::from_secs(20), || {
            std::future::ready((names.names() >= 64).then_some(()))
        })
        .await;
        let body = json!({"email": bob.email, "password": PASSWORD});
        for number in 0..5 {
            within("a sign-in", bob.post("/auth/token/", body.clone())).await.is(200);
            within("a send", bob.posts(room, &format!("{number}"))).await;
        }
    };
    let (made, ()) = tokio::join!(flood, bystander);
    assert_eq!(made, 8 * ORG_HOOKS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_hosts_delay_no_delivery_of_the_same_organization() {
    let names = NameServer::start().await;
    let board = board_asking(&names).await;
    let (alice, org) = admin(&board).await;
    let room = alice.makes_room(org, "general", "PUBLIC").await;
    let receiver = Receiver::start().await;
    let url = format!("http://hook.local.example:{}/", receiver.port());
    let answering = makes_hook(&alice, org, &url).await;
    let silent = (0..ORG_HOOKS).map(|number| {
        let (alice, url) = (alice.clone(), format!("http://h{number}.silent.example/"));
        async move { makes_hook(&alice, org, &url).await }
    });
    join_all(silent).await;
    alice.posts(room, "hello").await;
    receiver.gets(1).await;
    newest_is(&alice, &answering, "sent").await;
}

#[tokio::test]
async fn hosts_are_resolved_by_the_configured_name_servers_and_checked() {
    let names = NameServer::start().await;
    let worker = webhooks::Config {
        guard: Guard::new(vec![], Names::by(&[names.address()])),
        ..webhooks::Config::default()
    };
    let board = Board::builder().webhooks_by(worker).start().await;
    let (alice, org) = admin(&board).await;
    makes_hook(&alice, org, "http://hook.public.example/").await;
    let body =
        json!({"org": org, "url": "http://hook.local.example/", "events": ["message.created"]});
    assert!(alice.post("/webhooks/", body).await.is(422)["errors"]["url"].is_array());
    assert_eq!(names.names(), 2);
}
