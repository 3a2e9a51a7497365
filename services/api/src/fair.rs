//! A queue that tenants share fairly: a tenant that floods it delays only itself.
//!
//! Each tenant has a line of its own, first in, first out. A group takes one item of each line in
//! turn. One tenant's share of a group is bounded in bytes, so that a group does not get slow by what
//! one of them sends; and one tenant's line is bounded, so that it leaves room for the others'.

use std::collections::{HashMap, VecDeque};

/// What a queue holds, in items and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Items of all tenants.
    pub(crate) items: usize,
    /// Bytes of all tenants.
    pub(crate) bytes: usize,
    /// Items of one tenant.
    pub(crate) tenant_items: usize,
    /// Bytes of one tenant.
    pub(crate) tenant_bytes: usize,
}

/// What one group takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// Items.
    pub(crate) items: usize,
    /// Bytes, but always one item.
    pub(crate) bytes: usize,
    /// Bytes of one tenant, but always one item.
    pub(crate) tenant_bytes: usize,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    bounds: Bounds,
    lines: HashMap<i64, Line<T>>,
    /// Tenants with something in their line, the next one first.
    turns: VecDeque<i64>,
    items: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    bytes: usize,
}

impl<T> FairQueue<T> {
    /// An empty queue.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let (lines, turns) = (HashMap::new(), VecDeque::new());
        Self { bounds, lines, turns, items: 0, bytes: 0 }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.items
    }

    /// Puts an item at the end of its tenant's line. Returns it when there is no room.
    pub(crate) fn push(&mut self, tenant: i64, item: T, bytes: usize) -> Option<T> {
        let Bounds { items: items_max, bytes: bytes_max, tenant_items, tenant_bytes } = self.bounds;
        if self.items >= items_max || self.bytes + bytes > bytes_max {
            return Some(item);
        }
        let line = self.lines.entry(tenant).or_insert_with(|| {
            self.turns.push_back(tenant);
            Line { waiting: VecDeque::new(), bytes: 0 }
        });
        // The first one always has room, or its tenant could never send it.
        let is_full = line.waiting.len() >= tenant_items || line.bytes + bytes > tenant_bytes;
        if is_full && !line.waiting.is_empty() {
            return Some(item);
        }
        line.waiting.push_back(Waiting { item, bytes });
        line.bytes += bytes;
        self.items += 1;
        self.bytes += bytes;
        None
    }

    /// Takes the next group; empty when nothing waits.
    pub(crate) fn take(&mut self, group: Group) -> Vec<T> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut shares: HashMap<i64, usize> = HashMap::new();
        // Tenants that have had their share keep their places before those that had a turn.
        let mut satisfied = VecDeque::new();
        while taken.len() < group.items {
            let Some(tenant) = self.turns.pop_front() else { break };
            let Some(next) = self.lines.get(&tenant).and_then(|line| line.waiting.front()) else {
                self.lines.remove(&tenant);
                continue;
            };
            let share = shares.entry(tenant).or_default();
            if !taken.is_empty() && bytes + next.bytes > group.bytes {
                self.turns.push_front(tenant);
                break;
            }
            if *share > 0 && *share + next.bytes > group.tenant_bytes {
                satisfied.push_back(tenant);
                continue;
            }
            *share += next.bytes.max(1);
            bytes += next.bytes;
            taken.extend(self.pop(tenant));
        }
        self.turns.extend(satisfied);
        taken
    }

    /// Takes the first of a tenant's line, and puts the tenant at the end of the turns.
    fn pop(&mut self, tenant: i64) -> Option<T> {
        let line = self.lines.get_mut(&tenant)?;
        let first = line.waiting.pop_front()?;
        line.bytes -= first.bytes;
        self.items -= 1;
        self.bytes -= first.bytes;
        if line.waiting.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        Some(first.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { items: 100, bytes: 1_000, tenant_items: 60, tenant_bytes: 600 };
    const GROUP: Group = Group { items: 10, bytes: 100, tenant_bytes: 50 };

    fn flooded() -> FairQueue<(i64, usize)> {
        let mut queue = FairQueue::new(BOUNDS);
        let refused = (0..200).filter_map(|nth| queue.push(1, (1, nth), 10)).count();
        assert_eq!(refused, 140, "one tenant has its bound");
        queue
    }

    #[test]
    fn a_flood_leaves_room_and_the_next_group_to_others() {
        let mut queue = flooded();
        assert!((0..3).all(|nth| queue.push(2, (2, nth), 10).is_none()));
        let group = queue.take(GROUP);
        let of = |tenant| group.iter().filter(|(one, _)| *one == tenant).count();
        assert_eq!((of(1), of(2)), (5, 3), "the flood has its share: {group:?}");
    }

    #[test]
    fn everything_comes_out_once_and_each_line_in_order() {
        let mut queue = flooded();
        for nth in 0..10 {
            assert!((2..5).all(|tenant| queue.push(tenant, (tenant, nth), 7).is_none()));
        }
        let mut all = Vec::new();
        loop {
            let group = queue.take(GROUP);
            if group.is_empty() {
                break;
            }
            assert!(group.len() <= GROUP.items);
            all.extend(group);
        }
        assert_eq!((all.len(), queue.len(), queue.bytes), (90, 0, 0));
        assert!(queue.lines.is_empty() && queue.turns.is_empty());
        for tenant in 1..5 {
            let of_tenant = all.iter().filter(|(one, _)| *one == tenant);
            assert!(of_tenant.map(|(_, nth)| nth).is_sorted(), "the line of {tenant}");
        }
    }

    #[test]
    fn what_is_larger_than_a_group_goes_alone() {
        let mut queue = FairQueue::new(Bounds { tenant_bytes: 10, ..BOUNDS });
        assert!(queue.push(1, "large", 500).is_none());
        assert!(queue.push(2, "small", 1).is_none());
        assert_eq!(queue.take(GROUP), ["large"]);
        assert_eq!(queue.take(GROUP), ["small"]);
        assert!(queue.take(GROUP).is_empty());
    }
}
