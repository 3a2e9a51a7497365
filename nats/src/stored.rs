//! Publishing to a stream with JetStream's acknowledgement.
//!
//! All messages of a batch are sent first, then all acknowledgements are awaited together, so a
//! batch takes one round trip, and one deadline where JetStream does not answer. Failures are
//! counted by reason, and JetStream's own words are logged.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use parking_lot::Mutex;
use runtime::meter::{Counter, label};

use crate::bus::Bus;
use crate::streams::{self, StreamKind};

/// How long the acknowledgements of a batch may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The least time between two log lines with the same reason.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A message for a stream.
#[derive(Debug)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub payload: Bytes,
}

/// The result of publishing a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredCount {
    /// Messages that JetStream has stored.
    pub stored: usize,
    /// Messages that it refused or did not acknowledge in time.
    pub failed: usize,
}

/// Publishes messages to one stream, and waits at most 5 s for JetStream's acknowledgements.
pub async fn publish_stored(bus: &Bus, stream: StreamKind, messages: Vec<Stored>) -> StoredCount {
    let mut count = StoredCount::default();
    if messages.is_empty() {
        return count;
    }
    let total = messages.len();
    if !bus.is_connected() {
        count.failed = total;
        return count;
    }
    let mut fault = None;
    let publishing = async {
        let mut context = streams::context(bus);
        context.set_timeout(ANSWER_TIMEOUT);
        let mut answers = Vec::with_capacity(messages.len());
        for Stored { subject, headers, payload } in messages {
            let message = PublishMessage::build().headers(headers).payload(payload);
            answers.push(context.send_publish(subject, message).await);
        }
        for answer in answers {
            let answer = match answer {
                Ok(answer) => answer.await.map(drop),
                Err(error) => Err(error),
            };
            match answer {
                Ok(()) => count.stored += 1,
                Err(error) => fault = Some(error),
            }
        }
    };
    let is_late = tokio::time::timeout(ANSWER_TIMEOUT, publishing).await.is_err();
    count.failed = total - count.stored;
    if count.failed == 0 {
        bus.health().published(None);
        return count;
    }
    let (reason, text) = match &fault {
        Some(error) => (reason(error), text(error)),
        None if is_late => ("timeout", "JetStream does not answer".to_owned()),
        None => ("other", "unknown".to_owned()),
    };
    let labels = vec![label("stream", stream.name()), label("reason", reason)];
    Counter::JetStreamPublishFailures.add_with(count.failed as u64, labels);
    bus.health().published(Some(format!("stream {} refuses: {text}", stream.name())));
    tell(stream, &text, count.failed);
    count
}

/// The reason as a metric label: one of a few.
fn reason(error: &PublishError) -> &'static str {
    match error.kind() {
        PublishErrorKind::StreamNotFound => "no_stream",
        PublishErrorKind::TimedOut => "timeout",
        PublishErrorKind::BrokenPipe => "disconnected",
        PublishErrorKind::MaxAckPending => "too_many",
        _ => {
            let text = text(error).to_ascii_lowercase();
            let is_full = ["insufficient", "resource", "maximum", "exceeded", "no space"];
            if is_full.iter().any(|word| text.contains(word)) { "no_space" } else { "other" }
        }
    }
}

/// The reason for people.
fn text(error: &PublishError) -> String {
    if error.kind() == PublishErrorKind::StreamNotFound {
        return "no such stream, or none of its servers is there".to_owned();
    }
    error.to_string()
}

fn tell(stream: StreamKind, text: &str, failed: usize) {
    static TOLD: Mutex<Option<(String, Instant)>> = Mutex::new(None);
    let key = format!("{} {text}", stream.name());
    let mut told = TOLD.lock();
    if told.as_ref().is_some_and(|(last, at)| *last == key && at.elapsed() < TELL_EVERY) {
        return;
    }
    *told = Some((key, Instant::now()));
    drop(told);
    let name = stream.name();
    tracing::warn!(
        stream = name,
        reason = text,
        failed,
        "JetStream does not store what is published to {name}, will retry: {text}"
    );
}
