//! One way to consume a stream, for every worker: durable, explicit acks, in batches.
//!
//! The handler gets a batch and says for each message what became of it. Scars: a bare NAK spins,
//! so a retry carries a delay; a consumer is made anew when it, or its stream, is gone. A pull asks
//! for no heartbeats: async-nats 0.51 does not ask to be woken again once it has read one, and the
//! pull is deaf from then on to what comes. A pull whose server
//! died in mid-answer waits for ever by itself: every step has a deadline, and a new connection
//! ends it at once.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt;
use runtime::Lifecycle;

use crate::bus::Bus;
use crate::health::{self, ConsumerHealth};
use crate::streams::{self, Durable, StreamSettings};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effects are recorded.
    Done,
    /// Hand it out again, after a while.
    Retry {
        /// The while.
        after: Duration,
    },
}

/// The least time between two log lines with the same reason.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// The longest pause after a failed pull.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a pull waits for the first message.
const PULL_EXPIRES: Duration = Duration::from_secs(5);
/// How long a batch that is not full waits for more.
const GATHER: Duration = Duration::from_millis(25);
/// How long a pull may take in all.
const PULL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the batch that is being worked on may take once the process drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long making sure of stream and consumer may take, or acknowledging a batch.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes until the process drains; `settings` are those of the stream, should it have to be
/// made. The handler's answer has one outcome per message; a
/// shorter one leaves the rest to be handed out again.
pub async fn consume<H, F>(
    bus: Bus,
    (durable, settings): (Durable, StreamSettings),
    life: Lifecycle,
    mut handler: H,
) where
    H: FnMut(Vec<Message>) -> F,
    F: Future<Output = (Vec<Message>, Vec<Outcome>)>,
{
    bus.health().starts(&durable);
    let (watched, of_watch, life_of_watch) = (bus.clone(), durable.clone(), life.clone());
    life.spawn(async move { health::watch(&watched, &of_watch, &life_of_watch).await });
    let mut pause = Duration::from_millis(100);
    let mut told = None;
    while !life.is_draining() {
        match pull(&bus, (&durable, settings), &life, &mut handler).await {
            Ok(()) => {
                pause = Duration::from_millis(100);
                told = None;
            }
            Err(error) => {
                bus.health().pull_failed(&format!("{error:#}"));
                tell(&durable, &error, &mut told);
                life.pause(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Logs why a pull failed: when the reason changes, and once a minute.
fn tell(durable: &Durable, error: &anyhow::Error, told: &mut Option<(String, Instant)>) {
    let reason = format!("{error:#}");
    if told.as_ref().is_some_and(|(last, at)| *last == reason && at.elapsed() < TELL_EVERY) {
        return;
    }
    let name = durable.name;
    tracing::warn!(consumer = name, error = reason, "consumer {name} failed, will retry: {reason}");
    *told = Some((reason, Instant::now()));
}

/// Pulls batches until something goes wrong.
async fn pull<H, F>(
    bus: &Bus,
    (durable, settings): (&Durable, StreamSettings),
    life: &Lifecycle,
    handler: &mut H,
) -> anyhow::Result<()>
where
    H: FnMut(Vec<Message>) -> F,
    F: Future<Output = (Vec<Message>, Vec<Outcome>)>,
{
    // The reason is logged where the connection is made.
    ensure!(bus.is_connected(), "not connected to NATS");
    let mut connections = bus.connections();
    connections.mark_unchanged();
    let making = tokio::time::timeout(STEP_TIMEOUT, streams::consumer(bus, durable, settings));
    let consumer = tokio::select! {
        consumer = making => consumer.context("JetStream does not answer")??,
        () = life.draining() => return Ok(()),
    };
    while !life.is_draining() {
        let next = next_batch(&consumer, durable.batch_max, bus.health());
        let next = tokio::time::timeout(PULL_TIMEOUT, next);
        let batch = tokio::select! {
            batch = next => batch.context("JetStream does not answer a pull")??,
            // After a reconnect the store may be another: make sure of stream and consumer.
            _ = connections.changed() => return Ok(()),
            () = life.draining() => return Ok(()),
        };
        if batch.is_empty() {
            continue;
        }
        let (messages, outcomes) = tokio::select! {
            // After that its messages are handed out again anyway.
            done = tokio::time::timeout(durable.ack_wait, handler(batch)) => done
                .with_context(|| format!("a batch took longer than {:?}", durable.ack_wait))?,
            () = drained(life) => bail!("a batch was not done when the process had to end"),
        };
        for (message, outcome) in messages.iter().zip(outcomes) {
            let kind = match outcome {
                Outcome::Done => AckKind::Ack,
                Outcome::Retry { after } => AckKind::Nak(Some(after)),
            };
            tokio::time::timeout(STEP_TIMEOUT, message.ack_with(kind))
                .await?
                .map_err(|error| anyhow::anyhow!("ack: {error}"))?;
        }
    }
    Ok(())
}

/// Resolves when a batch has had its time after the drain began.
async fn drained(life: &Lifecycle) {
    life.draining().await;
    tokio::time::sleep(DRAIN_TIMEOUT).await;
}

/// What is there now, or what comes with the first that comes. Less than a full batch is given
/// [`GATHER`] to grow: a transaction for each single event would cost the record more than the
/// events themselves.
async fn next_batch(
    consumer: &Consumer<PullConfig>,
    batch_max: usize,
    health: &ConsumerHealth,
) -> anyhow::Result<Vec<Message>> {
    let mut batch = fetch(consumer, batch_max).await?;
    health.pulled();
    if batch.is_empty() {
        let mut first = consumer.batch().max_messages(1).expires(PULL_EXPIRES).messages().await?;
        batch = collect(&mut first).await?;
    }
    if !batch.is_empty() && batch.len() < batch_max {
        tokio::time::sleep(GATHER).await;
        batch.extend(fetch(consumer, batch_max - batch.len()).await?);
    }
    Ok(batch)
}

/// What is there now.
async fn fetch(consumer: &Consumer<PullConfig>, max: usize) -> anyhow::Result<Vec<Message>> {
    let mut now = consumer.fetch().max_messages(max).messages().await?;
    collect(&mut now).await
}

async fn collect<S, E>(messages: &mut S) -> anyhow::Result<Vec<Message>>
where
    S: futures_util::Stream<Item = Result<Message, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut batch = Vec::new();
    while let Some(message) = messages.next().await {
        batch.push(message.map_err(|error| anyhow::anyhow!("pull: {error}"))?);
    }
    Ok(batch)
}
