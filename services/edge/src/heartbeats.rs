//! Heartbeats of edges: who is online on each. Every edge, api, relay and notifier receives them.
//!
//! Changes are sent at once (gathered for some milliseconds), the full list now and then and whenever
//! a process asks for it. Heartbeats are numbered, so that a lost one is noticed by the next.

use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use domain::UserId;
use futures_util::StreamExt;
use nats::presence::{FULL_SYNC_EVERY, HEARTBEAT_EVERY, HEARTBEAT_USERS_MAX};
use nats::rpc::{Heartbeat, PresenceUpdate};
use tokio::time::Instant;

use crate::Edge;

/// The first change is sent at once. Changes within this time after it are sent together. A new socket
/// waits until its own change was sent.
const GATHER: Duration = Duration::from_millis(10);
/// Interval of the checks for silent edges and for due heartbeats. Sending does not delay them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The full list is sent at least this often.
const FULL_LIST_EVERY: Duration = Duration::from_secs(30);

struct Heartbeats {
    edge: Edge,
    number: u64,
    /// When [`Heartbeats::tick`] ran last. What is sent must not move it: an edge where people come and
    /// go all the time would never look whether another one is silent.
    looked_at: Instant,
    sent_at: Instant,
    full_list_at: Instant,
    told_at: Instant,
    requested_at: Option<Instant>,
    /// When a request for the full list that came too early is answered.
    answer_at: Option<Instant>,
}

/// Sends heartbeats until the edge stops; the last one says that it is leaving.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    let client = edge.bus().client();
    let subjects = edge.bus().subjects();
    let mut received = client.subscribe(subjects.edge_heartbeats()).await?;
    let mut requests = client.subscribe(subjects.edge_full_sync()).await?;
    let mut connections = edge.bus().connections();
    let stopped = edge.stopped().clone();
    let now = Instant::now();
    let mut heartbeats = Heartbeats {
        edge,
        number: 0,
        looked_at: now,
        sent_at: now,
        full_list_at: now,
        told_at: now,
        requested_at: None,
        answer_at: None,
    };
    heartbeats.request_full_sync().await;
    loop {
        tokio::select! {
            () = stopped.cancelled() => break,
            Some(message) = received.next() => heartbeats.receive(message.payload, &mut received).await,
            Some(_) = requests.next() => heartbeats.answer_at = Some(heartbeats.full_list_at + FULL_SYNC_EVERY),
            Ok(()) = connections.changed() => heartbeats.connected().await,
            () = heartbeats.has_changes() => heartbeats.tell_changes().await,
            () = tokio::time::sleep_until(heartbeats.due()) => heartbeats.tick().await,
        }
    }
    heartbeats.send(PresenceUpdate::Leaving).await;
    // The process is about to end, and NATS drops what it has not read of a connection that is reset:
    // an answer means that it has read everything.
    let bus = heartbeats.edge.bus();
    let _ = bus.round_trip(bus.subjects().rpc("ping")).await;
    Ok(())
}

impl Heartbeats {
    fn due(&self) -> Instant {
        let look_at = self.looked_at + LOOK_EVERY;
        self.answer_at.map_or(look_at, |answer_at| answer_at.min(look_at))
    }

    async fn receive(&mut self, first: bytes::Bytes, received: &mut Subscriber) {
        let mut payload = Some(first);
        let mut needs_full_lists = false;
        while let Some(text) = payload {
            match serde_json::from_slice::<Heartbeat>(&text) {
                Ok(heartbeat) => {
                    needs_full_lists |= self.edge.presence().apply(heartbeat, Instant::now());
                }
                Err(error) => {
                    tracing::warn!(error = %error, "heartbeat of an edge cannot be parsed: {error}");
                }
            }
            payload = futures_util::FutureExt::now_or_never(received.next())
                .flatten()
                .map(|message| message.payload);
        }
        if needs_full_lists {
            self.request_full_sync().await;
        }
    }

    async fn request_full_sync(&mut self) {
        if self.requested_at.is_some_and(|requested| requested.elapsed() < FULL_SYNC_EVERY) {
            return;
        }
        self.requested_at = Some(Instant::now());
        let bus = self.edge.bus();
        bus.tell(bus.subjects().edge_full_sync(), HeaderMap::new(), bytes::Bytes::new()).await;
    }

    async fn connected(&mut self) {
        self.edge.presence().forgive_silence(Instant::now());
        self.edge.presence().forget_sent();
        self.requested_at = None;
        self.request_full_sync().await;
        self.send_full_list().await;
    }

    /// Resolves when changes may be told. Cancel-safe.
    async fn has_changes(&self) {
        tokio::time::sleep_until(self.told_at + GATHER).await;
        self.edge.presence().has_untold().await;
    }

    async fn tell_changes(&mut self) {
        self.told_at = Instant::now();
        let untold = self.edge.presence().take_untold();
        let Some(changes) = untold.changes else { return };
        if self.send(changes).await {
            self.edge.presence().sent(self.number, untold.upto);
        } else {
            // Everything is sent again once NATS is back.
            self.answer_at = Some(Instant::now() + FULL_SYNC_EVERY);
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.looked_at = now;
        if self.edge.bus().is_connected() {
            self.edge.presence().drop_silent(now);
        } else {
            self.edge.presence().forgive_silence(now);
        }
        let is_asked = self.answer_at.is_some_and(|answer_at| answer_at <= now);
        if is_asked || now.duration_since(self.full_list_at) >= FULL_LIST_EVERY {
            self.send_full_list().await;
        } else if now.duration_since(self.sent_at) >= HEARTBEAT_EVERY {
            self.send(PresenceUpdate::Unchanged).await;
        }
    }

    async fn send_full_list(&mut self) {
        self.answer_at = None;
        self.full_list_at = Instant::now();
        // What came before the list was made is in it.
        let upto = self.edge.presence().take_untold().upto;
        let users = self.edge.hub().users();
        let parts: Vec<&[UserId]> = match users.len() {
            0 => vec![&[]],
            _ => users.chunks(HEARTBEAT_USERS_MAX).collect(),
        };
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut is_sent = true;
        for (part, online) in (0..count).zip(parts) {
            is_sent &= self
                .send(PresenceUpdate::Full { part, parts: count, online: online.to_vec() })
                .await;
        }
        if is_sent {
            self.edge.presence().sent(self.number, upto);
        }
    }

    async fn send(&mut self, update: PresenceUpdate) -> bool {
        self.sent_at = Instant::now();
        self.number += 1;
        let edge = self.edge.presence().edge();
        let heartbeat = Heartbeat { edge: edge.to_owned(), number: self.number, update };
        let Ok(payload) = serde_json::to_vec(&heartbeat) else { return false };
        let bus = self.edge.bus();
        bus.tell(bus.subjects().edge_heartbeat(edge), HeaderMap::new(), payload.into()).await
    }
}
