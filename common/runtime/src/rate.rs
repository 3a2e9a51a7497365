//! The generic cell rate algorithm (GCRA, ITU-T I.371), per key and in memory.
//!
//! Our own few lines, as the stored arrival time must be ours to advance when nodes exchange what
//! they counted. Keys are bounded: those whose time has passed are swept, and when all are
//! current a new key is let through uncounted rather than an old one forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Keys in one limiter.
const KEYS_MAX: usize = 1_000_000;
const SHARDS: usize = 16;

/// What a limiter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allowed {
        /// Requests per period.
        limit: u32,
        /// Requests left now.
        remaining: u32,
        /// When all are back.
        reset: Duration,
    },
    /// Not now.
    Refused {
        /// Requests per period.
        limit: u32,
        /// When the next is allowed.
        retry_after: Duration,
        /// When all are back.
        reset: Duration,
    },
}

/// Limits each key to so many requests per period, of which so many may come at once.
#[derive(Debug)]
pub struct Limiter<K> {
    limit: u32,
    interval: Duration,
    tolerance: Duration,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, Instant>>>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// `per` requests each `period`, at most `burst` at once. All must be greater than zero.
    pub fn new(per: u32, period: Duration, burst: u32) -> Self {
        let interval = period / per.max(1);
        Self {
            limit: per,
            interval,
            tolerance: interval * burst.max(1),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts a request of `key`.
    pub fn check(&self, key: &K, now: Instant) -> Decision {
        let hash = self.hasher.hash_one(key);
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let mut arrivals = self.shards[shard].lock();
        if arrivals.len() >= KEYS_MAX / SHARDS && !arrivals.contains_key(key) {
            arrivals.retain(|_, arrival| *arrival > now);
            if arrivals.len() >= KEYS_MAX / SHARDS {
                return self.allowed(self.interval);
            }
        }
        let arrival = arrivals.get(key).copied().unwrap_or(now).max(now);
        let next = arrival + self.interval;
        let ahead = next - now;
        if ahead > self.tolerance {
            return Decision::Refused {
                limit: self.limit,
                retry_after: ahead.saturating_sub(self.tolerance),
                reset: arrival - now,
            };
        }
        arrivals.insert(key.clone(), next);
        self.allowed(ahead)
    }

    /// Forgets keys that have all their requests back. Returns how many are left.
    pub fn sweep(&self, now: Instant) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let mut arrivals = shard.lock();
                arrivals.retain(|_, arrival| *arrival > now);
                arrivals.len()
            })
            .sum()
    }

    fn allowed(&self, ahead: Duration) -> Decision {
        let left = self.tolerance.saturating_sub(ahead);
        let remaining = left.as_nanos() / self.interval.as_nanos().max(1);
        Decision::Allowed {
            limit: self.limit,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Limiter};
    use std::time::{Duration, Instant};

    #[test]
    fn a_burst_is_allowed_then_one_per_interval() {
        let limiter = Limiter::new(60, Duration::from_secs(60), 3);
        let start = Instant::now();
        for remaining in [2, 1, 0] {
            let decision = limiter.check(&"ada", start);
            assert!(
                matches!(decision, Decision::Allowed { limit: 60, remaining: r, .. } if r == remaining)
            );
        }
        let refused = limiter.check(&"ada", start);
        let Decision::Refused { retry_after, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after, Duration::from_secs(1));
        assert!(matches!(limiter.check(&"bob", start), Decision::Allowed { .. }));
        let later = start + Duration::from_secs(1);
        assert!(matches!(limiter.check(&"ada", later), Decision::Allowed { remaining: 0, .. }));
        assert!(matches!(limiter.check(&"ada", later), Decision::Refused { .. }));
    }

    #[test]
    fn keys_with_all_their_requests_back_are_forgotten() {
        let limiter = Limiter::new(60, Duration::from_secs(60), 3);
        let start = Instant::now();
        limiter.check(&1, start);
        assert_eq!(limiter.sweep(start), 1);
        assert_eq!(limiter.sweep(start + Duration::from_secs(2)), 0);
    }
}
