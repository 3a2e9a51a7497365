//! Many senders and many sockets at once, and afterwards the promise, checked to the last event.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use crate::board::Board;
use crate::follower::{Follower, Returns};
use crate::person::Person;
use crate::socket::Socket;
use crate::wait::spawn;

/// How long a client waits for an answer before it tries again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// The pause of a client before it tries again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long everything may take to be delivered once nothing dies any more.
const CALM_PATIENCE: Duration = Duration::from_secs(60);

/// What a storm is like.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// People who send: a third over REST, the others over sockets, on all edges.
    pub senders: usize,
    /// Sockets that listen, on all edges.
    pub sockets: usize,
    /// The pause between two messages of one sender.
    pub pace: Duration,
    /// How long they send, at least.
    pub length: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Events that reached sockets.
    pub delivered: usize,
    /// How often clients had to try a send again.
    pub retries: u32,
    /// Sends over REST that a proxy answered 502, 503 or 504, or whose connection broke. That an api
    /// itself is too busy is not counted.
    pub failed_requests: u32,
    /// How often listeners had to come back.
    pub returns: u32,
    /// Sockets that listeners could not open.
    pub refused_sockets: u32,
}

/// What senders had to do again.
#[derive(Clone, Copy, Debug, Default)]
struct Retries {
    all: u32,
    failed_requests: u32,
}

/// A message as its sender knows it.
#[derive(Clone, Debug)]
struct Acknowledged {
    nonce: String,
    id: i64,
    seq: i64,
}

impl Default for Storm {
    fn default() -> Self {
        Self {
            senders: 100,
            sockets: 50,
            pace: Duration::from_secs(1),
            length: Duration::from_secs(5),
        }
    }
}

impl Storm {
    /// Lets it rage while `menace` does its worst, then checks that nothing acknowledged was lost,
    /// doubled or reordered, anywhere.
    pub async fn rages(self, board: &Board, menace: impl Future<Output = ()>) -> Report {
        let alice = board.person("alice").await;
        let org = alice.makes_org("Storm").await;
        let crowd = board.crowd(org, self.senders.max(self.sockets)).await;
        let room = alice.makes_room_for_all(org, "storm").await;
        let mut followers: Vec<Follower> =
            (0..self.sockets).map(|number| Follower::start(&crowd[number], room, number)).collect();
        for follower in &mut followers {
            follower.begins(CALM_PATIENCE).await;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..self.senders)
            .map(|number| {
                let sender = Sender::new(&crowd[number], room, number);
                spawn(sender.sends(self.pace, Arc::clone(&is_over)))
            })
            .collect();
        tokio::join!(menace, tokio::time::sleep(self.length));
        is_over.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut retries) = (Vec::new(), Retries::default());
        for task in tasks {
            let finishing = tokio::time::timeout(CALM_PATIENCE, task);
            let Ok(finished) = finishing.await else { panic!("a sender is stuck") };
            let (acks, tries) = match finished {
                Ok(sent) => sent,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            acknowledged.extend(acks);
            retries.all += tries.all;
            retries.failed_requests += tries.failed_requests;
        }
        let (delivered, returns) = check(&alice, room, &acknowledged, followers).await;
        board.settle().await;
        Report {
            acknowledged: acknowledged.len(),
            delivered,
            retries: retries.all,
            failed_requests: retries.failed_requests,
            returns: returns.ended,
            refused_sockets: returns.refused,
        }
    }
}

/// Compares what senders were told, what listeners got and what the record holds.
async fn check(
    alice: &Person,
    room: i64,
    acknowledged: &[Acknowledged],
    followers: Vec<Follower>,
) -> (usize, Returns) {
    let last_seq = alice.room(room).await["last_seq"].as_i64().expect("a room has a last_seq");
    let mut history = alice.history(room).await;
    history.reverse();
    let held: Vec<(i64, i64)> = history
        .iter()
        .map(|message| (message["seq"].as_i64().unwrap(), message["id"].as_i64().unwrap()))
        .collect();
    // Nobody joined or left: the log is messages alone.
    assert!(held.iter().map(|&(seq, _)| seq).eq(1..=last_seq), "the log has a gap: {held:?}");
    assert!(held.is_sorted_by(|a, b| a.1 < b.1), "ids do not rise with seq");
    let by_nonce: HashMap<&str, &Value> =
        history.iter().map(|message| (message["nonce"].as_str().unwrap(), message)).collect();
    assert_eq!(by_nonce.len(), history.len(), "a nonce was recorded twice");
    for ack in acknowledged {
        let Some(message) = by_nonce.get(ack.nonce.as_str()) else {
            panic!("acknowledged and lost: {ack:?}");
        };
        assert_eq!((&message["id"], &message["seq"]), (&json!(ack.id), &json!(ack.seq)));
    }
    assert_eq!(acknowledged.len(), history.len(), "a message that nobody was told of");
    let (mut delivered, mut returns) = (0, Returns::default());
    for mut follower in followers {
        follower.reaches(last_seq, CALM_PATIENCE).await;
        let (events, came_back) = follower.finish().await;
        let got: Vec<(i64, i64)> =
            events.iter().map(|event| (event.seq, event.message.unwrap())).collect();
        assert_eq!(got, held, "a listener got something else than the record holds");
        delivered += events.len();
        returns.ended += came_back.ended;
        returns.refused += came_back.refused;
    }
    (delivered, returns)
}

/// Someone who sends until the storm is over, and sends again what was not acknowledged.
struct Sender {
    person: Person,
    room: i64,
    number: usize,
    edge: usize,
    socket: Option<Socket>,
    retries: Retries,
}

impl Sender {
    fn new(person: &Person, room: i64, number: usize) -> Self {
        Self {
            person: person.clone(),
            room,
            number,
            edge: number,
            socket: None,
            retries: Retries::default(),
        }
    }

    async fn sends(
        mut self,
        pace: Duration,
        is_over: Arc<AtomicBool>,
    ) -> (Vec<Acknowledged>, Retries) {
        // Spread over the pace, or all would send at the same moment.
        let spread = pace.mul_f64(f64::from(u32::try_from(self.number % 100).unwrap_or(0)) / 100.0);
        let mut ticks = tokio::time::interval_at(Instant::now() + spread, pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut acknowledged = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let nonce = format!("storm-{}-{}", self.number, acknowledged.len());
            let (id, seq) = loop {
                let sent = match self.number % 3 {
                    0 => self.over_rest(&nonce).await,
                    _ => self.over_socket(&nonce).await,
                };
                match sent {
                    Some(sent) => break sent,
                    None => self.retries.all += 1,
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            };
            acknowledged.push(Acknowledged { nonce, id, seq });
        }
        (acknowledged, self.retries)
    }

    fn body(nonce: &str) -> String {
        format!("the message {nonce}")
    }

    async fn over_rest(&mut self, nonce: &str) -> Option<(i64, i64)> {
        let path = format!("/messages/rooms/{}/", self.room);
        let body = json!({"body": Self::body(nonce), "nonce": nonce});
        let call = self.person.try_call("POST", &path, Some(&body));
        let Ok(called) = tokio::time::timeout(ANSWER_PATIENCE, call).await else {
            return None;
        };
        let Ok(reply) = called else {
            self.retries.failed_requests += 1;
            return None;
        };
        match reply.status {
            200 | 201 => {
                let message = reply.json();
                Some((message["id"].as_i64().unwrap(), message["seq"].as_i64().unwrap()))
            }
            502..=504 => {
                self.retries.failed_requests += u32::from(!reply.is_of_the_api());
                None
            }
            status => panic!("a send was answered {status}: {}", reply.text),
        }
    }

    async fn over_socket(&mut self, nonce: &str) -> Option<(i64, i64)> {
        let asking = Self::ask(self.socket.take(), &self.person, self.edge, (self.room, nonce));
        let asked = tokio::time::timeout(ANSWER_PATIENCE, asking).await;
        let Ok(Some((socket, sent))) = asked else {
            // The socket died, or says nothing: another edge may.
            self.edge += 1;
            return None;
        };
        self.socket = Some(socket);
        sent
    }

    async fn ask(
        socket: Option<Socket>,
        person: &Person,
        edge: usize,
        (room, nonce): (i64, &str),
    ) -> Option<(Socket, Option<(i64, i64)>)> {
        let mut socket = match socket {
            Some(socket) => socket,
            None => person.opening(edge, "/ws/").try_connect().await.ok()?,
        };
        let body = Self::body(nonce);
        socket.sends(json!({"type": "message", "room": room, "body": body, "nonce": nonce})).await;
        while let Some(frame) = socket.try_next().await {
            match frame["type"].as_str() {
                Some("ack") if frame["nonce"] == nonce => {
                    let sent = (frame["id"].as_i64().unwrap(), frame["seq"].as_i64().unwrap());
                    return Some((socket, Some(sent)));
                }
                Some("error") if frame["nonce"] == nonce => {
                    assert_eq!(frame["code"], "unavailable", "a send was refused: {frame}");
                    return Some((socket, None));
                }
                _ => {}
            }
        }
        None
    }
}
