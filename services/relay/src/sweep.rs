//! The sweep: publishes events again that were not planned in time.
//!
//! A crash between commit and publish, a NATS that was away or lost its disk, a full queue: each
//! leaves an outbox row behind, and this finds it. What is repeated goes to `chat.again.*`, which
//! ROOMS captures and edges do not hear.
//!
//! JetStream acknowledges each event that it stores. While it stores none, one event a second is
//! tried; once it stores again, every waiting event is due at once.

use std::time::Duration;

use async_nats::HeaderMap;
use contract::frames::EventFrame;
use contract::text;
use domain::{Claim, LogEvent, RoomId, Seq, Timestamp};
use nats::publish::event_headers;
use nats::stored::{Stored, publish_stored};
use nats::streams::StreamKind;
use nats::subjects::HEADER_SEQ;
use runtime::Lifecycle;
use runtime::meter::{Counter, Gauge};
use runtime::window::Window;
use store::actions::outbox::{Overdue, claim_overdue, make_due, set_aside, settle};
use store::queries::outbox::{LogPlace, backlog};
use store::queries::room_log::room_log;
use tokio::sync::watch;

use crate::Relay;

/// Events claimed at once.
const CLAIM_MAX: i64 = 500;
/// Events claimed at once while JetStream stores nothing: enough to see when it does again.
const PROBE_MAX: i64 = 1;
/// Events made due by one statement after JetStream was away.
const MAKE_DUE_MAX: i64 = 5_000;
/// Events read and published at once: what was read is published, though others are slow to read.
const REPEATED_AT_ONCE: usize = 50;
/// The pause when there is nothing more to do.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one sweep may take: a Postgres whose machine is gone says nothing.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one statement that claims events may take.
const CLAIM_BUDGET: Duration = Duration::from_secs(5);
/// How long it may take to publish one event again.
const REPEAT_BUDGET: Duration = Duration::from_secs(3);
/// Attempts after which an event that cannot be rendered is set aside.
const ATTEMPTS_MAX: i32 = 5;

/// What the sweep knows of JetStream.
#[derive(Debug)]
struct Sweep {
    relay: Relay,
    /// Changes with every connection to NATS.
    connections: watch::Receiver<u64>,
    /// Which events are claimed: some may not be claimable.
    window: Window,
    /// The last repeats were not stored.
    is_refused: bool,
    /// Some events may still wait for a repeat that was postponed while JetStream was away.
    is_behind: bool,
}

pub(crate) async fn run(relay: Relay, life: Lifecycle) -> anyhow::Result<()> {
    let connections = relay.bus.connections();
    let window = Window::new("outbox_sweep", CLAIM_MAX);
    let mut sweep = Sweep { relay, connections, window, is_refused: false, is_behind: true };
    while !life.is_draining() {
        let has_more = match store::within(SWEEP_TIMEOUT, Box::pin(sweep.once())).await {
            Ok(has_more) => has_more,
            Err(error) => {
                Gauge::OutboxRows.forget();
                Gauge::OutboxAge.forget();
                tracing::warn!(error = %error, "outbox sweep failed, will retry: {error}");
                false
            }
        };
        if !has_more {
            life.pause(PAUSE).await;
        }
    }
    Ok(())
}

impl Sweep {
    /// Publishes again what is overdue. Returns whether there may be more.
    async fn once(&mut self) -> store::Result<bool> {
        let relay = &self.relay;
        let now = relay.clock.now();
        relay.store.check().await?;
        let mut conn = relay.store.read().await?;
        let waiting = backlog(&mut conn, now).await?;
        drop(conn);
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
        Gauge::OutboxRows.set(waiting.events as f64);
        Gauge::OutboxAge.set(waiting.oldest_seconds);
        // Claiming puts the next repeat off: while NATS is away there is nothing to gain from it.
        if !relay.bus.is_connected() {
            return Ok(false);
        }
        if self.connections.has_changed().unwrap_or(false) {
            self.connections.mark_unchanged();
            self.is_behind = true;
        }
        if self.is_behind && !self.is_refused {
            self.is_behind = self.catch_up(now).await?;
        }
        self.window.begin(now);
        let claimed_max = self.window.claim().limit;
        let Some(mut overdue) = self.claim(now).await? else { return Ok(true) };
        if overdue.is_empty() && self.is_refused && self.make_due(PROBE_MAX, now).await? > 0 {
            overdue = self.claim(now).await?.unwrap_or_default();
        }
        for overdue in overdue.chunks(REPEATED_AT_ONCE) {
            self.repeat_all(overdue).await?;
        }
        let is_full = i64::try_from(overdue.len()).is_ok_and(|swept| swept >= claimed_max);
        Ok(is_full && !self.is_refused)
    }

    /// Claims what is overdue. `None` when that failed, and fewer events are to be tried.
    async fn claim(&mut self, now: Timestamp) -> store::Result<Option<Vec<Overdue>>> {
        let claim = self.window.claim();
        let limit = if self.is_refused { PROBE_MAX } else { claim.limit };
        match claim_some(&self.relay, Claim { limit, ..claim }, now).await {
            Ok(overdue) => {
                if !self.is_refused {
                    self.window.succeeded(overdue.len() as u64);
                }
                Ok(Some(overdue))
            }
            Err(error) if self.relay.store.blames_work(&error).await => {
                tracing::warn!(error = %error, "events cannot be claimed, retrying fewer: {error}");
                if self.window.failed(now) { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes events again, and learns whether JetStream stores them.
    async fn repeat_all(&mut self, overdue: &[Overdue]) -> store::Result<()> {
        let relay = self.relay.clone();
        let mut repeats = Vec::with_capacity(overdue.len());
        for event in overdue {
            let error = match store::within(REPEAT_BUDGET, repeat(&relay, event)).await {
                Ok(found) => {
                    repeats.extend(found);
                    continue;
                }
                Err(error) => error,
            };
            // All events of this claim were postponed together; one bad event must not stop the others.
            if !relay.store.blames_work(&error).await {
                self.is_behind = true;
                return Err(error);
            }
            // Attempts count repeats too, such as those of a time without NATS: what may succeed a
            // moment later is no reason to give an event up.
            if event.attempts >= ATTEMPTS_MAX && !error.is_transient() {
                if let Err(error) = bury(&relay, event.place, &error.to_string()).await {
                    tracing::warn!(place = ?event.place, error = %error,
                        "{:?} cannot be set aside, retrying: {error}", event.place);
                }
            } else {
                tracing::warn!(place = ?event.place, error = %error,
                    "{:?} cannot be published again, retrying: {error}", event.place);
            }
        }
        let count = publish_stored(&relay.bus, StreamKind::Rooms, repeats).await;
        Counter::EventsSwept.add(count.stored as u64);
        if count.stored > 0 {
            self.is_refused = false;
        } else if count.failed > 0 {
            self.is_refused = true;
            self.is_behind = true;
        }
        Ok(())
    }

    /// Makes due what waits for its next repeat. Returns whether there is more.
    async fn catch_up(&self, now: Timestamp) -> store::Result<bool> {
        let made_due = self.make_due(MAKE_DUE_MAX, now).await?;
        if made_due > 0 {
            tracing::info!(
                events = made_due,
                "JetStream works again: publishing {made_due} waiting events now"
            );
        }
        Ok(i64::try_from(made_due).is_ok_and(|made_due| made_due >= MAKE_DUE_MAX))
    }

    async fn make_due(&self, limit: i64, now: Timestamp) -> store::Result<u64> {
        let mut tx = self.relay.store.begin().await?;
        let made_due = make_due(&mut tx, limit, now).await?;
        let _nothing_to_publish = tx.commit().await?;
        Ok(made_due)
    }
}

async fn claim_some(relay: &Relay, claim: Claim, now: Timestamp) -> store::Result<Vec<Overdue>> {
    let mut tx = relay.store.begin_bounded(CLAIM_BUDGET).await?;
    let overdue = claim_overdue(&mut tx, claim, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(overdue)
}

/// The message that repeats an event; `None` where there is nothing to repeat.
async fn repeat(relay: &Relay, event: &Overdue) -> store::Result<Option<Stored>> {
    match event.place {
        LogPlace::Room(room, seq) => match find_event(relay, room, seq).await {
            Ok(Some(found)) => {
                let mut headers = event_headers(&found, relay.store.epoch());
                // Not the first's id: the stream would drop the repeat as a duplicate.
                let id = again_id(relay, &format!("{room}:{seq}:{}", event.attempts));
                headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
                let payload = text(&EventFrame::from(&found)).into();
                let subject = relay.bus.subjects().room_again(room);
                Ok(Some(Stored { subject, headers, payload }))
            }
            Ok(None) => forget(relay, event.place).await.map(|()| None),
            Err(error) => Err(error),
        },
        LogPlace::Org(org, seq) => {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER_SEQ, seq.to_string());
            let id = again_id(relay, &format!("org-{org}:{seq}:{}", event.attempts));
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
            let payload = event.payload.as_ref().map(ToString::to_string).unwrap_or_default();
            let (subject, payload) = (relay.bus.subjects().org_log(org), payload.into());
            Ok(Some(Stored { subject, headers, payload }))
        }
    }
}

/// The id of a repeat. It names the epoch, since after a restore another event may have the place.
fn again_id(relay: &Relay, id: &str) -> String {
    match relay.store.epoch() {
        Some(epoch) => format!("again-{epoch}-{id}"),
        None => format!("again-{id}"),
    }
}

async fn find_event(relay: &Relay, room: RoomId, seq: Seq) -> store::Result<Option<LogEvent>> {
    let page = room_log(&relay.store, room, Seq(seq.0 - 1), 1, relay.clock.now()).await?;
    Ok(page.and_then(|page| page.events.into_iter().next()).filter(|event| event.seq == seq))
}

/// The room, or this part of its past, is gone: there is nothing left to plan.
async fn forget(relay: &Relay, place: LogPlace) -> store::Result<()> {
    let mut tx = relay.store.begin().await?;
    settle(&mut tx, &[place]).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

pub(crate) async fn bury(relay: &Relay, place: LogPlace, reason: &str) -> store::Result<()> {
    let mut tx = relay.store.begin_bounded(CLAIM_BUDGET).await?;
    set_aside(&mut tx, place, reason, relay.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Counter::EventsDead.add(1);
    tracing::error!(place = ?place, reason, "an event cannot be planned and is set aside: {reason}");
    Ok(())
}
