//! What is forgotten in time.
//!
//! Each kind of work is a loop that takes bounded batches, one transaction each, until nothing is
//! left, and looks again after a while. **Invariants:** a batch is claimed with `skip locked`, so
//! any number of janitors share the work and none waits for another; what a batch removes and the
//! record of it commit together, so that a janitor may die at any line; after a batch it
//! rests for several times as long as that took, so that others have the record most of the time. Files are removed from
//! the object store while no transaction is open, and their rows after that: see [`files`].

mod expiries;
mod files;
mod names;
mod picture;
mod previews;
mod removals;
mod retention;
mod rounds;
mod times;
mod words;

use std::time::Duration;

use objects::Objects;
use runtime::{Clock, Lifecycle};
use store::Store;

/// How the janitor is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often it looks whether there is something to do.
    pub scan_every: Duration,
    /// Rows that one transaction removes at most, of what it counts by.
    pub batch: i64,
    /// How often it looks whether a preview is to be made.
    pub previews_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let previews_every = Duration::from_millis(500);
        Self { scan_every: Duration::from_secs(60), batch: 500, previews_every }
    }
}

/// What the janitor works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The record.
    pub store: Store,
    /// The object store; without one there are no uploads.
    pub objects: Option<Objects>,
    /// The time by which things expire.
    pub clock: Clock,
}

/// What every loop shares.
#[derive(Clone, Debug)]
struct Janitor {
    config: Config,
    store: Store,
    clock: Clock,
    life: Lifecycle,
}

/// Starts a janitor. Any number of them share the work.
///
/// # Errors
/// None now; start-up that can fail will say so here.
#[expect(clippy::unused_async, reason = "every role starts the same way")]
pub async fn start(config: Config, parts: Parts, life: &Lifecycle) -> anyhow::Result<()> {
    let Parts { store, objects, clock } = parts;
    let janitor = Janitor { config, store, clock, life: life.clone() };
    life.spawn_essential("janitor expiries", expiries::run(janitor.clone()));
    life.spawn_essential("janitor retention", retention::run(janitor.clone()));
    life.spawn_essential("janitor removals", removals::run(janitor.clone()));
    if let Some(objects) = objects {
        life.spawn_essential("janitor files", files::run(janitor.clone(), objects.clone()));
        life.spawn_essential("janitor previews", previews::run(janitor.clone(), objects));
    }
    life.spawn_essential("janitor names", names::run(janitor.clone()));
    life.spawn_essential("janitor times", times::run(janitor.clone()));
    life.spawn_essential("janitor words", words::run(janitor));
    Ok(())
}
