//! The JetStream streams and their durable consumers. A missing one is created by whoever
//! notices; one that differs is reported, and changed only by `chatboard migrate`.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config as ConsumerConfig;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};

use crate::bus::Bus;

/// How long ROOMS keeps an event. It is no record: whoever missed more asks the api.
const ROOMS_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a work queue keeps a job. The schedule in Postgres hands it out again.
const WORK_MAX_AGE: Duration = Duration::from_secs(3600);
/// Within this time a repeated event is dropped by its id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Events that ROOMS may hold; the oldest go first. (A bound in bytes would be reserved on disk.)
const ROOMS_EVENTS_MAX: i64 = 5_000_000;
/// Jobs that a work queue may hold; further ones are refused and stay on the schedule.
const WORK_JOBS_MAX: i64 = 1_000_000;

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
        batch_max: 64,
        ack_wait: Duration::from_secs(120),
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

    fn config(self, bus: &Bus, replicas: usize) -> Config {
        let common = Config {
            name: bus.subjects().scoped(self.name()),
            storage: StorageType::File,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: replicas,
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
    replicas: usize,
) -> anyhow::Result<Consumer<ConsumerConfig>> {
    let wanted = durable.stream.config(bus, replicas);
    let stream = context(bus).get_or_create_stream(wanted.clone()).await?;
    let found = &stream.cached_info().config;
    let is_other_stream = found.subjects != wanted.subjects
        || found.retention != wanted.retention
        || found.max_age != wanted.max_age
        || found.num_replicas != wanted.num_replicas;
    report(is_other_stream, "stream", &wanted.name);
    let wanted = durable.config(bus);
    let name = bus.subjects().scoped(durable.name);
    let consumer = stream.get_or_create_consumer(&name, wanted.clone()).await?;
    let found = &consumer.cached_info().config;
    let is_other_consumer = found.ack_policy != wanted.ack_policy
        || found.ack_wait != wanted.ack_wait
        || found.max_ack_pending != wanted.max_ack_pending;
    report(is_other_consumer, "consumer", &name);
    Ok(consumer)
}

fn report(differs: bool, what: &str, name: &str) {
    if differs {
        tracing::warn!(
            name,
            "{what} {name} differs from what this version wants: run `chatboard migrate`"
        );
    }
}

/// Creates or changes streams and consumers to what this version wants.
///
/// # Errors
/// When NATS is away, or refuses a change.
pub async fn migrate(bus: &Bus, replicas: usize) -> anyhow::Result<()> {
    let context = context(bus);
    for stream in StreamKind::ALL {
        context.create_or_update_stream(stream.config(bus, replicas)).await?;
    }
    for durable in Durable::ALL {
        let stream = bus.subjects().scoped(durable.stream.name());
        // Creating one that is there changes it.
        context.create_consumer_on_stream(durable.config(bus), stream).await?;
    }
    Ok(())
}
