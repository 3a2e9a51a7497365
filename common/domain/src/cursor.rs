//! The promise of order as one small, pure type.
//!
//! A room's events carry `seq` 1, 2, 3, … They reach an edge over a network that may repeat,
//! reorder and lose them. [`StreamCursor`] takes what arrives and hands out each event once, in
//! order, and says what is missing. It knows no clock and no network: its owner decides how long
//! a gap may wait for stragglers, and fetches what stays missing.

use std::collections::BTreeMap;

use crate::ids::Seq;

/// What became of an offered event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It was next: it and everything that had waited for it came out.
    Delivered,
    /// It had come out before, or waits already: dropped.
    Duplicate,
    /// Something before it is missing: it waits.
    Waiting,
    /// Something before it is missing and no more may wait: dropped, to be fetched.
    Overflow,
}

/// Events that are missing, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first that is missing.
    pub first: Seq,
    /// The last that is missing.
    pub last: Seq,
}

/// Where a reader is in a room's log, and what has arrived too early.
#[derive(Clone, Debug)]
pub struct StreamCursor<T> {
    last: Seq,
    head: Seq,
    waiting: BTreeMap<Seq, T>,
    waiting_max: usize,
}

impl<T> StreamCursor<T> {
    /// A reader that has everything up to and including `last`. At most `waiting_max` events
    /// wait for missing ones.
    pub fn new(last: Seq, waiting_max: usize) -> Self {
        Self { last, head: last, waiting: BTreeMap::new(), waiting_max }
    }

    /// The last event that came out.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// The furthest event known to exist.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Whether everything known to exist has come out.
    pub fn is_caught_up(&self) -> bool {
        self.last >= self.head
    }

    /// Learns that the log reaches `head`, so that a lost last event is missed too.
    pub fn note_head(&mut self, head: Seq) {
        self.head = self.head.max(head);
    }

    /// Takes an event; `deliver` gets every event that is now in order, each once.
    pub fn offer(&mut self, seq: Seq, event: T, mut deliver: impl FnMut(Seq, T)) -> Offer {
        self.note_head(seq);
        if seq <= self.last || self.waiting.contains_key(&seq) {
            return Offer::Duplicate;
        }
        if seq != self.last.next() {
            if self.waiting.len() >= self.waiting_max {
                return Offer::Overflow;
            }
            self.waiting.insert(seq, event);
            return Offer::Waiting;
        }
        self.last = seq;
        deliver(seq, event);
        while let Some(event) = self.waiting.remove(&self.last.next()) {
            self.last = self.last.next();
            deliver(self.last, event);
        }
        Offer::Delivered
    }

    /// What must be fetched before anything more can come out.
    pub fn gap(&self) -> Option<Gap> {
        let first = self.last.next();
        let last = match self.waiting.keys().next() {
            Some(&next) => Seq(next.0 - 1),
            None => self.head,
        };
        (first <= last).then_some(Gap { first, last })
    }

    /// Gives up on everything up to `last`, which no longer exists: the reader must be told to
    /// load the room anew. What waited for it comes out if it is next.
    pub fn skip_to(&mut self, last: Seq, mut deliver: impl FnMut(Seq, T)) {
        if last <= self.last {
            return;
        }
        self.last = last;
        self.note_head(last);
        self.waiting.retain(|&seq, _| seq > last);
        while let Some(event) = self.waiting.remove(&self.last.next()) {
            self.last = self.last.next();
            deliver(self.last, event);
        }
    }
}
