//! From logs to effects: what must happen because something happened.
//!
//! The relay consumes ROOMS; organizations take turns ([`turns`]). One Postgres transaction records every effect of a batch
//! and deletes its outbox rows; only after the commit are the messages acknowledged. So an outbox
//! row exists exactly as long as its effects do not, whatever dies at whichever line. The sweep
//! publishes again what has not been planned in time, on a subject that edges do not hear.
//!
//! Effects are deliveries to webhooks and notifications, with the decisions behind them.

mod announce;
mod crowd;
mod here;
mod plan;
mod sweep;
mod turns;

use std::time::Duration;

use nats::bus::Bus;
use nats::presence::Directory;
use nats::streams::StreamSettings;
use runtime::meter::{Counter, label};
use runtime::{Clock, Lifecycle};
use store::Store;

use crate::turns::Turns;

/// How the relay is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the stream is made, should it be missing.
    pub streams: StreamSettings,
    /// How long a notification may stay unread before it is looked at whether to mail it.
    pub mail_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { streams: StreamSettings::default(), mail_delay: Duration::from_secs(60) }
    }
}

/// What both halves of the relay work with.
#[derive(Clone, Debug)]
struct Relay {
    config: Config,
    store: Store,
    bus: Bus,
    presence: Directory,
    clock: Clock,
}

/// Starts a relay. Any number of them share the work.
///
/// # Errors
/// None now; start-up that can fail will say so here.
#[expect(clippy::unused_async, reason = "every role starts the same way")]
pub async fn start(
    config: Config,
    store: Store,
    bus: Bus,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    // Exported from the start: `increase` misses the first value of a new series.
    Counter::WorkDead.add_with(0, vec![label("work", "recipients")]);
    let presence = Directory::start(&bus, "relay", life);
    let relay = Relay { config, store, bus, presence, clock };
    let turns = Turns::new();
    life.spawn_essential("relay intake", plan::take_in(relay.clone(), turns.clone(), life.clone()));
    life.spawn_essential("relay planner", plan::run(relay.clone(), turns, life.clone()));
    life.spawn_essential("relay sweep", sweep::run(relay, life.clone()));
    Ok(())
}
