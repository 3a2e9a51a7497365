//! What follows from messages, while everything that carries it dies: webhooks, notifications and
//! mail together, with relay, webhook worker, notifier and nats-server killed at random, and once
//! all that NATS has stored deleted.
//!
//! What is checked is what people and receivers see: lists, answers, mailboxes, requests that came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use testkit::{Board, Person, Reaction, Receiver, Value, eventually, json};
use tokio::time::MissedTickBehavior;

use super::strikes;

/// People who are mentioned.
const READERS: usize = 40;
/// People who send.
const SENDERS: usize = 4;
/// The pause between two messages of one sender.
const PACE: Duration = Duration::from_millis(120);
/// How long anything may take once nothing dies any more: what was handed to a worker that died is
/// handed out again after half a minute, more than once on a busy machine.
const CALM: Duration = Duration::from_secs(120);
/// Mails that a notifier may have in its hands when it is killed.
const HANDED_AT_ONCE: usize = 8;

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Relay,
    Webhooks,
    Notifier,
    Nats,
    NatsAndItsStore,
}

/// A message that was acknowledged.
#[derive(Clone, Debug)]
struct Sent {
    room: i64,
    seq: i64,
    id: i64,
    /// Who was mentioned, or is the other one of a DM.
    reader: i64,
}

/// Where everything happens.
struct Scene {
    board: Board,
    alice: Person,
    org: i64,
    senders: Vec<Person>,
    readers: Vec<Person>,
    general: i64,
    private: i64,
    /// DMs of the first sender with the first readers.
    dms: Vec<i64>,
}

/// A webhook and what it leads to.
struct Hook {
    receiver: Receiver,
    id: i64,
    hears_private: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_arrives_whatever_crashes() {
    let scene = Arc::new(Scene::set().await);
    let hooks = [
        scene.hook(false).await, // always healthy
        scene.hook(true).await,  // fails now and then
        scene.hook(false).await, // down for a while
    ];
    hooks[1].receiver.fails_every(6);
    let began = scene.alice.get(&format!("/webhooks/{}/", hooks[0].id)).await.is(200);
    let online = pushes(&scene.readers[0]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let sending: Vec<_> = (0..SENDERS)
        .map(|number| {
            let (scene, is_over) = (Arc::clone(&scene), Arc::clone(&is_over));
            testkit::spawn(async move { scene.sends(number, &is_over).await })
        })
        .collect();
    let kills = scene.menace(&hooks[2].receiver).await;
    is_over.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for sender in sending {
        sent.extend(testkit::within("the last sends", sender).await.expect("a sender's end"));
    }
    assert!(sent.len() >= 100, "hardly anything was sent: {}", sent.len());

    scene.board.settle().await;
    time_passes(&scene.board).await;
    for hook in &hooks {
        scene.check_hook(hook, &began["created_at"], &sent).await;
    }
    let told = scene.check_notifications(&sent).await;
    let pushed = online.lock().clone();
    let distinct: BTreeSet<i64> = pushed.iter().copied().collect();
    assert_eq!(distinct.len(), pushed.len(), "a notification was pushed twice");
    assert!(!pushed.is_empty(), "nothing was pushed");
    assert!(distinct.is_subset(&told[&scene.readers[0].id]), "pushed, but not in the list");
    scene.check_mails(&sent, kills.iter().filter(|one| **one == Victim::Notifier).count()).await;
}

/// Lets what dead processes held run out, as if minutes had passed: their clock cannot be moved.
async fn time_passes(board: &Board) {
    board
        .sql(
            "update webhook_outbox set claimed_until = null, hand_out_at = null \
             where hand_out_at < now() + interval '1 minute'; \
             update webhooks set probe_at = now() where probe_at > now(); \
             update mails set handed_at = handed_at - interval '1 hour' where status = 'handing'; \
             update mails set next_attempt_at = now() where next_attempt_at > now(); \
             update notifications set email_due_at = now() where email_due_at > now()",
        )
        .await;
}

/// The ids of the notifications that reach a socket of someone.
async fn pushes(reader: &Person) -> Arc<parking_lot::Mutex<Vec<i64>>> {
    let mut socket = reader.opens_many(1).await;
    let pushed = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let of_task = Arc::clone(&pushed);
    testkit::spawn(async move {
        while let Some(frame) = socket.try_next().await {
            if frame["type"] == "notification" {
                of_task.lock().push(frame["notification"]["id"].as_i64().unwrap());
            }
        }
    });
    pushed
}

impl Scene {
    async fn set() -> Self {
        let board = Board::builder()
            .webhooks()
            .mails_after(Duration::from_millis(300))
            .processes()
            .own_servers()
            .start()
            .await;
        let alice = board.person("alice").await;
        let org = alice.makes_org("Storm").await;
        let mut readers = board.crowd(org, READERS + SENDERS).await;
        let senders = readers.split_off(READERS);
        let general = alice.makes_room_for_all(org, "general").await;
        let private = alice.makes_room(org, "private", "PRIVATE").await;
        for person in senders.iter().chain(&readers[..4]) {
            let path = format!("/rooms/{private}/invite/");
            alice.post(&path, json!({"user_id": person.id})).await.is(201);
        }
        let mut dms = Vec::new();
        for reader in &readers[..4] {
            let body = json!({"org": org, "user_ids": [reader.id]});
            let dm = senders[0].post("/rooms/dm/", body).await.json();
            dms.push(dm["id"].as_i64().unwrap());
        }
        board.settle().await;
        Self { board, alice, org, senders, readers, general, private, dms }
    }

    async fn hook(&self, hears_private: bool) -> Hook {
        let receiver = Receiver::start().await;
        let body = json!({"org": self.org, "url": receiver.url(), "events": ["message.created"],
            "include_private": hears_private});
        let made = self.alice.post("/webhooks/", body).await.is(201);
        Hook { receiver, id: made["id"].as_i64().unwrap(), hears_private }
    }

    /// Sends until the storm is over; what was not acknowledged is sent again.
    async fn sends(&self, sender: usize, is_over: &AtomicBool) -> Vec<Sent> {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let number = sent.len();
            let (room, reader) = match number % 5 {
                1 => (self.private, &self.readers[number % 4]),
                3 if sender == 0 => (self.dms[number % 4], &self.readers[number % 4]),
                _ => (self.general, &self.readers[(sender + number * SENDERS) % READERS]),
            };
            let body = json!({"body": format!("{number} @{}", reader.email),
                "nonce": format!("{sender}-{number}")});
            let path = format!("/messages/rooms/{room}/");
            let who = &self.senders[sender];
            let message = eventually("a send is acknowledged", CALM, || async {
                let reply = who.try_call("POST", &path, Some(&body)).await.ok()?;
                [200, 201].contains(&reply.status).then(|| reply.json())
            })
            .await;
            let (id, seq) = (message["id"].as_i64().unwrap(), message["seq"].as_i64().unwrap());
            sent.push(Sent { room, seq, id, reader: reader.id });
        }
        sent
    }

    /// Kills at random until the storm is over, each victim at least once. One endpoint is down
    /// for the middle of it, and people are invited all the while.
    async fn menace(&self, down: &Receiver) -> Vec<Victim> {
        let seed: u64 = rand::random();
        #[expect(clippy::print_stdout, reason = "shown when the test fails: the same order again")]
        {
            println!("the storm's seed is {seed}");
        }
        let mut dice = StdRng::seed_from_u64(seed);
        let mut deck = vec![
            Victim::Relay,
            Victim::Webhooks,
            Victim::Notifier,
            Victim::Nats,
            Victim::NatsAndItsStore,
        ];
        deck.shuffle(&mut dice);
        let mut order = deck.clone();
        let others = [Victim::Relay, Victim::Webhooks, Victim::Notifier, Victim::Nats];
        order.extend((0..10_000).map(|_| others[dice.random_range(0..others.len())]));
        let kills = parking_lot::Mutex::new(Vec::new());
        // The first of each come whatever the length.
        let deck = std::cell::Cell::new(deck.len());
        while deck.get() > 0 {
            strikes(Duration::from_millis(400), |_| async {
                let number = kills.lock().len();
                down.always(Reaction::Status(if number % 5 < 3 { 503 } else { 200 }));
                self.invites(number).await;
                self.kills(order[number]).await;
                kills.lock().push(order[number]);
                deck.set(deck.get().saturating_sub(1));
            })
            .await;
        }
        down.always(Reaction::Status(200));
        kills.into_inner()
    }

    async fn kills(&self, victim: Victim) {
        match victim {
            Victim::Relay => self.board.crash(Board::RELAY).await,
            Victim::Webhooks => self.board.crash(self.board.webhooks_process()).await,
            Victim::Notifier => self.board.crash(self.board.notifier_process()).await,
            Victim::Nats | Victim::NatsAndItsStore => tokio::task::block_in_place(|| {
                let nats = &self.board.servers().nats;
                nats.kill().unwrap();
                if victim == Victim::NatsAndItsStore {
                    nats.wipe_store().unwrap();
                }
                nats.start_again().unwrap();
            }),
        }
    }

    async fn invites(&self, number: usize) {
        let invite = json!({"email": format!("new{number}@chat.test")});
        self.alice.post(&format!("/orgs/{}/invite/", self.org), invite).await.is(201);
    }

    /// Every event arrives, or has failed and arrives when it is replayed; its id is the same each
    /// time; the numbers have no hole.
    async fn check_hook(&self, hook: &Hook, since: &Value, sent: &[Sent]) {
        let path = format!("/webhooks/{}/events/", hook.id);
        let ended = || async {
            let events = self.alice.walks(&format!("{path}?after=0&limit=200")).await;
            let is_open = |one: &Value| ["pending", "retrying"].contains(&status(one));
            (!events.iter().any(is_open)).then_some(events)
        };
        let events = eventually("all deliveries have ended", CALM, ended).await;
        let failed = events.iter().filter(|one| status(one) == "failed").count();
        let replay = format!("/webhooks/{}/retry-failed/", hook.id);
        let replayed = self.alice.post(&replay, json!({"since": since})).await.is(202);
        assert_eq!(replayed["count"], failed, "what has failed can be replayed");
        let events = eventually("what has failed is delivered", CALM, || async {
            ended().await.filter(|all| all.iter().all(|one| status(one) == "sent"))
        })
        .await;

        let sequences = events.iter().map(|one| one["sequence"].as_i64().unwrap());
        let gapless: Vec<i64> = (1..).take(events.len()).collect();
        assert_eq!(sequences.collect::<Vec<i64>>(), gapless, "webhook-sequence has a hole");
        let of = |one: &Value| one["id"].as_str().unwrap().to_owned();
        let listed: BTreeMap<i64, String> =
            gapless.into_iter().zip(events.iter().map(of)).collect();
        let is_heard = |one: &&Sent| {
            one.room == self.general || hook.hears_private && one.room == self.private
        };
        let path = format!("/rooms/{}/events/?limit=1", self.general);
        let epoch = self.alice.get(&path).await.header("chat-epoch").to_owned();
        let wanted: BTreeSet<String> = sent
            .iter()
            .filter(is_heard)
            .map(|one| format!("evt_{epoch}_r{}_{}", one.room, one.seq))
            .collect();
        assert_eq!(listed.values().cloned().collect::<BTreeSet<String>>(), wanted);
        assert_eq!(listed.len(), wanted.len(), "an event was recorded twice");

        let received: BTreeSet<(i64, String)> = hook
            .receiver
            .received()
            .iter()
            .map(|call| (call.sequence(), call.id().to_owned()))
            .collect();
        assert_eq!(received, listed.into_iter().collect(), "not once each, or under another id");
    }

    /// Everyone is told of what concerns them exactly once. Returns the notifications' ids.
    async fn check_notifications(&self, sent: &[Sent]) -> BTreeMap<i64, BTreeSet<i64>> {
        let mut told = BTreeMap::new();
        for reader in &self.readers {
            let list = reader.walks("/notifications/?limit=200").await;
            let list: Vec<&Value> = list
                .iter()
                .filter(|one| {
                    ["mention", "dm"].contains(&one["notification_type"].as_str().unwrap())
                })
                .collect();
            let mut about: Vec<i64> =
                list.iter().map(|one| one["data"]["message"].as_i64().unwrap()).collect();
            about.sort_unstable();
            let concern = sent.iter().filter(|one| one.reader == reader.id);
            let mut wanted: Vec<i64> = concern.map(|one| one.id).collect();
            wanted.sort_unstable();
            assert_eq!(about, wanted, "not exactly once each for {}", reader.email);
            let all = reader.walks("/notifications/?is_read=false&limit=200").await.len();
            let unread = reader.get("/notifications/unread-count/").await.is(200);
            assert_eq!(unread["unread_count"], all, "the count is not that of the list");
            let ids = list.iter().map(|one| one["id"].as_i64().unwrap()).collect();
            told.insert(reader.id, ids);
        }
        told
    }

    /// Waits until it is decided whether to mail each message to someone: one digest tells of
    /// some, or of an invite that came before all of them; the others wait for the next.
    async fn is_decided(&self, reader: &Person, sent: &[Sent]) {
        eventually("mailing is decided", CALM, || async {
            for message in sent.iter().filter(|one| one.reader == reader.id) {
                let decision = by_mail(reader, message.id).await?;
                if decision["outcome"] != "sent" {
                    assert_eq!(decision["reason"], "rate", "{}", reader.email);
                }
            }
            Some(())
        })
        .await;
    }

    /// Nobody gets a digest twice: within the pause between two there is one. A notifier that is
    /// killed may take along what it was handing over, never more.
    async fn check_mails(&self, sent: &[Sent], notifiers_killed: usize) {
        let mentioned: BTreeSet<i64> = sent.iter().map(|one| one.reader).collect();
        let away = self.readers[1..].iter().filter(|one| mentioned.contains(&one.id));
        let (mut mailed, mut lost) = (0, 0);
        for reader in away {
            self.is_decided(reader, sent).await;
            let mails = self.board.mailbox().mails_to(&reader.email).await;
            let ids: BTreeSet<Option<String>> =
                mails.iter().map(|mail| mail.header("Message-ID")).collect();
            assert!(mails.len() <= 1, "{} digests to one: {ids:?}", mails.len());
            mailed += mails.len();
            lost += 1 - mails.len();
        }
        assert!(mailed > 0, "no digest went out");
        assert!(lost <= notifiers_killed * HANDED_AT_ONCE, "{lost} digests were lost");
        for number in 0.. {
            let email = format!("new{number}@chat.test");
            let invites = self.alice.walks(&format!("/orgs/{}/invites/", self.org)).await;
            if number >= invites.len() {
                break;
            }
            eventually(&format!("the invite of {email}"), CALM, || async {
                (!self.board.mailbox().mails_to(&email).await.is_empty()).then_some(())
            })
            .await;
        }
    }
}

/// What was decided about mailing a message to someone, if it is.
async fn by_mail(reader: &Person, message: i64) -> Option<Value> {
    let path = format!("/notifications/decisions/?message={message}");
    let answer = reader.get(&path).await.is(200);
    let decisions = answer["decisions"].as_array().unwrap().iter();
    decisions.clone().find(|one| one["channel"] == "email").cloned()
}

fn status(delivery: &Value) -> &str {
    delivery["status"].as_str().unwrap()
}
