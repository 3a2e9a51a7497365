//! Whether a room's events came in order, each once: the promise, counted.

use std::collections::BTreeSet;

/// What was wrong with deliveries. All zero is the promise kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Never came.
    pub(crate) lost: u64,
    /// Came again.
    pub(crate) doubled: u64,
    /// Came after a later one.
    pub(crate) reordered: u64,
}

impl Faults {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }

    /// Whether the promise was kept.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The events of one subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    last: u64,
    skipped: BTreeSet<u64>,
    doubled: u64,
    reordered: u64,
}

impl Sequence {
    /// A subscription whose first event is the one after `last`.
    pub(crate) fn after(last: u64) -> Self {
        Self { last, ..Self::default() }
    }

    /// The latest event that came.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// An event came.
    pub(crate) fn take(&mut self, seq: u64) {
        if seq == self.last + 1 {
            self.last = seq;
        } else if seq > self.last {
            self.skipped.extend(self.last + 1..seq);
            self.last = seq;
        } else if self.skipped.remove(&seq) {
            self.reordered += 1;
        } else {
            self.doubled += 1;
        }
    }

    /// What was wrong, the room's last event being `head`.
    pub(crate) fn faults(&self, head: u64) -> Faults {
        let never_came = head.saturating_sub(self.last);
        Faults {
            lost: crate::gauge::count(self.skipped.len()) + never_came,
            doubled: self.doubled,
            reordered: self.reordered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seqs: &[u64], head: u64) -> Faults {
        let mut sequence = Sequence::after(10);
        for &seq in seqs {
            sequence.take(seq);
        }
        sequence.faults(head)
    }

    #[test]
    fn in_order_and_complete_is_no_fault() {
        assert!(faults(&[11, 12, 13], 13).is_none());
        assert!(faults(&[], 10).is_none());
    }

    #[test]
    fn each_fault_is_counted_once() {
        assert_eq!(faults(&[11, 13], 14), Faults { lost: 2, doubled: 0, reordered: 0 });
        assert_eq!(faults(&[11, 13, 12], 13), Faults { lost: 0, doubled: 0, reordered: 1 });
        assert_eq!(faults(&[11, 11, 12, 10], 12), Faults { lost: 0, doubled: 2, reordered: 0 });
    }
}
