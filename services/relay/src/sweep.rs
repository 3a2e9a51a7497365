//! The sweep: events that nobody has planned in time are published again.
//!
//! A crash between commit and publish, a NATS that was away or lost its disk, a full queue: each
//! leaves an outbox row behind, and this finds it. What is repeated goes to `chat.again.*`, which
//! ROOMS captures and edges do not hear.

use std::time::Duration;

use async_nats::HeaderMap;
use domain::{LogEvent, RoomId, Seq};
use nats::frames::{EventFrame, text};
use nats::publish::event_headers;
use nats::subjects::HEADER_SEQ;
use runtime::Lifecycle;
use runtime::meter::{Counter, Gauge};
use store::actions::outbox::{Overdue, claim_overdue, set_aside, settle};
use store::queries::outbox::{LogPlace, backlog};
use store::queries::room_log::room_log;

use crate::Relay;

/// Events claimed at once.
const CLAIM_MAX: i64 = 500;
/// The pause when there is nothing more to do.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one sweep may take: a Postgres whose machine is gone says nothing.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to publish one event again.
const REPEAT_BUDGET: Duration = Duration::from_secs(3);
/// Attempts after which an event that cannot be rendered is set aside.
const ATTEMPTS_MAX: i32 = 5;

pub(crate) async fn run(relay: Relay, life: Lifecycle) -> anyhow::Result<()> {
    while !life.is_draining() {
        let swept = tokio::time::timeout(SWEEP_TIMEOUT, sweep(&relay)).await;
        let is_full = match swept.unwrap_or(Err(store::Error::TimedOut)) {
            Ok(swept) => swept >= usize::try_from(CLAIM_MAX).unwrap_or(usize::MAX),
            Err(error) => {
                tracing::warn!(error = %error, "the sweep failed and goes on: {error}");
                false
            }
        };
        if !is_full {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = life.draining() => {}
            }
        }
    }
    Ok(())
}

/// Publishes again what is overdue. Returns how much it was.
async fn sweep(relay: &Relay) -> store::Result<usize> {
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
        return Ok(0);
    }
    let mut tx = relay.store.begin().await?;
    let overdue = claim_overdue(&mut tx, CLAIM_MAX, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    for event in &overdue {
        let repeated = tokio::time::timeout(REPEAT_BUDGET, repeat(relay, event)).await;
        let Err(error) = repeated.unwrap_or(Err(store::Error::TimedOut)) else { continue };
        // The others were put off with it, and do not wait for what is wrong with one.
        if error.is_transient() && !relay.store.answers().await {
            return Err(error);
        }
        if event.attempts >= ATTEMPTS_MAX && !error.is_conflict() {
            bury(relay, event.place, &error.to_string()).await?;
        } else {
            tracing::warn!(place = ?event.place, error = %error,
                "{:?} cannot be published again, retrying: {error}", event.place);
        }
    }
    Ok(overdue.len())
}

async fn repeat(relay: &Relay, event: &Overdue) -> store::Result<()> {
    match event.place {
        LogPlace::Room(room, seq) => match find_event(relay, room, seq).await {
            Ok(Some(found)) => {
                let mut headers = event_headers(&found, relay.store.epoch());
                // Not the first's id: the stream would drop the repeat as a duplicate.
                let id = again_id(relay, &format!("{room}:{seq}:{}", event.attempts));
                headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
                let frame = text(&EventFrame::from(&found));
                let subject = relay.bus.subjects().room_again(room);
                publish(relay, subject, headers, frame).await;
                Ok(())
            }
            Ok(None) => forget(relay, event.place).await,
            Err(error) => Err(error),
        },
        LogPlace::Org(org, seq) => {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER_SEQ, seq.to_string());
            let id = again_id(relay, &format!("org-{org}:{seq}:{}", event.attempts));
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
            let payload = event.payload.as_ref().map(ToString::to_string).unwrap_or_default();
            publish(relay, relay.bus.subjects().org_log(org), headers, payload).await;
            Ok(())
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
    tracing::error!(place = ?place, reason, "an event cannot be planned and is set aside: {reason}");
    Counter::EventsDead.add(1);
    let mut tx = relay.store.begin().await?;
    set_aside(&mut tx, place, reason, relay.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

async fn publish(relay: &Relay, subject: String, headers: HeaderMap, payload: String) {
    if relay.bus.tell(subject, headers, payload.into()).await {
        Counter::EventsSwept.add(1);
    }
}
