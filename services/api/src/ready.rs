//! Whether this node answers the questions of edges: only while the health check of its store
//! succeeds, which is the check of `/health/ready` too.
//!
//! An api that is in the queue group takes its share of all questions, whatever it can do with
//! them. So it joins after the first check that succeeds, and leaves when Postgres is unavailable
//! or its schema too old. Joining and leaving take several checks in a row, so a Postgres that comes
//! and goes moves a node at most once in two seconds.

use std::time::Duration;

use runtime::meter::{Counter, Gauge};

use crate::Api;

/// Pause between two checks: a new epoch is noticed within this.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// Checks that must fail in a row before the node leaves.
const FAILURES_TO_LEAVE: u32 = 2;
/// Checks that must succeed in a row before a node that has left joins again.
const SUCCESSES_TO_REJOIN: u32 = 2;

/// What the checks said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Checks {
    is_ready: bool,
    has_left: bool,
    /// Checks in a row that speak against the present state.
    against: u32,
}

impl Checks {
    /// Takes the result of a check; whether the node is ready now.
    fn note(&mut self, succeeded: bool) -> bool {
        if succeeded == self.is_ready {
            self.against = 0;
            return self.is_ready;
        }
        self.against += 1;
        let needed = match (self.is_ready, self.has_left) {
            (true, _) => FAILURES_TO_LEAVE,
            (false, true) => SUCCESSES_TO_REJOIN,
            (false, false) => 1,
        };
        if self.against >= needed {
            self.against = 0;
            self.has_left |= self.is_ready;
            self.is_ready = !self.is_ready;
        }
        self.is_ready
    }
}

/// Checks until the node drains.
pub(crate) async fn watch(api: Api) -> anyhow::Result<()> {
    // An alert sees the first change only if there was a value before.
    Counter::EpochChanges.add(0);
    let mut checks = Checks::default();
    let mut known = api.store().epoch();
    loop {
        let failure = api.store().check().await.err().map(anyhow::Error::new);
        let was_ready = checks.is_ready;
        let is_ready = checks.note(failure.is_none());
        match (was_ready, is_ready) {
            (true, false) => {
                let reason = failure.map(|error| format!("{error:#}")).unwrap_or_default();
                tracing::warn!(
                    error = reason,
                    "not ready, edges must ask other api nodes: {reason}"
                );
            }
            (false, true) => tracing::info!("ready, edges may ask this api node"),
            _ => {}
        }
        Gauge::RpcReady.set(if is_ready { 1.0 } else { 0.0 });
        api.set_ready(is_ready);
        if let Some(present) = api.store().epoch()
            && known.replace(present).is_some_and(|before| before != present)
        {
            Counter::EpochChanges.add(1);
        }
        if !api.life().pause(CHECK_PERIOD).await {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(results: &[bool]) -> Vec<bool> {
        let mut checks = Checks::default();
        results.iter().map(|&succeeded| checks.note(succeeded)).collect()
    }

    #[test]
    fn a_node_joins_at_its_first_success_and_not_before() {
        assert_eq!(states(&[false, false, true]), [false, false, true]);
    }

    #[test]
    fn a_node_leaves_after_two_failures_and_comes_back_after_two_successes() {
        let results = [true, false, true, false, false, true, false, true, true];
        let expected = [true, true, true, true, false, false, false, false, true];
        assert_eq!(states(&results), expected);
    }
}
