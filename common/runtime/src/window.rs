//! The window of a schedule over its due rows, in their order: how many one statement takes, and how
//! many it passes over.
//!
//! A statement that fails is repeated with half as many rows, until the row that spoils it stands
//! alone; that row is then passed over for a while that grows. So no row makes a schedule repeat the
//! same statement without end, and the rows behind it have their turn.

use domain::{Claim, Timestamp};

use crate::meter::{Counter, Gauge, label};
use crate::parked::delay_after;

/// Failures of one round after which the next round goes on: enough to find two rows among 1,000.
const FAILURES_PER_ROUND: u32 = 24;
/// Rows that are passed over at most.
const PASSED_OVER_MAX: i64 = 1_000;

/// The window.
#[derive(Debug)]
pub struct Window {
    work: &'static str,
    max: i64,
    limit: i64,
    passed_over: i64,
    failures_left: u32,
    /// Times that rows were passed over since the first row could last be claimed.
    times: u32,
    retry_at: Option<Timestamp>,
}

impl Window {
    /// A window of at most `max` rows; `work` is the label in metrics.
    pub fn new(work: &'static str, max: i64) -> Self {
        Gauge::WorkParked.set_with(0.0, vec![label("work", work)]);
        Self {
            work,
            max,
            limit: max,
            passed_over: 0,
            failures_left: FAILURES_PER_ROUND,
            times: 0,
            retry_at: None,
        }
    }

    /// Begins a round. Rows that were passed over for long enough are tried again, alone.
    pub fn begin(&mut self, now: Timestamp) {
        self.failures_left = FAILURES_PER_ROUND;
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.passed_over = 0;
            self.limit = 1;
            self.tell();
        }
    }

    /// What the next statement takes.
    pub fn claim(&self) -> Claim {
        Claim { limit: self.limit, passed_over: self.passed_over }
    }

    /// Notes that a statement found `found` rows. Returns whether there may be more.
    pub fn succeeded(&mut self, found: u64) -> bool {
        let is_full = found >= self.limit.unsigned_abs();
        self.limit = self.limit.saturating_mul(2).min(self.max);
        if self.passed_over == 0 {
            self.times = 0;
        }
        is_full
    }

    /// Notes that a statement failed although Postgres answers. Returns whether this round goes on.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        self.failures_left = self.failures_left.saturating_sub(1);
        if self.limit > 1 {
            self.limit /= 2;
        } else if self.passed_over < PASSED_OVER_MAX {
            Counter::WorkFailed.add_with(1, vec![label("work", self.work)]);
            if self.retry_at.is_none() {
                self.times = self.times.saturating_add(1);
                self.retry_at = Some(now + delay_after(self.times));
            }
            self.passed_over += 1;
            self.tell();
        } else {
            return false;
        }
        self.failures_left > 0
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 1,000")]
    fn tell(&self) {
        Gauge::WorkParked.set_with(self.passed_over as f64, vec![label("work", self.work)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds).unwrap()
    }

    /// One round over rows, of which some always fail. Returns how many statements failed.
    fn round(window: &mut Window, rows: &mut Vec<u32>, poison: &[u32], now: i64) -> u32 {
        window.begin(at(now));
        let mut failed = 0;
        loop {
            let Claim { limit, passed_over } = window.claim();
            let first = usize::try_from(passed_over).unwrap().min(rows.len());
            let end = (first + usize::try_from(limit).unwrap()).min(rows.len());
            if rows[first..end].iter().any(|row| poison.contains(row)) {
                failed += 1;
                if !window.failed(at(now)) {
                    return failed;
                }
            } else {
                let found = rows.drain(first..end).len();
                if !window.succeeded(found as u64) {
                    return failed;
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_claimed_is_passed_over_and_the_others_are_claimed() {
        for poison in [&[0][..], &[999], &[0, 1], &[3, 700, 701, 999]] {
            let mut window = Window::new("test", 500);
            let mut rows: Vec<u32> = (0..1_000).collect();
            let mut rounds = 0;
            while rows.len() > poison.len() {
                assert!(round(&mut window, &mut rows, poison, rounds) <= FAILURES_PER_ROUND);
                rounds += 1;
                assert!(rounds <= 4, "{poison:?}");
            }
            assert_eq!(rows, poison);
        }
    }

    #[test]
    fn what_is_passed_over_is_tried_again_alone_and_ever_less_often() {
        let mut window = Window::new("test", 500);
        let mut rows: Vec<u32> = (0..100).collect();
        round(&mut window, &mut rows, &[0], 0);
        assert_eq!(rows, [0]);
        let mut failures = Vec::new();
        for minute in 1..=200 {
            if round(&mut window, &mut rows, &[0], minute * 60) > 0 {
                failures.push(minute);
            }
        }
        assert_eq!(failures, [1, 3, 7, 15, 31, 63, 123, 183]);
        // Once it can be claimed, it is.
        round(&mut window, &mut rows, &[], 300 * 60);
        assert!(rows.is_empty());
        assert_eq!(window.claim(), Claim { limit: 4, passed_over: 0 });
    }
}
