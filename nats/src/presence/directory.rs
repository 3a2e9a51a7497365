//! The directory of a process: a table, and the task that keeps it up to date.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use bytes::Bytes;
use domain::UserId;
use futures_util::StreamExt;
use parking_lot::RwLock;
use runtime::Lifecycle;
use runtime::meter::{Counter, Gauge, Label, label};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::{EdgeTable, FULL_SYNC_EVERY, KNOWN_TIMEOUT};
use crate::bus::Bus;
use crate::rpc::Heartbeat;
use crate::subjects::HEADER_USER;

/// How long edges have to answer the first request for full lists after each connection: three times what an edge
/// takes that has just sent its list. An edge that does not answer in time is heard by its next
/// heartbeat; until then its users are offline.
const SETTLE_TIME: Duration = Duration::from_millis(1_500);
/// How often silent edges are looked for, and metrics are set.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Deadline for subscribing.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Which users are online, and on which edges. Clones share it.
#[derive(Clone, Debug)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bus: Bus,
    table: RwLock<EdgeTable>,
    known: watch::Sender<bool>,
    life: Lifecycle,
    listener: &'static str,
}

impl Directory {
    /// Starts the task that listens to the edges. `listener` is the label of its metrics.
    pub fn start(bus: &Bus, listener: &'static str, life: &Lifecycle) -> Self {
        let directory = Self(Arc::new(Inner {
            bus: bus.clone(),
            table: RwLock::default(),
            known: watch::Sender::new(false),
            life: life.clone(),
            listener,
        }));
        life.spawn_essential("presence directory", listen(directory.clone()));
        directory
    }

    /// Whether the full list of every edge is known.
    pub fn is_known(&self) -> bool {
        *self.0.known.borrow()
    }

    /// Those of some users who are online as far as is known now. Does not wait: in the first
    /// seconds of a process users may be missing.
    pub fn online_now(&self, users: impl IntoIterator<Item = UserId>) -> HashSet<UserId> {
        let table = self.0.table.read();
        users.into_iter().filter(|&user| table.contains(user)).collect()
    }

    /// Those of some users who are online, in their order. Waits for at most [`KNOWN_TIMEOUT`] until
    /// the directory is known, then answers by what it has.
    pub async fn online_of(&self, users: Vec<UserId>) -> Vec<UserId> {
        self.wait_until_known().await;
        let table = self.0.table.read();
        users.into_iter().filter(|&user| table.contains(user)).collect()
    }

    /// Whether a user is online; waits as [`Self::online_of`] does.
    pub async fn is_online(&self, user: UserId) -> bool {
        self.wait_until_known().await;
        self.0.table.read().contains(user)
    }

    /// Publishes a push, which reaches each socket of the user once: on the subjects of the edges
    /// that hold them, or on that of all edges where no edge is known to (the user may have connected
    /// just now) or the directory is incomplete. Returns whether NATS took it.
    pub(crate) async fn push(&self, user: UserId, mut headers: HeaderMap, payload: Bytes) -> bool {
        headers.insert(HEADER_USER, user.to_string());
        let bus = &self.0.bus;
        let mut subjects = self.push_subjects(user);
        // Edges of an older version hear nothing else. No edge of this version does.
        subjects.push(bus.subjects().user(user));
        let mut is_published = true;
        for subject in subjects {
            is_published &= bus.tell(subject, headers.clone(), payload.clone()).await;
        }
        is_published
    }

    fn push_subjects(&self, user: UserId) -> Vec<String> {
        let subjects = self.0.bus.subjects();
        let table = self.0.table.read();
        let is_certain = self.is_known() && !table.is_over_bound();
        let edges = table.edges_of(user).filter(|_| is_certain);
        let of_edges: Vec<String> = edges.map(|edge| subjects.edge_push(edge)).collect();
        let route = if of_edges.is_empty() { "all" } else { "edge" };
        Counter::Pushes.add_with(1, vec![label("route", route)]);
        if of_edges.is_empty() { vec![subjects.edge_push_all()] } else { of_edges }
    }

    async fn wait_until_known(&self) {
        if self.is_known() {
            return;
        }
        let mut known = self.0.known.subscribe();
        let waiting = known.wait_for(|&is_known| is_known);
        // A node that drains learns nothing more.
        let waiting = self.0.life.unless_drained(Duration::ZERO, waiting);
        let _in_time = tokio::time::timeout(KNOWN_TIMEOUT, waiting).await;
    }

    fn labels(&self) -> Vec<Label> {
        vec![label("listener", self.0.listener)]
    }
}

/// Listens until the node drains. From then on pushes go to all edges.
async fn listen(directory: Directory) -> anyhow::Result<()> {
    for route in ["edge", "all"] {
        Counter::Pushes.add_with(0, vec![label("route", route)]);
    }
    let mut listener = Listener {
        directory: directory.clone(),
        heartbeats: None,
        subscribed_at: std::time::Instant::now(),
        wants_full_lists: false,
        requested_at: None,
        settled_at: None,
    };
    directory.0.life.unless_drained(Duration::ZERO, listener.run()).await;
    directory.0.known.send_replace(false);
    Ok(())
}

struct Listener {
    directory: Directory,
    heartbeats: Option<Subscriber>,
    subscribed_at: std::time::Instant,
    wants_full_lists: bool,
    /// When full lists were last requested.
    requested_at: Option<Instant>,
    /// From when on every edge has had the time to answer; `None` before the first request for full lists on this
    /// connection.
    settled_at: Option<Instant>,
}

impl Listener {
    async fn run(&mut self) {
        let mut connections = self.bus().connections();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                payload = next(&mut self.heartbeats) => match payload {
                    Some(payload) => self.apply(&payload),
                    None => self.heartbeats = None,
                },
                Ok(()) = connections.changed() => self.connected(),
                _ = looks.tick() => self.look().await,
            }
            self.request_full_sync().await;
            self.note_whether_known();
        }
    }

    fn bus(&self) -> &Bus {
        &self.directory.0.bus
    }

    fn apply(&mut self, payload: &[u8]) {
        match serde_json::from_slice::<Heartbeat>(payload) {
            Ok(heartbeat) => {
                let applied = self.directory.0.table.write().apply(heartbeat, Instant::now());
                self.wants_full_lists |= applied.needs_full_list;
            }
            Err(error) => {
                tracing::warn!(error = %error, "heartbeat of an edge cannot be parsed: {error}");
            }
        }
    }

    /// Heartbeats may have been missed while there was no connection.
    fn connected(&mut self) {
        let mut table = self.directory.0.table.write();
        table.expect_full_lists();
        table.forgive_silence(Instant::now());
        drop(table);
        self.wants_full_lists = true;
        self.requested_at = None;
        self.settled_at = None;
    }

    async fn look(&mut self) {
        if self.is_refused() {
            self.heartbeats = None;
            self.wants_full_lists = true;
            self.requested_at = None;
            self.settled_at = None;
        }
        if self.heartbeats.is_none() {
            self.subscribed_at = std::time::Instant::now();
            self.heartbeats = subscribe(self.bus()).await;
        }
        let now = Instant::now();
        let is_connected = self.bus().is_connected();
        let mut table = self.directory.0.table.write();
        let removed = if is_connected {
            table.remove_silent(now)
        } else {
            table.forgive_silence(now);
            Vec::new()
        };
        drop(table);
        for removed in removed {
            let (edge, users) = (removed.edge, removed.users.len());
            tracing::warn!(edge, users, "edge {edge} is silent: its {users} users are offline");
        }
        self.set_metrics(now);
    }

    /// Whether the server has refused to let this process listen or ask: then nobody is known.
    fn is_refused(&self) -> bool {
        let subjects = self.bus().subjects();
        let used = [subjects.edge_heartbeats(), subjects.edge_full_sync()];
        used.iter().any(|subject| self.bus().refused_since(subject, self.subscribed_at))
    }

    /// Asks every edge for its full list, if that is wanted.
    async fn request_full_sync(&mut self) {
        let is_early = self.requested_at.is_some_and(|at| at.elapsed() < FULL_SYNC_EVERY);
        if !self.wants_full_lists || is_early || self.heartbeats.is_none() {
            return;
        }
        let subject = self.bus().subjects().edge_full_sync();
        if self.bus().tell(subject, HeaderMap::new(), Bytes::new()).await {
            let now = Instant::now();
            self.wants_full_lists = false;
            self.requested_at = Some(now);
            self.settled_at.get_or_insert(now + SETTLE_TIME);
        }
    }

    fn note_whether_known(&self) {
        let is_settled = self.settled_at.is_some_and(|at| Instant::now() >= at);
        let is_listening = self.heartbeats.is_some() && self.bus().is_connected();
        let is_known = is_settled && is_listening && self.directory.0.table.read().is_complete();
        self.directory
            .0
            .known
            .send_if_modified(|known| std::mem::replace(known, is_known) != is_known);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    fn set_metrics(&self, now: Instant) {
        let directory = &self.directory;
        let table = directory.0.table.read();
        Gauge::PresenceEdges.set_with(table.edge_count() as f64, directory.labels());
        Gauge::PresenceUsers.set_with(table.user_count() as f64, directory.labels());
        let silence = table.longest_silence(now).as_secs_f64();
        Gauge::PresenceSilence.set_with(silence, directory.labels());
        let is_complete = directory.is_known() && !table.is_over_bound();
        let is_complete = if is_complete { 1.0 } else { 0.0 };
        Gauge::PresenceComplete.set_with(is_complete, directory.labels());
    }
}

/// Subscribes; async-nats keeps a subscription over reconnections.
async fn subscribe(bus: &Bus) -> Option<Subscriber> {
    let subscribe = bus.client().subscribe(bus.subjects().edge_heartbeats());
    tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribe).await.ok()?.ok()
}

/// Waits for the next message. Never resolves while there is no subscription.
async fn next(heartbeats: &mut Option<Subscriber>) -> Option<Bytes> {
    match heartbeats {
        Some(heartbeats) => heartbeats.next().await.map(|message| message.payload),
        None => std::future::pending().await,
    }
}
