//! A failover or a restore that lost acknowledged events is seen by every client.

use std::path::{Path, PathBuf};
use std::process::Command;

use nats::bus::Bus;
use nats::rpc::Fallen;
use nats::subjects::Subjects;
use testkit::{Board, Person, Socket, Value, binary, json};

/// A copy of a stopped cluster. Dropping it removes the copy.
struct Backup {
    copy: PathBuf,
}

impl Backup {
    /// Stops Postgres, copies its cluster, and starts it again.
    fn take(board: &Board) -> Self {
        let postgres = &board.servers().postgres;
        tokio::task::block_in_place(|| {
            postgres.stop_immediate().unwrap();
            let copy = postgres.data_folder().with_extension("backup");
            run("cp", &["-a".as_ref(), postgres.data_folder(), &copy]);
            postgres.start_again().unwrap();
            Self { copy }
        })
    }

    /// Stops Postgres, puts the copy in the place of its cluster, and starts it. A recovery to a
    /// point in time ends on a new timeline; a copied disk is on the old one.
    fn restore(self, board: &Board, is_recovery: bool) {
        let postgres = &board.servers().postgres;
        tokio::task::block_in_place(|| {
            postgres.stop_immediate().unwrap();
            let data = postgres.data_folder();
            run("rm", &["-rf".as_ref(), data]);
            run("cp", &["-a".as_ref(), &self.copy, data]);
            if is_recovery {
                let settings = data.join("postgresql.auto.conf");
                std::fs::write(settings, "restore_command = 'false'\n").unwrap();
                run(
                    "cp",
                    &["-a".as_ref(), &data.join("PG_VERSION"), &data.join("recovery.signal")],
                );
            }
            postgres.start_again().unwrap();
        });
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.copy);
    }
}

fn run(program: &str, arguments: &[&Path]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// Posts, as soon as that works: Postgres has just come back.
async fn posts_once_it_works(person: &Person, room: i64, body: &str) {
    let message = json!({"body": body, "nonce": body});
    testkit::eventually(body, testkit::DEADLINE, || async {
        let answer = person.post(&format!("/messages/rooms/{room}/"), message.clone()).await;
        [200, 201].contains(&answer.status).then_some(())
    })
    .await;
}

/// The epoch of what is read, as soon as that works: connections for reads are others than those for
/// sends, and may come back after them.
async fn epoch_of(person: &Person, room: i64) -> String {
    testkit::eventually("the room is read", testkit::DEADLINE, || async {
        let answer = person.get(&format!("/rooms/{room}/events/?limit=1")).await;
        (answer.status == 200).then(|| answer.header("chat-epoch").to_owned())
    })
    .await
}

/// Waits for `resync`; returns its `last_seq` and `epoch`.
async fn resynced(socket: &mut Socket) -> (i64, String) {
    let frame = socket.next_of_type("resync").await;
    (frame["last_seq"].as_i64().unwrap(), frame["epoch"].as_str().unwrap().to_owned())
}

async fn resumed(person: &Person, room: i64, query: &str) -> Socket {
    person.opening(0, &format!("/ws/rooms/{room}/?{query}")).served().await
}

fn new_epoch(board: &Board) -> String {
    let answer = Command::new(binary())
        .args(["admin", "new-epoch"])
        .env("CHATBOARD_DATABASE_URL", board.database_url())
        .output()
        .unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_lost_events_resyncs_every_client() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut of_room = bob.opens(0, room).await;
    let mut of_many = bob.opens_many(1).await;
    let subscribed = of_many.subscribes(room, None).await;
    let old = of_room.hello["epoch"].as_str().unwrap().to_owned();
    assert_eq!(subscribed["epoch"], old);
    for number in 1..=10 {
        alice.posts(room, &format!("kept {number}")).await;
    }
    let backup = Backup::take(&board);
    for number in 1..=5 {
        posts_once_it_works(&alice, room, &format!("lost {number}")).await;
    }
    for socket in [&mut of_room, &mut of_many] {
        socket.reaches(room, 15).await;
    }
    assert_eq!(epoch_of(&alice, room).await, old, "a restart is no new epoch");
    backup.restore(&board, true);
    for number in 1..=8 {
        posts_once_it_works(&alice, room, &format!("new {number}")).await;
    }
    let new = epoch_of(&alice, room).await;
    assert_ne!(new, old);
    let newest = "select reason from epochs order by number desc limit 1";
    assert_eq!(board.texts(newest).await, ["promoted"]);
    // Sockets that lived through it are told, and hear all that follows.
    for socket in [&mut of_room, &mut of_many] {
        let (last, epoch) = resynced(socket).await;
        assert_eq!(epoch, new);
        assert!((10..=18).contains(&last), "{last}");
        socket.reaches(room, 18).await;
        let bodies = socket.events(room).len();
        assert!(!socket.has("resync"), "told once: {bodies}");
    }
    posts_once_it_works(&alice, room, "after all").await;
    for socket in [&mut of_room, &mut of_many] {
        socket.sees("after all").await;
    }
    clients_come_back(&bob, room, &old, &new).await;
    board.settle().await;
}

/// The room's head is 19; the client had seen 15 in the old epoch.
async fn clients_come_back(bob: &Person, room: i64, old: &str, new: &str) {
    for query in [format!("after=12&epoch={old}"), "after=12&epoch=x".to_owned()] {
        let mut socket = resumed(bob, room, &query).await;
        assert_eq!(resynced(&mut socket).await, (19, new.to_owned()), "{query}");
    }
    for query in [format!("after=12&epoch={new}"), "after=12".into(), "after=12&epoch=".into()] {
        let mut socket = resumed(bob, room, &query).await;
        socket.reaches(room, 19).await;
        assert!(!socket.has("resync"), "{query}");
    }
    let mut many = bob.opens_many(0).await;
    many.sends(json!({"type": "subscribe", "room": room, "after": 12, "epoch": old})).await;
    assert_eq!(resynced(&mut many).await, (19, new.to_owned()));
    many.sends_text(&json!({"type": "subscribe", "room": room, "epoch": 5}).to_string()).await;
    many.is_refused("validation_failed").await;
    for path in [format!("/rooms/{room}/events/"), format!("/messages/rooms/{room}/")] {
        let refused = bob.get(&format!("{path}?after_seq=12&epoch={old}")).await;
        refused.refuses(409, "epoch_changed");
        assert_eq!(refused.header("chat-epoch"), new);
        let page = bob.get(&format!("{path}?after_seq=12&epoch={new}&limit=3")).await;
        assert_eq!(page.header("chat-epoch"), new);
        let next = page.is(200)["next"].as_str().unwrap().to_owned();
        assert!(next.contains(&format!("epoch={new}")), "{next}");
        bob.get(&next).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_fell_on_the_same_timeline_is_noticed() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut socket = bob.opens(0, room).await;
    let old = socket.hello["epoch"].as_str().unwrap().to_owned();
    alice.posts(room, "kept").await;
    let backup = Backup::take(&board);
    for number in 1..=3 {
        posts_once_it_works(&alice, room, &format!("lost {number}")).await;
    }
    socket.reaches(room, 4).await;
    backup.restore(&board, false);
    let (last, new) = resynced(&mut socket).await;
    assert_eq!(last, 1);
    assert_ne!(new, old);
    let newest = "select reason from epochs order by number desc limit 1";
    assert_eq!(board.texts(newest).await, ["head_fell"]);
    posts_once_it_works(&alice, room, "new").await;
    socket.sees("new").await;
    assert_eq!(epoch_of(&bob, room).await, new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_lies_about_heads_begins_one_epoch_a_minute_at_most() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    alice.posts(room, "one").await;
    let mut socket = bob.opens(0, room).await;
    let subjects = Subjects::new(board.prefix());
    let bus = Bus::connect(&board.servers().nats.url(), subjects, "liar").await.unwrap();
    let mut connections = bus.connections();
    connections.wait_for(|&count| count > 0).await.unwrap();
    let claims = async |seen: i64| {
        let epoch = domain::Epoch::parse(&epoch_of(&alice, room).await).unwrap();
        let claim = Fallen { room: room.into(), seen: seen.into(), epoch };
        bus.ask(&claim).await.unwrap().epoch != epoch
    };
    assert!(!claims(1).await, "Postgres has that event");
    assert!(claims(99).await, "nobody can tell a lie from a loss");
    for _ in 0..5 {
        assert!(!claims(99).await, "not again");
    }
    assert_eq!(board.count_once_back("select count(*) from epochs").await, 2);
    resynced(&mut socket).await;
    alice.posts(room, "two").await;
    socket.sees("two").await;
    assert!(!socket.has("resync"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_begins_an_epoch() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    alice.posts(room, "one").await;
    let mut sockets = [bob.opens(0, room).await, bob.opens(1, room).await];
    let epoch = new_epoch(&board);
    for socket in &mut sockets {
        assert_ne!(socket.hello["epoch"], epoch);
        assert_eq!(resynced(socket).await, (1, epoch.clone()));
    }
    alice.posts(room, "two").await;
    for socket in &mut sockets {
        socket.sees("two").await;
        assert!(!socket.has("resync"));
    }
    assert_eq!(epoch_of(&bob, room).await, epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_under_way_begins_again() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    board.fill_room(room, alice.id, 3_000).await;
    let mut socket = bob.resumes(0, room, 0).await;
    let epoch = new_epoch(&board);
    // Each frame's order is checked on its way: what comes after `resync` follows its `last_seq`.
    assert_eq!(resynced(&mut socket).await, (3_000, epoch));
    alice.posts(room, "live").await;
    socket.sees("live").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_notice_at_once_begin_one_epoch() {
    let board = Board::builder().apis(4).own_servers().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut before = epoch_of(&alice, room).await;
    for round in 1..=3 {
        let is_there = board.count_once_back("select count(*) from epochs").await;
        assert_eq!(is_there, round);
        board.sql("update epochs set system_identifier = system_identifier + 1").await;
        // A new connection of each node finds out, all at the same time.
        let postgres = &board.servers().postgres;
        tokio::task::block_in_place(|| postgres.restart_immediate()).expect("Postgres recovers");
        let mut known = Vec::new();
        for node in 0..4 {
            let address = format!("{}/api/v1/rooms/{room}/events/", board.api_node(node));
            let told = testkit::eventually("a new epoch", testkit::DEADLINE, || async {
                let answer = alice.get(&address).await;
                let epoch = answer.header("chat-epoch").to_owned();
                (answer.status == 200 && epoch != before).then_some(epoch)
            });
            known.push(told.await);
        }
        known.dedup();
        assert_eq!(known.len(), 1, "{known:?}");
        before = known.remove(0);
        assert_eq!(board.count_once_back("select count(*) from epochs").await, 1 + round);
    }
    let reasons = "select distinct reason from epochs where number > 1";
    assert_eq!(board.texts(reasons).await, ["restored"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgres_changes_nothing() {
    let board = Board::builder().own_servers().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut socket = bob.opens(0, room).await;
    for number in 1..=3 {
        posts_once_it_works(&alice, room, &number.to_string()).await;
        let postgres = &board.servers().postgres;
        tokio::task::block_in_place(|| postgres.restart_immediate()).expect("Postgres recovers");
    }
    posts_once_it_works(&alice, room, "last").await;
    socket.sees("last").await;
    assert!(!socket.has("resync"));
    assert_eq!(board.count_once_back("select count(*) from epochs").await, 1);
    assert_eq!(socket.hello["epoch"], epoch_of(&bob, room).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_events_belong_to_an_epoch_too() {
    let board = Board::builder().webhooks().start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    let body = json!({"org": org, "url": "http://127.0.0.1:9/", "events": ["room.created"]});
    let webhook: Value = alice.post("/webhooks/", body).await.is(201);
    let path = format!("/webhooks/{}/events/", webhook["id"]);
    let page = alice.get(&path).await;
    page.is(200);
    let old = page.header("chat-epoch").to_owned();
    alice.get(&format!("{path}?after=0&epoch={old}")).await.is(200);
    let new = new_epoch(&board);
    testkit::eventually("the api knows", testkit::DEADLINE, || async {
        let answer = alice.get(&format!("{path}?after=0&epoch={old}")).await;
        (answer.status == 409).then(|| {
            answer.refuses(409, "epoch_changed");
            assert_eq!(answer.header("chat-epoch"), new);
        })
    })
    .await;
    // Who may not see the webhook learns nothing of epochs.
    let mallory = board.person("mallory").await;
    mallory.get(&format!("{path}?after=0&epoch={old}")).await.refuses(404, "not_found");
}
