//! Turns per key: how much of something one client has run at once. What is more waits in line.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Keys that are held before those nobody uses are forgotten.
const KEYS_MIN: usize = 64;

/// The turns of all keys. How many may wait for one is for the caller to bound.
pub struct Turns<K> {
    at_once: usize,
    lines: Mutex<Lines<K>>,
}

struct Lines<K> {
    by_key: HashMap<K, Weak<Semaphore>>,
    /// Keys at which unused ones are forgotten: twice what was in use the last time, so that a turn
    /// costs the same however many keys there are.
    sweep_at: usize,
}

/// A turn; dropping it gives it to the one that has waited longest.
#[derive(Debug)]
pub struct Turn {
    /// `None` for a semaphore that was closed, which ours never are.
    #[expect(dead_code, reason = "held, not read")]
    permit: Option<OwnedSemaphorePermit>,
    has_waited: bool,
}

impl Turn {
    /// Whether it was not to be had at once.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }
}

impl<K> fmt::Debug for Turns<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// `at_once` turns for each key.
    pub fn new(at_once: usize) -> Self {
        let lines = Lines { by_key: HashMap::new(), sweep_at: KEYS_MIN };
        Self { at_once, lines: Mutex::new(lines) }
    }

    /// Waits for a turn, first come, first served among those of a key.
    pub async fn turn(&self, key: K) -> Turn {
        let line = self.line(key);
        if let Ok(permit) = Arc::clone(&line).try_acquire_owned() {
            return Turn { permit: Some(permit), has_waited: false };
        }
        Turn { permit: line.acquire_owned().await.ok(), has_waited: true }
    }

    fn line(&self, key: K) -> Arc<Semaphore> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.by_key.get(&key).and_then(Weak::upgrade) {
            return line;
        }
        if lines.by_key.len() >= lines.sweep_at {
            lines.by_key.retain(|_, line| line.strong_count() > 0);
            lines.sweep_at = KEYS_MIN.max(2 * lines.by_key.len());
        }
        let line = Arc::new(Semaphore::new(self.at_once));
        lines.by_key.insert(key, Arc::downgrade(&line));
        line
    }

    /// Keys that are held now.
    #[cfg(test)]
    fn keys(&self) -> usize {
        self.lines.lock().by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_has_so_many_turns_and_the_next_goes_to_who_has_waited_longest() {
        let turns = Turns::new(2);
        let (first, second) = (turns.turn("ada").await, turns.turn("ada").await);
        assert!(!first.has_waited() && !second.has_waited());
        let (mut third, mut fourth) = (Box::pin(turns.turn("ada")), Box::pin(turns.turn("ada")));
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut fourth).now_or_never().is_none());
        assert!(!turns.turn("bob").await.has_waited(), "another key has its own");
        drop(first);
        assert!((&mut fourth).now_or_never().is_none());
        assert!(third.await.has_waited());
        assert!(fourth.await.has_waited());
        drop(second);
        assert!(!turns.turn("ada").await.has_waited());
    }

    #[tokio::test]
    async fn keys_that_nobody_uses_are_forgotten() {
        let turns = Turns::new(1);
        let kept = turns.turn(0).await;
        for key in 1..100 * KEYS_MIN {
            drop(turns.turn(key).await);
        }
        assert!(turns.keys() <= KEYS_MIN, "{}", turns.keys());
        assert!(turns.turn(0).now_or_never().is_none(), "a key in use is not");
        drop(kept);
    }
}
