//! The epoch as this edge knows it, learnt from every reply that carries one.
//!
//! A reply of another epoch begins that one here: each room's task ends, and each subscription
//! opens its room anew and is told `resync`. **Invariant:** nothing that was read in one epoch is
//! handed to a subscription of another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::Epoch;
use nats::bus::{AskError, Bus};
use nats::rpc::Question;
use parking_lot::Mutex;
use runtime::meter::Counter;
use tokio::sync::watch;
use tokio::time::Instant;

/// An api node may be so far behind the others in learning of a new epoch, and an answer so long
/// under way: replies of an epoch that has ended are not believed before nothing was heard of the
/// present one for this long.
const BEHIND_MAX: Duration = Duration::from_secs(10);
/// Epochs that have ended and are remembered.
const ENDED_MAX: usize = 16;

/// The epoch, and those before it.
#[derive(Debug)]
pub(crate) struct Epochs {
    state: Mutex<State>,
    present: watch::Sender<Option<Epoch>>,
}

#[derive(Debug, Default)]
struct State {
    present: Option<Epoch>,
    heard_at: Option<Instant>,
    ended: VecDeque<Epoch>,
}

impl State {
    /// Learns of an epoch; whether it is the present one now.
    fn note(&mut self, epoch: Epoch, now: Instant) -> bool {
        let Some(present) = self.present else {
            self.present = Some(epoch);
            self.heard_at = Some(now);
            return true;
        };
        if epoch != present {
            let is_quiet = self.heard_at.is_none_or(|at| now.duration_since(at) >= BEHIND_MAX);
            if self.ended.contains(&epoch) && !is_quiet {
                return false;
            }
            self.ended.retain(|&ended| ended != epoch);
            self.ended.push_back(present);
            if self.ended.len() > ENDED_MAX {
                self.ended.pop_front();
            }
            self.present = Some(epoch);
        }
        self.heard_at = Some(now);
        true
    }
}

impl Epochs {
    /// None is known yet.
    pub(crate) fn new() -> Self {
        // An alert sees the first change only if there was a value before.
        Counter::EpochChanges.add(0);
        Counter::RpcAskedAgain.add(0);
        Self { state: Mutex::default(), present: watch::Sender::new(None) }
    }

    /// The present one; `None` before the first reply.
    pub(crate) fn present(&self) -> Option<Epoch> {
        *self.present.borrow()
    }

    /// Hears of each change.
    pub(crate) fn follow(&self) -> watch::Receiver<Option<Epoch>> {
        self.present.subscribe()
    }

    /// Whether an epoch is another than the present one and has not ended: one to ask about.
    pub(crate) fn is_news(&self, epoch: Epoch) -> bool {
        let state = self.state.lock();
        state.present != Some(epoch) && !state.ended.contains(&epoch)
    }

    /// Learns of an epoch; `false` when it has ended and what came with it is void.
    fn note(&self, epoch: Epoch) -> bool {
        let mut state = self.state.lock();
        let before = state.present;
        let is_present = state.note(epoch, Instant::now());
        if state.present != before {
            if before.is_some() {
                Counter::EpochChanges.add(1);
                tracing::warn!(epoch = %epoch, "new epoch {epoch}: all rooms are opened anew");
            }
            self.present.send_replace(state.present);
        }
        is_present
    }
}

/// The way to ask an api for what belongs to an epoch. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ApiClient {
    bus: Bus,
    epochs: Arc<Epochs>,
}

impl ApiClient {
    /// Asks over `bus` and learns of epochs.
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus, epochs: Arc::new(Epochs::new()) }
    }

    /// The epochs.
    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The connection to NATS.
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Asks an api, and learns of the epoch of its reply before anybody uses it.
    ///
    /// # Errors
    /// As [`Bus::ask`]; `Unavailable` too when the reply belongs to an epoch that has ended.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Reply, AskError> {
        let mut reply = self.bus.ask(question).await?;
        let Some(epoch) = Q::epoch_of(&mut reply) else { return Ok(reply) };
        if *epoch == Epoch::UNNAMED {
            *epoch = self.epochs.present().unwrap_or_default();
        }
        if self.epochs.note(*epoch) {
            return Ok(reply);
        }
        let reason = format!("an answer of epoch {epoch}, which has ended");
        Err(AskError::Unavailable { verb: Q::VERB, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::parse(&format!("{number:016x}")).expect("an epoch")
    }

    #[test]
    fn a_new_epoch_begins_at_once_and_the_old_one_is_void() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.note(epoch(1), now));
        assert!(state.note(epoch(2), now));
        assert!(!state.note(epoch(1), now), "a node that is behind");
        assert_eq!(state.present, Some(epoch(2)));
        assert!(state.note(epoch(3), now));
        assert!(!state.note(epoch(2), now));
        assert!(!state.note(epoch(1), now));
    }

    #[test]
    fn an_epoch_comes_back_once_nothing_is_heard_of_the_one_after_it() {
        let (mut state, now) = (State::default(), Instant::now());
        state.note(epoch(1), now);
        state.note(epoch(2), now);
        assert!(!state.note(epoch(1), now + BEHIND_MAX / 2));
        assert!(state.note(epoch(1), now + BEHIND_MAX));
        assert!(!state.note(epoch(2), now + BEHIND_MAX));
    }
}
