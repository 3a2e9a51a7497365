//! The JetStream streams. A missing one is created by whoever notices; one that differs is
//! reported, and changed only by `chatboard migrate`.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};

use crate::bus::Bus;

/// How long ROOMS keeps an event. It is no record: whoever missed more asks the api.
const ROOMS_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Within this time a repeated event is dropped by its id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Events that ROOMS may hold; the oldest go first. (A bound in bytes would be reserved on disk.)
const ROOMS_EVENTS_MAX: i64 = 5_000_000;

/// How the stream ROOMS is set up.
pub fn rooms_config(bus: &Bus, replicas: usize) -> Config {
    Config {
        name: bus.subjects().scoped("ROOMS"),
        subjects: bus.subjects().rooms_stream(),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        max_age: ROOMS_MAX_AGE,
        max_messages: ROOMS_EVENTS_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: replicas,
        ..Config::default()
    }
}

/// The JetStream side of a connection; every call has a deadline.
pub fn context(bus: &Bus) -> Context {
    let mut context = jetstream::new(bus.client().clone());
    context.set_timeout(Duration::from_secs(5));
    context
}

/// The stream ROOMS, created when it is missing.
///
/// # Errors
/// When NATS is away, or has no JetStream.
pub async fn rooms(bus: &Bus, replicas: usize) -> anyhow::Result<Stream> {
    let wanted = rooms_config(bus, replicas);
    let stream = context(bus).get_or_create_stream(wanted.clone()).await?;
    let found = &stream.cached_info().config;
    let differs = found.subjects != wanted.subjects
        || found.max_age != wanted.max_age
        || found.num_replicas != wanted.num_replicas;
    if differs {
        tracing::warn!(
            stream = wanted.name,
            "stream {} differs from what this version wants: run `chatboard migrate`",
            wanted.name
        );
    }
    Ok(stream)
}

/// Creates or changes the streams to what this version wants.
///
/// # Errors
/// When NATS is away, or refuses the change.
pub async fn migrate(bus: &Bus, replicas: usize) -> anyhow::Result<()> {
    context(bus).create_or_update_stream(rooms_config(bus, replicas)).await?;
    Ok(())
}
