//! Items of a schedule that keep failing: each is retried in smaller batches, then parked with a
//! growing delay, so that it never holds up the others.
//!
//! The failures of an item are kept in this process: after a restart it is tried again at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use domain::Timestamp;

use crate::meter::{Counter, Gauge, label};
use crate::parts::{ALONE_AFTER, shrunk};

/// How long an item is parked first; the delay doubles with each further failure.
const DELAY_MIN: Duration = Duration::from_secs(60);
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// Items that are remembered. One that fails beyond that is retried at its usual time.
const ITEMS_MAX: usize = 10_000;

/// How long something that failed `times` times, at least once, is left alone.
pub fn delay_after(times: u32) -> Duration {
    let doublings = times.saturating_sub(1).min(16);
    DELAY_MIN.saturating_mul(1 << doublings).min(DELAY_MAX)
}

/// The items of one kind of work that failed of late.
#[derive(Debug)]
pub struct Parked<K> {
    work: &'static str,
    items: HashMap<K, Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    parked_until: Option<Timestamp>,
}

impl<K: Copy + Eq + Hash> Parked<K> {
    /// Nothing has failed yet; `work` is the label in metrics.
    pub fn new(work: &'static str) -> Self {
        Gauge::WorkParked.set_with(0.0, vec![label("work", work)]);
        Self { work, items: HashMap::new() }
    }

    /// Notes that an item failed alone. Returns how often it has by now.
    pub fn failed(&mut self, key: K, now: Timestamp) -> u32 {
        Counter::WorkFailed.add_with(1, vec![label("work", self.work)]);
        if self.items.len() >= ITEMS_MAX && !self.items.contains_key(&key) {
            return 1;
        }
        let item = self.items.entry(key).or_insert(Failed { times: 0, parked_until: None });
        item.times = item.times.saturating_add(1);
        let parked = item.times.checked_sub(ALONE_AFTER).filter(|&times| times > 0);
        item.parked_until = parked.map(|times| now + delay_after(times));
        let times = item.times;
        self.tell();
        times
    }

    /// Notes that a batch of an item's work is done.
    pub fn succeeded(&mut self, key: K) {
        if let Some(item) = self.items.get_mut(&key) {
            item.times = item.times.min(ALONE_AFTER + 1) - 1;
            item.parked_until = None;
            if item.times == 0 {
                self.items.remove(&key);
            }
            self.tell();
        }
    }

    /// Forgets an item that does not exist any more.
    pub fn forget(&mut self, key: K) {
        if self.items.remove(&key).is_some() {
            self.tell();
        }
    }

    /// How much of an item's work to do at once, where `max` is usual.
    pub fn batch(&self, key: K, max: i64) -> i64 {
        shrunk(max, self.items.get(&key).map_or(0, |item| item.times))
    }

    /// Whether an item is to be left alone now.
    pub fn is_parked(&self, key: K, now: Timestamp) -> bool {
        let until = self.items.get(&key).and_then(|item| item.parked_until);
        until.is_some_and(|until| now < until)
    }

    /// The items that are to be left alone now.
    pub fn parked(&self, now: Timestamp) -> Vec<K> {
        self.items.keys().copied().filter(|&key| self.is_parked(key, now)).collect()
    }

    fn tell(&self) {
        let parked = self.items.values().filter(|item| item.parked_until.is_some()).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000")]
        Gauge::WorkParked.set_with(parked as f64, vec![label("work", self.work)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn an_item_that_fails_gets_smaller_batches_and_then_longer_and_longer_rests() {
        let mut parked = Parked::new("test");
        let mut batches = Vec::new();
        for _ in 0..ALONE_AFTER {
            assert!(!parked.is_parked(7, at(0)));
            batches.push(parked.batch(7, 500));
            parked.failed(7, at(0));
        }
        batches.push(parked.batch(7, 500));
        assert_eq!(batches, [500, 62, 7, 1]);
        let (mut now, mut delays) = (0, Vec::new());
        for _ in 0..8 {
            parked.failed(7, at(now));
            let before = now;
            while parked.is_parked(7, at(now)) {
                now += 60;
            }
            delays.push((now - before) / 60);
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60], "minutes");
        assert!(parked.parked(at(now)).is_empty());
        assert!(!parked.is_parked(8, at(now)), "others are not parked");
    }

    #[test]
    fn an_item_that_succeeds_gets_its_usual_batch_back_step_by_step() {
        let mut parked = Parked::new("test");
        for _ in 0..9 {
            parked.failed(7, at(0));
        }
        let mut batches = Vec::new();
        for _ in 0..4 {
            parked.succeeded(7);
            assert!(!parked.is_parked(7, at(0)));
            batches.push(parked.batch(7, 500));
        }
        assert_eq!(batches, [1, 7, 62, 500]);
    }

    #[test]
    fn only_so_many_items_are_remembered() {
        let mut parked = Parked::new("test");
        for key in 0..2 * ITEMS_MAX {
            parked.failed(key, at(0));
        }
        assert_eq!(parked.items.len(), ITEMS_MAX);
    }
}
