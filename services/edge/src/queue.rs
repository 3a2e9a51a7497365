//! What waits to be written to one socket: bounded in frames and bytes, shed before it is full.
//!
//! **Invariant:** pushing never waits, so one slow reader never slows a room. Frames count until
//! they are flushed to the network, not just until they are taken, and once [`Outbound::close`]
//! was called nothing more is taken in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::close::Close;
use domain::Seq;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::frame::Text;
use crate::subscription::Subscription;

/// Unflushed frames of one socket, at most; beyond, it is closed as too slow.
pub(crate) const FRAMES_MAX: usize = 4_096;
/// Unflushed bytes of one socket, at most.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// A replay goes on while fewer frames than this are unflushed.
const LOW_WATER_FRAMES: usize = 64;
/// A replay goes on while fewer bytes than this are unflushed.
const LOW_WATER_BYTES: usize = 256 * 1024;
/// Bytes that are written together, before the socket's task looks at anything else.
const WRITE_BYTES: usize = 64 * 1024;
/// Places of the empty queue that an idle socket keeps.
const IDLE_PLACES: usize = 8;

/// How much a frame matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// An event with a `seq`, or an answer: never shed.
    Needed,
    /// Best effort: shed once a quarter of the bound is in use.
    Ephemeral,
}

/// What the socket's task has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Write what was taken.
    Write,
    /// Everything is taken: close.
    Close(Close),
    /// Look at the deadlines anew.
    Nudge,
    /// Nothing.
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Text>,
    unflushed_frames: usize,
    unflushed_bytes: usize,
    close: Option<Close>,
    is_nudged: bool,
}

/// The queue of one socket.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    state: Mutex<State>,
    wake: Notify,
    drained: Notify,
}

/// Frames shed since the process began, by all sockets; read by the metrics.
pub(crate) static SHED: AtomicU64 = AtomicU64::new(0);

impl Outbound {
    /// Queues a frame.
    pub(crate) fn push(&self, text: Text, weight: Weight) {
        let mut state = self.state.lock();
        let was_empty = state.frames.is_empty();
        state.push(text, weight);
        self.wake_if(was_empty, &state);
    }

    /// Queues a frame of a room, unless the subscription has ended.
    pub(crate) fn push_live(&self, subscription: &Subscription, text: &Text, weight: Weight) {
        let mut state = self.state.lock();
        if subscription.has_ended() {
            return;
        }
        let was_empty = state.frames.is_empty();
        state.push(text.clone(), weight);
        self.wake_if(was_empty, &state);
    }

    /// Queues those of a room's events that the subscription does not have yet, and moves its
    /// position. Events come in order and without holes.
    pub(crate) fn push_events<'a>(
        &self,
        subscription: &Subscription,
        events: impl Iterator<Item = (Seq, &'a Text)>,
    ) {
        let mut state = self.state.lock();
        if subscription.has_ended() {
            return;
        }
        let was_empty = state.frames.is_empty();
        let mut position = subscription.position();
        for (seq, text) in events {
            if seq > position {
                debug_assert_eq!(seq, position.next(), "a hole in a subscription");
                state.push(text.clone(), Weight::Needed);
                position = seq;
            }
        }
        subscription.set_position(position);
        self.wake_if(was_empty, &state);
    }

    /// Ends a subscription with a last frame: none of its room follows. Does nothing, and says
    /// so, if it had ended before.
    pub(crate) fn end(&self, subscription: &Subscription, last: Option<Text>) -> bool {
        let mut state = self.state.lock();
        if subscription.has_ended() {
            return false;
        }
        subscription.mark_ended();
        if let Some(text) = last {
            let was_empty = state.frames.is_empty();
            state.push(text, Weight::Needed);
            self.wake_if(was_empty, &state);
        }
        true
    }

    /// Closes the socket once what is queued has been written. The first reason stays.
    pub(crate) fn close(&self, close: Close) {
        self.state.lock().close.get_or_insert(close);
        self.wake.notify_one();
        self.drained.notify_waiters();
    }

    /// Why the socket is being closed, if it is.
    pub(crate) fn closing(&self) -> Option<Close> {
        self.state.lock().close
    }

    /// Has the socket's task look at its deadlines.
    pub(crate) fn nudge(&self) {
        self.state.lock().is_nudged = true;
        self.wake.notify_one();
    }

    /// Resolves when there may be work. Cancel-safe.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes as many frames as are written together, and says what to do.
    pub(crate) fn take(&self, batch: &mut Vec<Text>) -> Work {
        let mut state = self.state.lock();
        let mut bytes = 0;
        while bytes < WRITE_BYTES
            && let Some(text) = state.frames.pop_front()
        {
            bytes += text.len();
            batch.push(text);
        }
        if state.frames.is_empty() {
            state.frames.shrink_to(IDLE_PLACES);
        }
        if !batch.is_empty() {
            return Work::Write;
        }
        let is_nudged = std::mem::take(&mut state.is_nudged);
        match state.close {
            Some(close) => Work::Close(close),
            None if is_nudged => Work::Nudge,
            None => Work::Nothing,
        }
    }

    /// What was taken is on the network.
    pub(crate) fn flushed(&self, frames: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.unflushed_frames = state.unflushed_frames.saturating_sub(frames);
        state.unflushed_bytes = state.unflushed_bytes.saturating_sub(bytes);
        if state.is_low() {
            self.drained.notify_waiters();
        }
        // Whoever waited for a blocked write may have used up the wake.
        if !state.frames.is_empty() || state.close.is_some() || state.is_nudged {
            self.wake.notify_one();
        }
    }

    /// Waits until a replay may go on; `false` when the socket is closing.
    ///
    /// Cancel-safe. Ends at the latest with the socket: its task closes the queue when it ends,
    /// whoever waits here would otherwise keep the socket for ever.
    pub(crate) async fn low_water(&self) -> bool {
        loop {
            let drained = self.drained.notified();
            {
                let state = self.state.lock();
                if state.close.is_some() {
                    return false;
                }
                if state.is_low() {
                    return true;
                }
            }
            drained.await;
        }
    }

    /// Bytes that are not on the network yet.
    pub(crate) fn unflushed_bytes(&self) -> usize {
        self.state.lock().unflushed_bytes
    }

    fn wake_if(&self, was_empty: bool, state: &State) {
        if state.close.is_some() || (was_empty && !state.frames.is_empty()) {
            self.wake.notify_one();
        }
    }
}

impl State {
    fn push(&mut self, text: Text, weight: Weight) {
        if self.close.is_some() {
            return;
        }
        let frames = self.unflushed_frames + 1;
        let bytes = self.unflushed_bytes + text.len();
        if weight == Weight::Ephemeral && (frames > FRAMES_MAX / 4 || bytes > BYTES_MAX / 4) {
            SHED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if frames > FRAMES_MAX || bytes > BYTES_MAX {
            self.close = Some(Close::TooSlow);
            self.frames = VecDeque::new();
            return;
        }
        self.unflushed_frames = frames;
        self.unflushed_bytes = bytes;
        self.frames.push_back(text);
    }

    fn is_low(&self) -> bool {
        self.unflushed_frames < LOW_WATER_FRAMES && self.unflushed_bytes < LOW_WATER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Text {
        "x".repeat(bytes).into()
    }

    fn take_all(out: &Outbound) -> usize {
        let mut frames = 0;
        loop {
            let mut batch = Vec::new();
            if out.take(&mut batch) != Work::Write {
                return frames;
            }
            frames += batch.len();
            out.flushed(batch.len(), batch.iter().map(|text| text.len()).sum());
        }
    }

    #[test]
    fn what_is_best_effort_is_shed_first() {
        let out = Outbound::default();
        for _ in 0..FRAMES_MAX {
            out.push(text(1), Weight::Ephemeral);
        }
        assert_eq!(out.closing(), None);
        assert_eq!(take_all(&out), FRAMES_MAX / 4);
    }

    #[test]
    fn a_socket_over_its_bound_is_closed_and_its_queue_dropped() {
        let out = Outbound::default();
        for _ in 0..=FRAMES_MAX {
            out.push(text(1), Weight::Needed);
        }
        assert_eq!(out.closing(), Some(Close::TooSlow));
        assert_eq!(out.take(&mut Vec::new()), Work::Close(Close::TooSlow));

        let out = Outbound::default();
        for _ in 0..5 {
            out.push(text(BYTES_MAX / 4), Weight::Needed);
        }
        assert_eq!(out.closing(), Some(Close::TooSlow));
    }

    #[test]
    fn what_is_taken_counts_until_it_is_flushed() {
        let out = Outbound::default();
        out.push(text(100), Weight::Needed);
        let mut batch = Vec::new();
        assert_eq!(out.take(&mut batch), Work::Write);
        assert_eq!(out.unflushed_bytes(), 100);
        out.flushed(1, 100);
        assert_eq!(out.unflushed_bytes(), 0);
    }

    #[test]
    fn a_close_comes_after_what_was_queued_and_lets_nothing_in() {
        let out = Outbound::default();
        out.push(text(1), Weight::Needed);
        out.close(Close::NoSuchRoom);
        out.close(Close::Restarting);
        out.push(text(1), Weight::Needed);
        let mut batch = Vec::new();
        assert_eq!(out.take(&mut batch), Work::Write);
        assert_eq!(batch.len(), 1);
        assert_eq!(out.take(&mut Vec::new()), Work::Close(Close::NoSuchRoom));
    }
}
