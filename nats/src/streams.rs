//! The JetStream streams and their durable consumers. A missing one is created by whoever
//! notices; one that differs is reported, and changed only by `chatboard migrate`.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull::Config as ConsumerConfig;
use async_nats::jetstream::consumer::{AckPolicy, Config as Found, Consumer, DeliverPolicy};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use parking_lot::Mutex;

use crate::bus::Bus;

/// How long ROOMS keeps an event. It is no record: whoever missed more asks the api.
const ROOMS_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a work queue keeps a job. The schedule in Postgres hands it out again.
const WORK_MAX_AGE: Duration = Duration::from_secs(3600);
/// Within this time a repeated event is dropped by its id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Events that ROOMS may hold; the oldest go first.
const ROOMS_EVENTS_MAX: i64 = 5_000_000;
/// Jobs that a work queue may hold; further ones are refused and stay on the schedule.
const WORK_JOBS_MAX: i64 = 1_000_000;

/// Settings of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Copies of each stream that a cluster keeps.
    pub replicas: usize,
    /// Bytes that ROOMS may hold before it drops its oldest events; `None` is no bound.
    pub rooms_bytes_max: Option<i64>,
}

impl Default for StreamSettings {
    /// One copy, and no bound in bytes.
    fn default() -> Self {
        Self { replicas: 1, rooms_bytes_max: None }
    }
}

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Durable events of rooms and organizations.
    Rooms,
    /// Deliveries to webhooks that are due.
    Webhooks,
    /// Mails that are due.
    Notifications,
}

/// A durable consumer: all copies of a worker share it.
#[derive(Clone, Debug)]
pub struct Durable {
    /// The stream that it consumes.
    pub stream: StreamKind,
    /// Its name, without scope.
    pub name: &'static str,
    /// The most messages in one batch.
    pub batch_max: usize,
    /// How long a batch may take before its messages are handed out again.
    pub ack_wait: Duration,
    /// Messages that may be out at once, over all copies of the worker.
    pub unacked_max: i64,
}

impl Durable {
    /// The relay's: every event.
    pub const RELAY: Self = Self {
        stream: StreamKind::Rooms,
        name: "relay",
        batch_max: 500,
        ack_wait: Duration::from_secs(30),
        unacked_max: 20_000,
    };
    /// The webhook workers': deliveries that are due.
    pub const WEBHOOKS: Self = Self {
        stream: StreamKind::Webhooks,
        name: "webhooks",
        batch_max: 256,
        ack_wait: Duration::from_secs(60),
        unacked_max: 50_000,
    };
    /// The notifiers': mails that are due.
    pub const NOTIFIER: Self = Self {
        stream: StreamKind::Notifications,
        name: "notifier",
        // Two rounds of eight, each of which a mail server may keep waiting for a minute and a half.
        batch_max: 16,
        ack_wait: Duration::from_secs(300),
        unacked_max: 10_000,
    };

    /// All there are.
    pub const ALL: [&Self; 3] = [&Self::RELAY, &Self::WEBHOOKS, &Self::NOTIFIER];

    fn config(&self, bus: &Bus) -> ConsumerConfig {
        ConsumerConfig {
            durable_name: Some(bus.subjects().scoped(self.name)),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_ack_pending: self.unacked_max,
            ..ConsumerConfig::default()
        }
    }
}

impl StreamKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Rooms, Self::Webhooks, Self::Notifications];

    /// Its name, without scope.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rooms => "ROOMS",
            Self::Webhooks => "WEBHOOKS",
            Self::Notifications => "NOTIFICATIONS",
        }
    }

    fn config(self, bus: &Bus, settings: StreamSettings) -> Config {
        let common = Config {
            name: bus.subjects().scoped(self.name()),
            storage: StorageType::File,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: settings.replicas,
            // What the server makes of 0: otherwise every start would find a difference.
            max_bytes: -1,
            ..Config::default()
        };
        let work = |subject: String| Config {
            subjects: vec![subject],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_age: WORK_MAX_AGE,
            max_messages: WORK_JOBS_MAX,
            ..common.clone()
        };
        match self {
            Self::Rooms => Config {
                subjects: bus.subjects().rooms_stream(),
                retention: RetentionPolicy::Limits,
                discard: DiscardPolicy::Old,
                max_age: ROOMS_MAX_AGE,
                max_messages: ROOMS_EVENTS_MAX,
                // NATS reserves that much of its store.
                max_bytes: settings.rooms_bytes_max.unwrap_or(-1),
                ..common
            },
            Self::Webhooks => work(bus.subjects().webhook_work_all()),
            Self::Notifications => work(bus.subjects().mail_work_all()),
        }
    }
}

/// The JetStream side of a connection; every call has a deadline.
pub fn context(bus: &Bus) -> Context {
    let mut context = jetstream::new(bus.client().clone());
    context.set_timeout(Duration::from_secs(5));
    context
}

/// A durable consumer, made with its stream where either is missing.
///
/// # Errors
/// When NATS is away, or has no JetStream.
pub async fn consumer(
    bus: &Bus,
    durable: &Durable,
    settings: StreamSettings,
) -> anyhow::Result<Consumer<ConsumerConfig>> {
    let wanted = durable.stream.config(bus, settings);
    let made = context(bus).get_or_create_stream(wanted.clone()).await;
    let stream = made.map_err(|error| not_made(error.into(), durable.stream, settings))?;
    report("stream", &wanted.name, &stream_differences(&stream.cached_info().config, &wanted));
    let wanted = durable.config(bus);
    let name = bus.subjects().scoped(durable.name);
    let consumer = stream.get_or_create_consumer(&name, wanted.clone()).await?;
    report("consumer", &name, &consumer_differences(&consumer.cached_info().config, &wanted));
    Ok(consumer)
}

/// The settings in which a stream is not what this version wants.
fn stream_differences(found: &Config, wanted: &Config) -> Vec<&'static str> {
    differences(&[
        ("subjects", found.subjects != wanted.subjects),
        ("retention", found.retention != wanted.retention),
        ("storage", found.storage != wanted.storage),
        ("discard", found.discard != wanted.discard),
        ("max_age", found.max_age != wanted.max_age),
        ("max_messages", found.max_messages != wanted.max_messages),
        ("max_bytes", found.max_bytes != wanted.max_bytes),
        ("duplicate_window", found.duplicate_window != wanted.duplicate_window),
        ("replicas", found.num_replicas != wanted.num_replicas),
    ])
}

/// The settings in which a consumer is not what this version wants.
fn consumer_differences(found: &Found, wanted: &ConsumerConfig) -> Vec<&'static str> {
    differences(&[
        ("deliver_policy", found.deliver_policy != wanted.deliver_policy),
        ("ack_policy", found.ack_policy != wanted.ack_policy),
        ("ack_wait", found.ack_wait != wanted.ack_wait),
        ("max_ack_pending", found.max_ack_pending != wanted.max_ack_pending),
        ("filter_subjects", !found.filter_subject.is_empty() || !found.filter_subjects.is_empty()),
        // A limit would drop what could not be recorded so often.
        ("max_deliver", found.max_deliver > 0),
    ])
}

fn differences(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    fields.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
}

/// Says once in a process what differs: a worker looks at every pull.
fn report(what: &str, name: &str, differences: &[&str]) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if differences.is_empty() || !REPORTED.lock().insert(format!("{what} {name}")) {
        return;
    }
    let fields = differences.join(", ");
    tracing::warn!(
        name,
        fields,
        "{what} {name} differs from what this version wants in {fields}: run `chatboard migrate`"
    );
}

/// Creates or changes streams and consumers to what this version wants.
///
/// # Errors
/// When NATS is away, or refuses a change.
pub async fn migrate(bus: &Bus, settings: StreamSettings) -> anyhow::Result<()> {
    let context = context(bus);
    for stream in StreamKind::ALL {
        let wanted = stream.config(bus, settings);
        let name = wanted.name.clone();
        let changed = context.create_or_update_stream(wanted).await;
        changed
            .map_err(|error| not_made(error.into(), stream, settings))
            .with_context(|| refused("stream", &name))?;
    }
    for durable in Durable::ALL {
        let stream = bus.subjects().scoped(durable.stream.name());
        // Creating one that is there changes it.
        let changed = context.create_consumer_on_stream(durable.config(bus), stream).await;
        changed.with_context(|| refused("consumer", &bus.subjects().scoped(durable.name)))?;
    }
    Ok(())
}

/// Why a stream could not be made or changed; names the setting where JetStream lacks the space.
fn not_made(error: anyhow::Error, stream: StreamKind, settings: StreamSettings) -> anyhow::Error {
    let name = stream.name();
    let reason = format!("{error:#}").to_ascii_lowercase();
    let lacks_space =
        ["insufficient", "resource", "exceed"].iter().any(|word| reason.contains(word));
    error.context(match settings.rooms_bytes_max {
        Some(bytes) if lacks_space && stream == StreamKind::Rooms => format!(
            "stream {name} of {bytes} bytes (CHATBOARD_NATS_ROOMS_MIB, at most what JetStream has \
             left of max_file_store)"
        ),
        Some(_) | None => format!("stream {name}"),
    })
}

fn refused(what: &str, name: &str) -> String {
    format!(
        "{what} {name} could not be brought up to date; NATS changes some settings never \
         (retention, storage, deliver_policy): it may then be deleted, which loses nothing, and \
         is made anew"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let wanted = Config::default();
        assert!(stream_differences(&wanted, &wanted).is_empty());
        let found = Config {
            storage: StorageType::Memory,
            max_messages: wanted.max_messages + 1,
            ..wanted.clone()
        };
        assert_eq!(stream_differences(&found, &wanted), ["storage", "max_messages"]);
        let wanted = ConsumerConfig::default();
        let found = Found { max_deliver: 5, ..Found::default() };
        assert!(consumer_differences(&found, &wanted).contains(&"max_deliver"));
    }
}
