//! `before + events = after`: a client that applies the frames it gets knows what REST knows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testkit::{Board, Person, Socket, Team, Value, json};

/// What someone does. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Action {
    Post(u8),
    Reply(u8, u8),
    Edit(u8, u8),
    Delete(u8),
    React(u8, u8, u8),
    Unreact(u8, u8, u8),
    Topic(u8),
    Rename(u8),
    Leave(u8),
    Join(u8),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let n = any::<u8>();
    let action = prop_oneof![
        4 => n.prop_map(Action::Post),
        2 => (n, n).prop_map(|(who, what)| Action::Reply(who, what)),
        3 => (n, n).prop_map(|(what, text)| Action::Edit(what, text)),
        2 => n.prop_map(Action::Delete),
        3 => (n, n, n).prop_map(|(who, what, emoji)| Action::React(who, what, emoji)),
        2 => (n, n, n).prop_map(|(who, what, emoji)| Action::Unreact(who, what, emoji)),
        1 => n.prop_map(Action::Topic),
        1 => n.prop_map(Action::Rename),
        2 => n.prop_map(Action::Leave),
        2 => n.prop_map(Action::Join),
    ];
    proptest::collection::vec(action, 1..40)
}

/// What a client knows of a room.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    messages: BTreeMap<i64, Value>,
    members: BTreeSet<i64>,
    name: String,
    topic: String,
    last_seq: i64,
}

impl Known {
    /// What REST says.
    async fn fetch(person: &Person, room: i64) -> Self {
        let view = person.room(room).await;
        let history = person.history(room).await;
        let members = person.walks(&format!("/rooms/{room}/members/?limit=200")).await;
        Self {
            messages: history.into_iter().map(|one| (one["id"].as_i64().unwrap(), one)).collect(),
            members: members.iter().map(|member| member["user"].as_i64().unwrap()).collect(),
            name: view["name"].as_str().unwrap().to_owned(),
            topic: view["topic"].as_str().unwrap().to_owned(),
            last_seq: view["last_seq"].as_i64().unwrap(),
        }
    }

    /// Takes a frame in, as the contract tells a client to.
    fn apply(&mut self, frame: &Value) {
        let Some(seq) = frame["seq"].as_i64() else { return };
        self.last_seq = seq;
        match frame["type"].as_str().unwrap() {
            "message" => self.keep(frame, seq),
            "message.updated" | "message.deleted" => {
                self.keep(frame, frame["message_seq"].as_i64().unwrap());
            }
            "member.joined" => drop(self.members.insert(frame["user_id"].as_i64().unwrap())),
            "member.left" => drop(self.members.remove(&frame["user_id"].as_i64().unwrap())),
            "room.updated" => {
                if let Some(name) = frame["changes"]["name"].as_str() {
                    name.clone_into(&mut self.name);
                }
                if let Some(topic) = frame["changes"]["topic"].as_str() {
                    topic.clone_into(&mut self.topic);
                }
            }
            other => panic!("a frame of no known type: {other}"),
        }
    }

    fn keep(&mut self, frame: &Value, seq: i64) {
        let mut message = frame.clone();
        let fields = message.as_object_mut().unwrap();
        fields.remove("type");
        fields.remove("message_seq");
        fields.insert("seq".to_owned(), json!(seq));
        self.messages.insert(message["id"].as_i64().unwrap(), message);
    }

    fn follow(&mut self, socket: &Socket) {
        for frame in socket.backlog() {
            self.apply(&frame);
        }
    }
}

/// Lets everyone act; returns how many events came of it at least.
async fn play(team: &Team, room: i64, actions: &[Action]) {
    let people = [&team.alice, &team.bob, &team.carol];
    let emoji = ["🎉", "🚀", "👍🏽"];
    let one_of = |number: u8| people[usize::from(number) % people.len()];
    let mut messages: Vec<(Value, usize)> = Vec::new();
    for action in actions {
        let pick = |number: u8| messages.get(usize::from(number) % messages.len().max(1)).cloned();
        match *action {
            Action::Post(who) => {
                let who = usize::from(who) % people.len();
                let path = format!("/messages/rooms/{room}/");
                let posted = people[who].post(&path, json!({"body": "hi @room"})).await;
                if posted.status == 201 {
                    messages.push((posted.json()["id"].clone(), who));
                }
            }
            Action::Reply(who, what) => {
                let Some((id, _)) = pick(what) else { continue };
                let path = format!("/messages/rooms/{room}/");
                one_of(who).post(&path, json!({"body": "re", "reply_to": id})).await;
            }
            Action::Edit(what, text) => {
                let Some((id, who)) = pick(what) else { continue };
                let body = json!({"body": format!("edit {}", text % 4)});
                people[who].patch(&format!("/messages/{id}/"), body).await;
            }
            Action::Delete(what) => {
                let Some((id, who)) = pick(what) else { continue };
                people[who].delete(&format!("/messages/{id}/")).await;
            }
            Action::React(who, what, which) | Action::Unreact(who, what, which) => {
                let Some((id, _)) = pick(what) else { continue };
                let body = json!({"emoji": emoji[usize::from(which) % emoji.len()]});
                let method = if matches!(action, Action::React(..)) { "POST" } else { "DELETE" };
                let path = format!("/messages/{id}/reactions/");
                one_of(who).call(method, &path, Some(&body)).await;
            }
            Action::Topic(text) => {
                let body = json!({"topic": format!("topic {}", text % 3)});
                team.alice.patch(&format!("/rooms/{room}/"), body).await;
            }
            Action::Rename(text) => {
                let body = json!({"name": format!("name {}", text % 3)});
                team.alice.patch(&format!("/rooms/{room}/"), body).await;
            }
            Action::Leave(who) => {
                // Alice watches: she stays.
                let who = people[1 + usize::from(who) % 2];
                who.post_empty(&format!("/rooms/{room}/leave/")).await;
            }
            Action::Join(who) => {
                let who = people[1 + usize::from(who) % 2];
                who.post_empty(&format!("/rooms/{room}/join/")).await;
            }
        }
    }
}

async fn check(board: &Board, actions: Vec<Action>) {
    let team = board.team().await;
    let room = team.room;
    let before = Known::fetch(&team.alice, room).await;
    let mut live = team.alice.opens(0, room).await;
    play(&team, room, &actions).await;
    let after = Known::fetch(&team.alice, room).await;
    live.reaches(room, after.last_seq).await;
    let mut by_live = before.clone();
    by_live.follow(&live);
    assert_eq!(by_live, after, "from live frames");
    let mut replayed = team.alice.resumes(1, room, 0).await;
    replayed.reaches(room, after.last_seq).await;
    let mut by_replay = before.clone();
    by_replay.follow(&replayed);
    assert_eq!(by_replay, after, "from replayed frames");
    let mut by_list = before;
    for event in team.alice.events(room, 0).await {
        by_list.apply(&event);
    }
    assert_eq!(by_list, after, "from the list of events");
}

#[test]
fn before_and_events_are_after() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let board = runtime.block_on(Board::start());
    let config = Config { cases: 12, max_shrink_iters: 40, ..Config::default() };
    TestRunner::new(config)
        .run(&actions(), |actions| {
            runtime.block_on(check(&board, actions));
            Ok(())
        })
        .unwrap();
}
