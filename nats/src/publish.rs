//! What goes out after a commit: one bounded queue and one task per node.
//!
//! Events reach JetStream because the stream ROOMS captures their subject; no ack is awaited,
//! since the outbox row is the ack: it exists until the event's effects are recorded, and what
//! is not published now is published again by the sweep. So this may drop, and it does: when the
//! queue is full and while NATS is away (async-nats would queue 2,048 commands and then block its
//! caller). It never waits in front of a client.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use contract::frames::{EventFrame, LiveFrame};
use contract::text;
use domain::{Epoch, LogEvent, LoginId, RoomId, Seq, Timestamp, UserId};
use runtime::Lifecycle;
use runtime::meter::{Counter, Gauge};
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::presence::Directory;
use crate::rpc::{EventEnvelope, RevokedLogin, RevokedReply};
use crate::subjects::{
    HEADER_EPOCH, HEADER_KIND, HEADER_MESSAGE_SEQ, HEADER_SEQ, HEADER_TIME, HEADER_USER,
    org_message_id, room_message_id,
};

/// Events that may wait to be published.
const QUEUE_MAX: usize = 16_384;
/// How long what is still committed may take to go out when the node stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(20);
/// How long NATS may take to get the last of it.
const NATS_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing may come until the node is taken to have finished: longer than the poster
/// waits for sends.
const FLUSH_IDLE: Duration = Duration::from_millis(5_500);

/// Hands out what became true. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Publisher {
    bus: Bus,
    queue: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    to: Destination,
    headers: HeaderMap,
    payload: Bytes,
}

#[derive(Debug)]
enum Destination {
    Subject(String),
    /// The sockets of a user, wherever they are when it is published.
    User(UserId),
}

/// An organization's event, ready to go out.
#[derive(Debug)]
pub struct OrgOutgoing<'a> {
    /// The organization.
    pub org: domain::OrgId,
    /// Its place.
    pub seq: Seq,
    /// The epoch in which it was committed.
    pub epoch: Option<Epoch>,
    /// When it was committed.
    pub at: Timestamp,
    /// Its type.
    pub kind: &'a str,
    /// Who did it.
    pub user: UserId,
    /// Its JSON text.
    pub payload: String,
}

impl Publisher {
    /// Starts the task that publishes. `presence` says where pushes go.
    pub fn start(bus: Bus, presence: Directory, life: &Lifecycle) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let task = publish_all(bus.clone(), presence, receiver, life.clone());
        life.spawn_essential("publisher", task);
        Self { bus, queue }
    }

    /// Publishes a room's event, committed in `epoch`.
    pub fn room_event(&self, event: &LogEvent, epoch: Option<Epoch>) {
        let frame = text(&EventFrame::from(event));
        self.send(
            Destination::Subject(self.bus.subjects().room_log(event.room)),
            event_headers(event, epoch),
            frame,
        );
    }

    /// Publishes an organization's event.
    pub fn org_event(&self, event: OrgOutgoing<'_>) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_SEQ, event.seq.to_string());
        headers.insert(HEADER_KIND, event.kind);
        headers.insert(HEADER_USER, event.user.to_string());
        headers.insert(HEADER_TIME, event.at.to_string());
        headers.insert(
            async_nats::header::NATS_MESSAGE_ID,
            org_message_id(event.org, event.seq, event.epoch),
        );
        self.send(
            Destination::Subject(self.bus.subjects().org_log(event.org)),
            headers,
            event.payload,
        );
    }

    /// Pushes a frame to all sockets of a user. Best effort.
    pub fn push(&self, user: UserId, frame: &LiveFrame<'_>) {
        self.send(Destination::User(user), kind_header(frame), text(frame));
    }

    /// Sends a frame without `seq` to everyone who follows a room. Best effort.
    pub fn live(&self, room: RoomId, author: UserId, frame: &LiveFrame<'_>) {
        let mut headers = kind_header(frame);
        headers.insert(HEADER_USER, author.to_string());
        self.send(Destination::Subject(self.bus.subjects().room_live(room)), headers, text(frame));
    }

    /// Spreads revoked logins. Best effort: nodes also ask.
    pub fn revoked(&self, logins: &[LoginId], until: Timestamp) {
        if logins.is_empty() {
            return;
        }
        let logins = logins.iter().map(|&login| RevokedLogin { login, until }).collect();
        let payload = text(&RevokedReply { logins });
        self.send(Destination::Subject(self.bus.subjects().revoked()), HeaderMap::new(), payload);
    }

    fn send(&self, to: Destination, headers: HeaderMap, payload: String) {
        let outgoing = Outgoing { to, headers, payload: Bytes::from(payload) };
        let is_dropped = !self.bus.is_connected() || self.queue.try_send(outgoing).is_err();
        if is_dropped {
            Counter::EventsDropped.add(1);
        }
    }
}

/// Pushes a frame to all sockets of a user, from a role that has no [`Publisher`]. Best effort.
pub async fn push(presence: &Directory, user: UserId, frame: &LiveFrame<'_>) {
    presence.push(user, kind_header(frame), text(frame).into()).await;
}

fn kind_header(frame: &LiveFrame<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_KIND, frame.kind());
    headers
}

/// What an edge must know of an event, so that it need not parse the frame.
pub fn event_headers(event: &LogEvent, epoch: Option<Epoch>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(epoch) = epoch {
        headers.insert(HEADER_EPOCH, epoch.to_string());
    }
    headers.insert(HEADER_SEQ, event.seq.to_string());
    headers.insert(HEADER_KIND, event.kind().as_str());
    headers.insert(HEADER_USER, event.user.to_string());
    headers.insert(HEADER_TIME, event.at.to_string());
    if let Some(seq) = event.message_seq() {
        headers.insert(HEADER_MESSAGE_SEQ, seq.to_string());
    }
    headers
        .insert(async_nats::header::NATS_MESSAGE_ID, room_message_id(event.room, event.seq, epoch));
    headers
}

/// A replayed event, as [`crate::rpc::EventsReply`] carries it.
///
/// # Errors
/// When the frame cannot be serialized, which is a bug.
pub fn envelope(event: &LogEvent) -> anyhow::Result<EventEnvelope> {
    Ok(EventEnvelope {
        seq: event.seq,
        kind: event.kind().as_str().to_owned(),
        user: event.user,
        message_seq: event.message_seq(),
        time: event.at,
        frame: serde_json::value::to_raw_value(&EventFrame::from(event))?,
    })
}

async fn publish_all(
    bus: Bus,
    presence: Directory,
    mut queue: mpsc::Receiver<Outgoing>,
    life: Lifecycle,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(256);
    loop {
        let count = tokio::select! {
            count = queue.recv_many(&mut batch, 256) => count,
            () = life.draining() => break,
        };
        if count == 0 {
            break;
        }
        #[expect(clippy::cast_precision_loss, reason = "a queue of at most 16,384")]
        Gauge::PublishQueue.set(queue.len() as f64);
        for outgoing in batch.drain(..) {
            publish(&bus, &presence, outgoing).await;
        }
    }
    // What requests in flight still commit goes out too, as far as time allows.
    let rest = async {
        while let Ok(Some(outgoing)) = tokio::time::timeout(FLUSH_IDLE, queue.recv()).await {
            publish(&bus, &presence, outgoing).await;
        }
        // While NATS is away it would wait for its return, and there is nothing to wait for. An answer
        // means that NATS has read everything before.
        if bus.is_connected() {
            let asked = bus.round_trip(bus.subjects().user(domain::UserId::NOWHERE));
            let _ = tokio::time::timeout(NATS_FLUSH_TIMEOUT, asked).await;
        }
    };
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, rest).await;
    Ok(())
}

async fn publish(bus: &Bus, presence: &Directory, outgoing: Outgoing) {
    let Outgoing { to, headers, payload } = outgoing;
    let is_published = match to {
        Destination::Subject(subject) => bus.tell(subject, headers, payload).await,
        Destination::User(user) => presence.push(user, headers, payload).await,
    };
    let counter = if is_published { Counter::EventsPublished } else { Counter::EventsDropped };
    counter.add(1);
}
