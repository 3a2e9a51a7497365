//! After its time, what was said is nowhere: not in the record, not in what the bus keeps, not
//! among the files.

use std::path::Path;

use nats::bus::Bus;
use nats::subjects::Subjects;
use testkit::{Board, DEADLINE, Reaction, Receiver, Value, eventually, json};

use super::{DAY, for_long};

/// What sings.
const CANARY: &str = "canary-7f3a91";

/// Tables that hold the canary, each with one of its rows.
async fn singing(board: &Board) -> Vec<String> {
    let tables = "select string_agg(format('select %L || '' '' || left(r, 300) from (
                      select t::text as r from %I t) x where r like ''%%canary-7f3a91%%''',
                      tablename, tablename), ' union all ')
                  from pg_tables where schemaname = 'public'";
    let sql = board.texts(tables).await.remove(0);
    board.texts(&sql).await
}

/// Whether any file below a folder holds the canary.
fn sings_in(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return sings_in(&path);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    })
}

/// Has the stream of rooms forget within seconds.
async fn forget_soon(bus: &Bus) {
    let api = |verb: &str| format!("$JS.API.STREAM.{verb}.{}", bus.subjects().scoped("ROOMS"));
    let info = bus.client().request(api("INFO"), "".into()).await.unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    let mut config = info["config"].clone();
    config["max_age"] = json!(2_000_000_000_u64);
    config["duplicate_window"] = json!(1_000_000_000_u64);
    let answer = bus.client().request(api("UPDATE"), config.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert!(answer["error"].is_null(), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_time_what_was_said_is_nowhere() {
    let board = Board::builder().own_servers().edges(1).webhooks().janitors(2).start().await;
    let team = board.team().await;
    let (alice, bob) = (for_long(&team.alice), for_long(&team.bob));
    let receiver = Receiver::start().await;
    let hook = json!({"org": team.org, "url": receiver.url(),
        "events": ["message.created", "message.updated", "message.deleted"]});
    alice.post("/webhooks/", hook.clone()).await.is(201);
    // An endpoint that never takes anything: its deliveries wait.
    let deaf = Receiver::start().await;
    deaf.always(Reaction::Status(500));
    let mut other = hook;
    other["url"] = json!(deaf.url());
    alice.post("/webhooks/", other).await.is(201);

    let send = json!({"body": format!("{CANARY} @{} @room", alice.email), "nonce": CANARY,
        "file_url": format!("https://files.example/{CANARY}.png")});
    let said = bob.post(&format!("/messages/rooms/{}/", team.room), send).await.is(201);
    let dm = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = alice.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    alice.posts(dm, &format!("psst {CANARY}")).await;
    let path = format!("/messages/{}/", said["id"]);
    let file = format!("what {CANARY} sang");
    let name = format!("{CANARY}.txt");
    let posted = bob.uploads(&name, "text/plain", file.as_bytes()).await;
    bob.posts_file(team.room, &posted).await;
    bob.uploads(&name, "text/plain", file.as_bytes()).await;
    board.settle().await;
    bob.patch(&path, json!({"body": format!("{CANARY}, edited @{}", alice.email)})).await.is(200);
    let reply = json!({"body": format!("{CANARY} too"), "reply_to": said["id"]});
    alice.post(&format!("/messages/rooms/{}/", team.room), reply).await.is(201);
    receiver.gets(4).await;
    board.settle().await;
    let store = board.servers().nats.store();
    let files = board.files().store().folder();
    assert!(sings_in(files), "among the files");
    assert!(singing(&board).await.len() >= 5, "it sings while it may");
    assert!(sings_in(&store), "in the stream too");

    let nats = board.servers().nats.url();
    let bus = Bus::connect(&nats, Subjects::new(board.prefix()), "test").await.unwrap();
    let mut connections = bus.connections();
    testkit::within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    forget_soon(&bus).await;
    board.clock.advance(91 * DAY);
    eventually("the record is silent", DEADLINE, async || {
        singing(&board).await.is_empty().then_some(())
    })
    .await;
    eventually("the files are silent", DEADLINE, async || (!sings_in(files)).then_some(())).await;
    assert_eq!(board.files().keys(), Vec::<String>::new());
    // What came last lies in a file until something comes after it.
    bob.posts(team.room, "onward").await;
    eventually("the stream is silent", DEADLINE, async || (!sings_in(&store)).then_some(())).await;
    assert_eq!(bob.history(team.room).await.len(), 1);
}
