//! The generic cell rate algorithm (GCRA, ITU-T I.371), per key and in memory.
//!
//! Our own few lines, as the stored arrival time must be ours to advance when nodes exchange what
//! they counted. Keys are bounded: those whose time has passed are swept, and when all are
//! current a new key is let through uncounted rather than an old one forgotten.
//!
//! **Over a cluster** each node lets through what it may by what it knows, and learns what the
//! others let through some moments later ([`Limiter::take`] there, [`Limiter::advance`] here). So
//! a key gets at most its burst on each node before the first exchange, and whatever went beyond
//! the limit is paid back: nodes refuse until the time that it stands for has passed, at most
//! [`DEBT_MAX`] bursts of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How far other nodes' counts can put a key ahead, in bursts: who overdrew on many nodes at once
/// is locked out for two periods, not for ever.
pub const DEBT_MAX: u32 = 2;
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
    shards: Vec<Mutex<Shard<K>>>,
    /// Whether [`Self::take`] is asked what was counted.
    is_shared: bool,
}

#[derive(Debug)]
struct Shard<K> {
    arrivals: HashMap<K, Instant>,
    /// What was allowed since it was last taken.
    counted: HashMap<K, u32>,
}

impl<K> Default for Shard<K> {
    fn default() -> Self {
        Self { arrivals: HashMap::new(), counted: HashMap::new() }
    }
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
            is_shared: false,
        }
    }

    /// The same, whose counts are told to others: they must be taken from time to time.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Counts a request of `key`.
    pub fn check(&self, key: &K, now: Instant) -> Decision {
        let mut shard = self.shard(key).lock();
        let decision = self.admit(&mut shard, key, now);
        if self.is_shared && matches!(decision, Decision::Allowed { .. }) {
            shard.count(key, 1);
        }
        decision
    }

    /// Counts a request of `key` provisionally: call [`Self::confirm`] or [`Self::refund`] next. It is
    /// shared with other nodes when it is confirmed.
    pub fn reserve(&self, key: &K, now: Instant) -> Decision {
        self.admit(&mut self.shard(key).lock(), key, now)
    }

    /// Keeps a reserved request.
    pub fn confirm(&self, key: &K) {
        if self.is_shared {
            self.shard(key).lock().count(key, 1);
        }
    }

    /// Gives back a reserved request.
    pub fn refund(&self, key: &K) {
        if let Some(arrival) = self.shard(key).lock().arrivals.get_mut(key) {
            *arrival = arrival.checked_sub(self.interval).unwrap_or(*arrival);
        }
    }

    /// Counts an amount that was used already, however large: [`Self::wait`] is longer until what
    /// exceeds the burst is paid back.
    pub fn charge(&self, key: &K, amount: u32, now: Instant) {
        let mut shard = self.shard(key).lock();
        if amount == 0 || !shard.has_room(key, now) {
            return;
        }
        let arrival = shard.arrivals.get(key).copied().unwrap_or(now).max(now);
        shard.arrivals.insert(key.clone(), arrival + self.interval.saturating_mul(amount));
        if self.is_shared {
            shard.count(key, amount);
        }
    }

    /// The time until `key` has something left; zero when it has.
    pub fn wait(&self, key: &K, now: Instant) -> Duration {
        let arrival = self.shard(key).lock().arrivals.get(key).copied().unwrap_or(now);
        (arrival.saturating_duration_since(now) + self.interval).saturating_sub(self.tolerance)
    }

    fn admit(&self, shard: &mut Shard<K>, key: &K, now: Instant) -> Decision {
        if !shard.has_room(key, now) {
            return self.allowed(self.interval);
        }
        let arrival = shard.arrivals.get(key).copied().unwrap_or(now).max(now);
        let next = arrival + self.interval;
        let ahead = next - now;
        if ahead > self.tolerance {
            return Decision::Refused {
                limit: self.limit,
                retry_after: ahead.saturating_sub(self.tolerance),
                reset: arrival - now,
            };
        }
        shard.arrivals.insert(key.clone(), next);
        self.allowed(ahead)
    }

    /// What was allowed here since this was last asked, of at most `max` keys; the others follow
    /// the next time.
    pub fn take(&self, max: usize) -> Vec<(K, u32)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let room = max - taken.len();
            if shard.counted.len() <= room {
                taken.extend(shard.counted.drain());
            } else {
                let keys: Vec<K> = shard.counted.keys().take(room).cloned().collect();
                for key in keys {
                    let count = shard.counted.remove(&key).unwrap_or_default();
                    taken.push((key, count));
                }
            }
        }
        taken
    }

    /// Counts what another node has allowed.
    pub fn advance(&self, key: &K, count: u32, now: Instant) {
        let mut shard = self.shard(key).lock();
        if !shard.has_room(key, now) {
            return;
        }
        let arrival = shard.arrivals.get(key).copied().unwrap_or(now).max(now);
        let owed = self.interval.saturating_mul(count).min(self.tolerance * DEBT_MAX);
        let next = (arrival + owed).min(now + self.tolerance * DEBT_MAX);
        shard.arrivals.insert(key.clone(), next.max(arrival));
    }

    /// Forgets keys that have all their requests back. Returns how many are left.
    pub fn sweep(&self, now: Instant) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.lock();
                shard.arrivals.retain(|_, arrival| *arrival > now);
                shard.arrivals.len()
            })
            .sum()
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K>> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
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

impl<K: Hash + Eq + Clone> Shard<K> {
    /// Notes a request for [`Limiter::take`]; beyond the bound others do not hear of it.
    fn count(&mut self, key: &K, amount: u32) {
        if let Some(count) = self.counted.get_mut(key) {
            *count = count.saturating_add(amount);
        } else if self.counted.len() < KEYS_MAX / SHARDS {
            self.counted.insert(key.clone(), amount);
        }
    }

    /// Whether a key can be held, once those were forgotten that have all their requests back.
    fn has_room(&mut self, key: &K, now: Instant) -> bool {
        if self.arrivals.len() >= KEYS_MAX / SHARDS && !self.arrivals.contains_key(key) {
            self.arrivals.retain(|_, arrival| *arrival > now);
        }
        self.arrivals.len() < KEYS_MAX / SHARDS || self.arrivals.contains_key(key)
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

    /// How many requests of a key are let through at once.
    fn burst(limiter: &Limiter<&'static str>, now: Instant) -> u32 {
        let is_allowed = |_: &u32| matches!(limiter.check(&"ada", now), Decision::Allowed { .. });
        u32::try_from((0..1_000).take_while(is_allowed).count()).unwrap()
    }

    #[test]
    fn what_one_node_lets_through_another_counts() {
        let of = || Limiter::new(60, Duration::from_secs(60), 10).shared();
        let (here, there) = (of(), of());
        let start = Instant::now();
        for _ in 0..7 {
            here.check(&"ada", start);
        }
        let taken = here.take(100);
        assert_eq!(taken, [("ada", 7)]);
        assert!(here.take(100).is_empty(), "told once");
        for (key, count) in taken {
            there.advance(&key, count, start);
        }
        assert_eq!(burst(&there, start), 3);
        assert_eq!(there.take(100), [("ada", 3)], "what came from elsewhere is not told again");
    }

    #[test]
    fn what_was_overdrawn_is_paid_back_and_no_more_than_that() {
        let of = || Limiter::new(60, Duration::from_secs(60), 10).shared();
        let (here, there) = (of(), of());
        let start = Instant::now();
        // Before they hear of each other each lets a burst through: twice the limit, not more.
        assert_eq!(burst(&here, start) + burst(&there, start), 20);
        here.advance(&"ada", 10, start);
        let later = start + Duration::from_secs(10);
        assert_eq!(burst(&here, later), 0, "the other's ten seconds are owed too");
        assert_eq!(burst(&here, start + Duration::from_secs(13)), 3);
        // Whatever is said, nobody is locked out for longer than two bursts.
        there.advance(&"ada", u32::MAX, start);
        assert_eq!(burst(&there, start + Duration::from_secs(11)), 1);
    }

    #[test]
    fn only_confirmed_requests_count_and_are_shared() {
        let limiter = Limiter::new(60, Duration::from_secs(60), 2).shared();
        let start = Instant::now();
        for _ in 0..10 {
            assert!(matches!(limiter.reserve(&"ada", start), Decision::Allowed { .. }));
            limiter.refund(&"ada");
        }
        assert!(limiter.take(100).is_empty());
        for _ in 0..2 {
            assert!(matches!(limiter.reserve(&"ada", start), Decision::Allowed { .. }));
            limiter.confirm(&"ada");
        }
        assert!(matches!(limiter.reserve(&"ada", start), Decision::Refused { .. }));
        assert_eq!(limiter.take(100), [("ada", 2)]);
    }

    #[test]
    fn what_was_charged_beyond_the_burst_is_waited_for() {
        let limiter = Limiter::new(100, Duration::from_secs(1), 100).shared();
        let start = Instant::now();
        assert_eq!(limiter.wait(&"ada", start), Duration::ZERO);
        limiter.charge(&"ada", 99, start);
        assert_eq!(limiter.wait(&"ada", start), Duration::ZERO);
        limiter.charge(&"ada", 251, start);
        assert_eq!(limiter.wait(&"ada", start), Duration::from_millis(2_510));
        assert_eq!(limiter.wait(&"ada", start + Duration::from_millis(2_510)), Duration::ZERO);
        assert_eq!(limiter.take(100), [("ada", 350)]);
    }

    #[test]
    fn counts_are_taken_in_bounded_parts() {
        let limiter = Limiter::new(60, Duration::from_secs(60), 3).shared();
        let start = Instant::now();
        for key in 0..100 {
            limiter.check(&key, start);
        }
        let mut taken = limiter.take(30);
        assert_eq!(taken.len(), 30);
        taken.extend(limiter.take(1_000));
        taken.sort_unstable();
        assert_eq!(taken, (0..100).map(|key| (key, 1)).collect::<Vec<(i32, u32)>>());
    }
}
