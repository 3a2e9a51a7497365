//! Events that wait in this relay: organizations take turns, so that one that floods waits behind
//! itself.
//!
//! What the consumer hands out is not planned in its order: it is held here, one line for each
//! organization, and planned in groups of which one organization has a bounded share. What there is
//! no room for is given back, and handed out again after a while.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{AckKind, Message};
use nats::consume::Outcome;
use parking_lot::Mutex;
use runtime::Lifecycle;
use runtime::fair::{Bounds, FairQueue, Group};
use runtime::meter::Gauge;
use runtime::parts::Item;
use store::queries::outbox::LogPlace;
use tokio::sync::Notify;

use crate::Relay;
use crate::plan::{Planned, RETRY_AFTER, waiting};

/// What may wait. Weight is people: see [`Planned::weight`].
const WAITING: Bounds =
    Bounds { items: 8_192, weight: 4_000_000, tenant_items: 2_048, tenant_weight: 1_000_000 };
/// What is planned at once: enough for the cost of a commit to be shared by many events, and an
/// organization's share small enough for others not to wait for it long.
pub(crate) const GROUP: Group = Group { items: 500, weight: 20_000, tenant_weight: 5_000 };
/// The pause before an event for which there was no room is handed out again.
const ROOM_AFTER: Duration = Duration::from_secs(2);
/// How long one acknowledgement may take.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// An event that waits for its turn, and the way to acknowledge it.
pub(crate) struct Held {
    pub(crate) event: Planned,
    acker: Acker,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The events that wait. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug)]
struct Waiting {
    lines: FairQueue<Held>,
    /// Where they stand, with those that are being planned.
    places: HashSet<LogPlace>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { lines: FairQueue::new(WAITING), places: HashSet::new() };
        Self(Arc::new(Shared { waiting: Mutex::new(waiting), wake: Notify::new() }))
    }

    /// Puts an event in the line of its organization. Returns it when there is no room.
    fn push(&self, held: Held) -> Option<Held> {
        let mut waiting = self.0.waiting.lock();
        let (place, weight) = (held.event.place, held.event.weight());
        if waiting.places.contains(&place) {
            return Some(held);
        }
        let refused = waiting.lines.push(held.event.tenant(), held, weight);
        if refused.is_none() {
            waiting.places.insert(place);
            tell(&waiting);
        }
        refused
    }

    /// The next group; `None` when the process drains.
    pub(crate) async fn next(&self, life: &Lifecycle) -> Option<Vec<Held>> {
        while !life.is_draining() {
            let group = {
                let mut waiting = self.0.waiting.lock();
                let group = waiting.lines.take(GROUP);
                tell(&waiting);
                group
            };
            if !group.is_empty() {
                return Some(group);
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = life.draining() => {}
            }
        }
        None
    }

    /// Ends an event's turn.
    pub(crate) async fn end(&self, held: Held, outcome: Ended) {
        let place = held.event.place;
        self.0.waiting.lock().places.remove(&place);
        let kind = match outcome {
            Ended::With(Outcome::Done) => AckKind::Ack,
            Ended::With(Outcome::Retry { after }) => AckKind::Nak(Some(after)),
            Ended::ForNow => match self.push(Held { event: held.event.opened(), ..held }) {
                None => return self.0.wake.notify_one(),
                Some(held) => {
                    return acknowledge(&held.acker, AckKind::Nak(Some(ROOM_AFTER))).await;
                }
            },
        };
        acknowledge(&held.acker, kind).await;
    }

    /// Gives back all that waits, for other relays.
    pub(crate) async fn give_back(&self) {
        loop {
            let group = self.0.waiting.lock().lines.take(GROUP);
            if group.is_empty() {
                return;
            }
            for held in group {
                self.end(held, Ended::With(Outcome::Retry { after: Duration::ZERO })).await;
            }
        }
    }
}

/// How an event's turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    With(Outcome),
    /// There is more to do for it: it waits for its organization's next turn.
    ForNow,
}

/// Takes a batch from the consumer into the lines. What is no event, or does not wait any more, is
/// acknowledged at once.
pub(crate) async fn take(
    relay: Relay,
    turns: Turns,
    messages: Vec<Message>,
) -> (Vec<Message>, Vec<Outcome>) {
    let mut events = match waiting(&relay, &messages).await {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(error = %error, "events cannot be read, retrying: {error}");
            let outcomes = vec![Outcome::Retry { after: RETRY_AFTER }; messages.len()];
            return (messages, outcomes);
        }
    };
    let mut done = Vec::new();
    for (at, message) in messages.into_iter().enumerate() {
        let Some(event) = events.remove(&at) else {
            done.push(message);
            continue;
        };
        let (_, acker) = message.split();
        if let Some(refused) = turns.push(Held { event, acker }) {
            acknowledge(&refused.acker, AckKind::Nak(Some(ROOM_AFTER))).await;
        }
    }
    turns.0.wake.notify_one();
    let outcomes = vec![Outcome::Done; done.len()];
    (done, outcomes)
}

/// An acknowledgement that is lost has the event come again, to be found planned.
async fn acknowledge(acker: &Acker, kind: AckKind) {
    match tokio::time::timeout(ACK_TIMEOUT, acker.ack_with(kind)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("an event was not acknowledged: {error}"),
        Err(_) => tracing::debug!("an event was not acknowledged in time"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 8,192")]
fn tell(waiting: &Waiting) {
    Gauge::RelayQueue.set(waiting.lines.len() as f64);
}
