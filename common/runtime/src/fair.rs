//! A queue that tenants share fairly: a tenant that floods it delays only itself.
//!
//! Each tenant has a line of its own, first in, first out. A group takes one item of each line in
//! turn. One tenant's share of a group is bounded in weight, so that a group does not get slow by what
//! one of them sends; and one tenant's line is bounded, so that it leaves room for the others'. Weight
//! is whatever makes an item costly: bytes, people.

use std::collections::{HashMap, VecDeque};

/// What a queue holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Items of all tenants.
    pub items: usize,
    /// Weight of all tenants.
    pub weight: usize,
    /// Items of one tenant.
    pub tenant_items: usize,
    /// Weight of one tenant.
    pub tenant_weight: usize,
}

impl Bounds {
    /// No bounds: for what is bounded elsewhere.
    pub const NONE: Self = Self {
        items: usize::MAX,
        weight: usize::MAX,
        tenant_items: usize::MAX,
        tenant_weight: usize::MAX,
    };
}

/// What one group takes.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Items.
    pub items: usize,
    /// Weight, but always one item.
    pub weight: usize,
    /// Weight of one tenant, but always one item.
    pub tenant_weight: usize,
}

/// The queue.
#[derive(Debug)]
pub struct FairQueue<T> {
    bounds: Bounds,
    lines: HashMap<i64, Line<T>>,
    /// Tenants with something in their line, the next one first.
    turns: VecDeque<i64>,
    items: usize,
    weight: usize,
}

#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<Waiting<T>>,
    weight: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    weight: usize,
}

impl<T> FairQueue<T> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        let (lines, turns) = (HashMap::new(), VecDeque::new());
        Self { bounds, lines, turns, items: 0, weight: 0 }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Puts an item of a weight at the end of its tenant's line. Returns it when there is no room.
    pub fn push(&mut self, tenant: i64, item: T, weight: usize) -> Option<T> {
        let Bounds { items: items_max, weight: weight_max, tenant_items, tenant_weight } =
            self.bounds;
        if self.items >= items_max || self.weight + weight > weight_max {
            return Some(item);
        }
        let line = self.lines.entry(tenant).or_insert_with(|| {
            self.turns.push_back(tenant);
            Line { waiting: VecDeque::new(), weight: 0 }
        });
        // The first one always has room, or its tenant could never send it.
        let is_full = line.waiting.len() >= tenant_items || line.weight + weight > tenant_weight;
        if is_full && !line.waiting.is_empty() {
            return Some(item);
        }
        line.waiting.push_back(Waiting { item, weight });
        line.weight += weight;
        self.items += 1;
        self.weight += weight;
        None
    }

    /// Takes the next group; empty when nothing waits.
    pub fn take(&mut self, group: Group) -> Vec<T> {
        self.take_from(group, |_| true)
    }

    /// Takes the next group from tenants that may have a turn now; the others keep their places.
    pub fn take_from(&mut self, group: Group, may_have_turn: impl Fn(i64) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        let mut passed_over = VecDeque::new();
        let mut weight = 0;
        let mut shares: HashMap<i64, usize> = HashMap::new();
        // Tenants whose share of this group is used up; they come last in the next one.
        let mut satisfied = VecDeque::new();
        while taken.len() < group.items {
            let Some(tenant) = self.turns.pop_front() else { break };
            if !may_have_turn(tenant) {
                passed_over.push_back(tenant);
                continue;
            }
            let Some(next) = self.lines.get(&tenant).and_then(|line| line.waiting.front()) else {
                self.lines.remove(&tenant);
                continue;
            };
            let share = shares.entry(tenant).or_default();
            if !taken.is_empty() && weight + next.weight > group.weight {
                self.turns.push_front(tenant);
                break;
            }
            if *share > 0 && *share + next.weight > group.tenant_weight {
                satisfied.push_back(tenant);
                continue;
            }
            *share += next.weight.max(1);
            weight += next.weight;
            taken.extend(self.pop(tenant));
        }
        self.turns.extend(satisfied);
        passed_over.append(&mut self.turns);
        self.turns = passed_over;
        taken
    }

    /// Takes the next item of a tenant that may have a turn now; the others keep their places.
    pub fn next(&mut self, may_have_turn: impl Fn(i64) -> bool) -> Option<T> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            if may_have_turn(tenant) {
                return self.pop(tenant);
            }
            self.turns.push_back(tenant);
        }
        None
    }

    /// Takes the first of a tenant's line, and puts the tenant at the end of the turns.
    fn pop(&mut self, tenant: i64) -> Option<T> {
        let line = self.lines.get_mut(&tenant)?;
        let first = line.waiting.pop_front()?;
        line.weight -= first.weight;
        self.items -= 1;
        self.weight -= first.weight;
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

    const BOUNDS: Bounds =
        Bounds { items: 100, weight: 1_000, tenant_items: 60, tenant_weight: 600 };
    const GROUP: Group = Group { items: 10, weight: 100, tenant_weight: 50 };

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
        assert_eq!((all.len(), queue.len(), queue.weight), (90, 0, 0));
        assert!(queue.lines.is_empty() && queue.turns.is_empty());
        for tenant in 1..5 {
            let of_tenant = all.iter().filter(|(one, _)| *one == tenant);
            assert!(of_tenant.map(|(_, nth)| nth).is_sorted(), "the line of {tenant}");
        }
    }

    #[test]
    fn tenants_take_turns_however_much_they_have_in_line() {
        let mut queue = FairQueue::new(Bounds::NONE);
        for item in 1..=50 {
            queue.push(1, item, 0);
        }
        queue.push(2, 100, 0);
        queue.push(3, 200, 0);
        queue.push(3, 201, 0);
        let order: Vec<i64> = std::iter::from_fn(|| queue.next(|_| true)).collect();
        assert_eq!(order[..6], [1, 100, 200, 2, 201, 3]);
        assert_eq!(order.len(), 53);
        assert!(queue.turns.is_empty() && queue.lines.is_empty());
    }

    #[test]
    fn a_tenant_that_may_have_no_turn_keeps_its_place_in_line() {
        let mut queue = FairQueue::new(Bounds::NONE);
        queue.push(1, 1, 0);
        queue.push(2, 2, 0);
        assert_eq!(queue.next(|tenant| tenant != 1), Some(2));
        assert_eq!(queue.next(|tenant| tenant != 1), None);
        assert_eq!(queue.next(|_| true), Some(1));
    }

    #[test]
    fn a_group_leaves_out_tenants_that_may_have_no_turn_and_keeps_their_places() {
        let mut queue = FairQueue::new(BOUNDS);
        for nth in 0..3 {
            assert!((1..4).all(|tenant| queue.push(tenant, (tenant, nth), 10).is_none()));
        }
        let group = queue.take_from(GROUP, |tenant| tenant != 1);
        assert_eq!(group, [(2, 0), (3, 0), (2, 1), (3, 1), (2, 2), (3, 2)]);
        assert!(queue.take_from(GROUP, |tenant| tenant != 1).is_empty());
        assert!(queue.push(2, (2, 3), 10).is_none());
        assert_eq!(queue.take(GROUP), [(1, 0), (2, 3), (1, 1), (1, 2)]);
        assert!(queue.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn what_is_larger_than_a_group_goes_alone() {
        let mut queue = FairQueue::new(Bounds { tenant_weight: 10, ..BOUNDS });
        assert!(queue.push(1, "large", 500).is_none());
        assert!(queue.push(2, "small", 1).is_none());
        assert_eq!(queue.take(GROUP), ["large"]);
        assert_eq!(queue.take(GROUP), ["small"]);
        assert!(queue.take(GROUP).is_empty());
    }
}
