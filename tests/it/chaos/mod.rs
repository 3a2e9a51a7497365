//! The promise while things die: what was acknowledged is never lost, doubled or out of order,
//! on any socket, whatever happens to edges, api, relay, NATS or Postgres in between.
//!
//! Each test takes seconds; `CHATBOARD_TEST_CHAOS_SECONDS` makes every storm that long.

mod effects;
mod nonces;
mod outages;
mod storms;

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// How long a storm rages.
fn length() -> Duration {
    let seconds = std::env::var_os("CHATBOARD_TEST_CHAOS_SECONDS")
        .and_then(|seconds| seconds.to_str()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// Strikes again and again until the storm is over, at least once.
async fn strikes<F: Future<Output = ()>>(pause: Duration, mut strike: impl FnMut(usize) -> F) {
    let end = Instant::now() + length();
    let mut ticks = tokio::time::interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        strike(number).await;
        if Instant::now() >= end {
            return;
        }
    }
}
