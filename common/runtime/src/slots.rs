//! Bounded counts per key: how much of something one client may hold at once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts what each key holds, up to a bound. Clones share the counts.
pub struct Slots<K>(Arc<Inner<K>>);

struct Inner<K> {
    /// 0 is no bound.
    max: u64,
    held: Mutex<HashMap<K, u64>>,
}

impl<K> Clone for Slots<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Slots<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("max", &self.0.max).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone> Slots<K> {
    /// At most `max` for each key; 0 is no bound.
    pub fn new(max: u64) -> Self {
        Self(Arc::new(Inner { max, held: Mutex::default() }))
    }

    /// Takes `amount` for a key until the slot is dropped; `None` when that exceeds the bound.
    pub fn take(&self, key: &K, amount: u64) -> Option<Slot<K>> {
        self.take_within(u64::MAX, key, amount)
    }

    /// As [`Self::take`], with another bound beside the one of all: what the key then holds may be
    /// `max` at most.
    pub fn take_within(&self, max: u64, key: &K, amount: u64) -> Option<Slot<K>> {
        let mut held = self.0.held.lock();
        let now = held.get(key).copied().unwrap_or(0).saturating_add(amount);
        if now > max || self.0.max > 0 && now > self.0.max {
            return None;
        }
        held.insert(key.clone(), now);
        Some(Slot { slots: self.clone(), key: key.clone(), amount })
    }

    /// What a key holds now.
    pub fn held(&self, key: &K) -> u64 {
        self.0.held.lock().get(key).copied().unwrap_or(0)
    }
}

/// What was taken. Dropping it gives it back.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash + Clone> {
    slots: Slots<K>,
    key: K,
    amount: u64,
}

impl<K: Eq + Hash + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut held = self.slots.0.held.lock();
        if let Some(now) = held.get_mut(&self.key) {
            *now = now.saturating_sub(self.amount);
            if *now == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_key_holds_no_more_than_its_bound_and_gives_it_back() {
        let slots = Slots::new(3);
        let (first, second) = (slots.take(&"ada", 2), slots.take(&"ada", 1));
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(&"ada", 1).is_none());
        assert!(slots.take(&"bob", 3).is_some(), "another key has its own");
        drop(first);
        assert_eq!(slots.held(&"ada"), 1);
        assert!(slots.take(&"ada", 2).is_some());
        drop(second);
        assert_eq!(slots.held(&"ada"), 0);
        assert!(slots.take(&"ada", 4).is_none(), "more than the bound at once");
    }

    #[test]
    fn zero_is_no_bound() {
        let slots = Slots::new(0);
        let all: Vec<_> = (0..1_000).map(|_| slots.take(&(), u64::from(u32::MAX))).collect();
        assert!(all.iter().all(Option::is_some));
    }
}
