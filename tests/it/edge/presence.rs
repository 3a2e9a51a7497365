//! Who is online, as apis and relays know it, and pushes to all sockets of a person.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use domain::UserId;
use futures_util::StreamExt;
use nats::bus::Bus;
use nats::rpc::{Heartbeat, PresenceUpdate};
use nats::subjects::Subjects;
use testkit::{Board, DEADLINE, Person, Socket, Value, eventually, json, within};

/// How long the people of an edge that was killed may be shown as online: 10 s of silence, and the
/// time to look.
const SILENCE: Duration = Duration::from_secs(16);

/// Who of a room's members is shown as online by an api.
async fn online(api: &str, who: &Person, room: i64) -> BTreeSet<i64> {
    let path = format!("{api}/api/v1/rooms/{room}/members/?limit=200");
    let members = who.get(&path).await.results();
    let online = members.iter().filter(|member| member["online"] == true);
    online.map(|member| member["user"].as_i64().unwrap()).collect()
}

async fn shows(api: &str, who: &Person, room: i64, expected: &[i64]) {
    let expected: BTreeSet<i64> = expected.iter().copied().collect();
    eventually("the member list", SILENCE, async || {
        (online(api, who, room).await == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_starts_later_knows_who_is_online() {
    let board = Board::builder().processes().start().await;
    let team = board.team().await;
    let _of_bob = team.bob.opens(0, team.room).await;
    let of_carol = team.carol.opens_many(1).await;
    let (mut later, address) =
        board.processes().await[Board::API].another_logging_to(Stdio::null());
    later.ready(board.http()).await;
    let api = format!("http://{address}");
    shows(&api, &team.alice, team.room, &[team.bob.id, team.carol.id]).await;
    for (name, expected) in [("edges", 2.0), ("users", 2.0), ("complete", 1.0)] {
        let name = format!("chatboard_presence_{name}{{listener=\"api\"}}");
        eventually(&name, DEADLINE, async || {
            let value = later.metric(board.http(), &name).await;
            ((value - expected).abs() < 0.1).then_some(())
        })
        .await;
    }
    of_carol.leaves().await;
    shows(&api, &team.alice, team.room, &[team.bob.id]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_people_of_a_killed_edge_are_offline_in_member_lists() {
    let board = Board::builder().processes().apis(2).start().await;
    let team = board.team().await;
    let _of_bob = team.bob.opens(0, team.room).await;
    let _of_carol = team.carol.opens(1, team.room).await;
    // On both edges.
    let _of_alice = (team.alice.opens_many(0).await, team.alice.opens_many(1).await);
    let apis = [board.api_node(0).to_owned(), board.api_node(1).to_owned()];
    for api in &apis {
        shows(api, &team.alice, team.room, &[team.alice.id, team.bob.id, team.carol.id]).await;
    }
    board.processes().await[Board::EDGE + 1].kill();
    for api in &apis {
        shows(api, &team.alice, team.room, &[team.alice.id, team.bob.id]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_of_nats_apis_know_again_who_is_online() {
    let board = Board::builder().own_servers().start().await;
    let team = board.team().await;
    let mut of_bob = team.bob.opens_many(0).await;
    let of_carol = team.carol.opens_many(1).await;
    shows(board.api(), &team.alice, team.room, &[team.bob.id, team.carol.id]).await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).unwrap();
    of_carol.leaves().await;
    tokio::task::block_in_place(|| nats.start_again()).unwrap();
    shows(board.api(), &team.alice, team.room, &[team.bob.id]).await;
    // Pushes reach him on the connections of now.
    is_pushed_to(&team.bob, board.api(), team.room, &mut of_bob).await;
}

/// Changes a user's room settings until the socket receives the push.
async fn is_pushed_to(who: &Person, api: &str, room: i64, socket: &mut Socket) {
    let path = format!("{api}/api/v1/rooms/{room}/settings/");
    let changing = async {
        for number in 0.. {
            let section = json!({"section": format!("section {number}")});
            who.patch(&path, section).await.is(200);
            socket.catches_up().await;
            if socket.has("room.settings") {
                return;
            }
        }
    };
    within("a push", changing).await;
}

/// Sends a heartbeat as an edge would.
async fn speaks_as(bus: &Bus, edge: &str, number: u64, update: PresenceUpdate) {
    let heartbeat = Heartbeat { edge: edge.to_owned(), number, update };
    let payload = serde_json::to_vec(&heartbeat).unwrap();
    bus.client().publish(bus.subjects().edge_heartbeat(edge), payload.into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_heartbeat_is_noticed_and_the_full_list_repairs_it() {
    let board = Board::builder().edges(0).without_relay().start().await;
    let team = board.team().await;
    let (api, room) = (board.api(), team.room);
    let online = |ids: &[i64]| ids.iter().copied().map(UserId).collect::<Vec<_>>();
    let bus = Bus::connect(board.nats_url(), Subjects::new(board.prefix()), "test").await.unwrap();
    let mut calls = bus.client().subscribe(bus.subjects().edge_full_sync()).await.unwrap();
    let came = PresenceUpdate::Delta { online: online(&[team.bob.id]), offline: Vec::new() };
    speaks_as(&bus, "ghost", 1, came).await;
    shows(api, &team.alice, room, &[team.bob.id]).await;
    while futures_util::FutureExt::now_or_never(calls.next()).is_some() {}
    // The second, in which bob went and carol came, does not arrive.
    speaks_as(&bus, "ghost", 3, PresenceUpdate::Unchanged).await;
    within("the list is asked for", calls.next()).await.unwrap();
    assert_eq!(self::online(api, &team.alice, room).await, BTreeSet::from([team.bob.id]));
    let part = |part, ids: &[i64]| PresenceUpdate::Full { part, parts: 2, online: online(ids) };
    speaks_as(&bus, "ghost", 4, part(0, &[team.carol.id])).await;
    speaks_as(&bus, "ghost", 5, part(1, &[team.alice.id])).await;
    shows(api, &team.alice, room, &[team.alice.id, team.carol.id]).await;
    speaks_as(&bus, "ghost", 6, PresenceUpdate::Leaving).await;
    shows(api, &team.alice, room, &[]).await;
}

/// The notifications that a socket gets, up to one with this text.
async fn notified(socket: &mut Socket, last: &str) -> Vec<Value> {
    let mut notified = Vec::new();
    loop {
        let frame = socket.next_of_type("notification").await;
        notified.push(frame["notification"]["id"].clone());
        if frame["notification"]["message"].as_str().unwrap().starts_with(last) {
            return notified;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_reaches_every_socket_on_both_edges_exactly_once() {
    let board = Board::builder().apis(2).start().await;
    let team = board.team().await;
    let mut sockets = Vec::new();
    for edge in [0, 1, 0, 1] {
        sockets.push(team.bob.opens_many(edge).await);
        sockets.push(team.bob.opens(edge, team.room).await);
    }
    for number in 0..5 {
        team.alice.posts(team.room, &format!("{number} @{}", team.bob.email)).await;
    }
    board.settle().await;
    team.alice.posts(team.room, &format!("last @{}", team.bob.email)).await;
    for socket in &mut sockets {
        let mut ids = notified(socket, "last").await;
        let count = ids.len();
        ids.dedup();
        assert_eq!((count, ids.len()), (6, 6), "each once");
    }
    // From both apis.
    for number in 0..4 {
        let api = board.api_node(number);
        let path = format!("{api}/api/v1/rooms/{}/settings/", team.room);
        let section = format!("section {number}");
        team.bob.patch(&path, json!({"section": section})).await.is(200);
        for socket in &mut sockets {
            let frame = socket.next_of_type("room.settings").await;
            assert_eq!(frame["section"], section, "no copy of the one before");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connected_a_moment_ago_gets_pushes_and_is_online() {
    let board = Board::builder().apis(2).start().await;
    let team = board.team().await;
    for round in 0..20_usize {
        // In half of the rounds they are on the other edge already.
        let elsewhere = match round % 4 {
            0 | 1 => Some(team.bob.opens_many(round + 1).await),
            _ => None,
        };
        let mut socket = team.bob.opens_many(round).await;
        let api = board.api_node(round / 2);
        // The heartbeat is on its way to the api before the socket is greeted.
        eventually("bob is online", DEADLINE, async || {
            let online = online(api, &team.alice, team.room).await;
            online.contains(&team.bob.id).then_some(())
        })
        .await;
        is_pushed_to(&team.bob, api, team.room, &mut socket).await;
        socket.leaves().await;
        if let Some(socket) = elsewhere {
            socket.leaves().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_reaches_sockets_of_whom_the_sender_knows_nothing() {
    let board = Board::builder().edges(1).start().await;
    let team = board.team().await;
    let mut of_bob = team.bob.opens_many(0).await;
    let bus = Bus::connect(board.nats_url(), Subjects::new(board.prefix()), "test").await.unwrap();
    let mut heartbeats = bus.client().subscribe(bus.subjects().edge_heartbeats()).await.unwrap();
    let path = format!("/rooms/{}/settings/", team.room);
    for round in 0..3 {
        let heartbeat = within("a heartbeat", heartbeats.next()).await.unwrap();
        let real: Heartbeat = serde_json::from_slice(&heartbeat.payload).unwrap();
        shows(board.api(), &team.alice, team.room, &[team.bob.id]).await;
        // As if the edge had left: the api knows nothing of it until its next heartbeat.
        eventually("bob is offline", SILENCE, async || {
            speaks_as(&bus, &real.edge, real.number, PresenceUpdate::Leaving).await;
            online(board.api(), &team.alice, team.room).await.is_empty().then_some(())
        })
        .await;
        let section = format!("section {round}");
        team.bob.patch(&path, json!({"section": section})).await.is(200);
        assert_eq!(of_bob.next_of_type("room.settings").await["section"], section);
        while futures_util::FutureExt::now_or_never(heartbeats.next()).is_some() {}
    }
}

/// What is published below the board's prefix that asks for or tells a user's sockets something.
#[derive(Default, Debug)]
struct Heard {
    /// Questions for one person.
    questions: usize,
    /// Pushes to the edges that hold a user's sockets, and to all edges.
    pushes: usize,
    /// Pushes that edges of an older version hear.
    older: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn here_asks_nobody_and_pushes_once_per_person() {
    const PEOPLE: usize = 200;
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    let crowd = board.crowd(org, PEOPLE).await;
    let room = alice.makes_room_for_all(org, "general").await;
    board.settle().await;
    let mut sockets = Vec::new();
    for (number, person) in crowd.iter().enumerate() {
        sockets.push(person.opens_many(number).await);
    }
    let subjects = Subjects::new(board.prefix());
    let bus = Bus::connect(board.nats_url(), subjects.clone(), "test").await.unwrap();
    let all = format!("{}.>", board.prefix());
    let mut published = bus.client().subscribe(all).await.unwrap();
    let end = format!("{}.end", board.prefix());
    // What we publish ourselves comes back once NATS has subscribed us.
    bus.client().publish(end.clone(), "".into()).await.unwrap();
    let is_end = |message: &async_nats::Message| message.subject.as_str() == end;
    while !within("our own message", published.next()).await.is_some_and(|it| is_end(&it)) {}
    alice.posts(room, "@here lunch").await;
    for socket in &mut sockets {
        socket.next_of_type("notification").await;
    }
    // Comes after all of that.
    board.settle().await;
    bus.client().publish(end.clone(), "".into()).await.unwrap();
    let nobody = subjects.user(UserId::NOWHERE);
    let is_push =
        |subject: &str| subject.starts_with(".edge.") && subject.rsplit('.').next() == Some("push");
    let mut heard = Heard::default();
    loop {
        let message = within("the end", published.next()).await.unwrap();
        let subject = message.subject.strip_prefix(board.prefix()).unwrap_or_default();
        let is_of_user = subject.starts_with(".user.") && message.subject.as_str() != nobody;
        match (is_of_user, message.reply.is_some()) {
            _ if is_end(&message) => break,
            (true, true) => heard.questions += 1,
            (true, false) => heard.older += 1,
            _ if is_push(subject) => heard.pushes += 1,
            _ => {}
        }
    }
    assert_eq!((heard.questions, heard.pushes, heard.older), (0, PEOPLE, PEOPLE), "{heard:?}");
}
