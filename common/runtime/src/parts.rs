//! A batch that is worked on in parts, so that one input cannot hold up the others.
//!
//! A part that fails is split: between tenants first, then in half, until what spoils it stands
//! alone. Failures are counted with each item, where a restart does not lose them; an item that has
//! failed before starts in a small part, and after [`ALONE_AFTER`] failures alone. So a batch that
//! contains such an item is never retried whole without end, whatever the error was.
//!
//! The items of one stream (such as the events of one room) keep their order within a batch: what
//! follows a suspicious item of its stream is treated as suspiciously, and comes after it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Shr;

/// Failures after which an item is worked on alone.
pub const ALONE_AFTER: u32 = 3;
/// Failures after which an item is given up: it has then failed alone three times.
pub const FAILURES_MAX: u32 = 6;
/// By how many bits a part shrinks with each earlier failure: to an eighth.
const SHRINK_BITS: u32 = 3;

/// How much to work on at once, where `max` is usual, after so many failures: an eighth of it after
/// each, and one thing after [`ALONE_AFTER`].
pub fn shrunk<N: From<u8> + Ord + Shr<u32, Output = N>>(max: N, failures: u32) -> N {
    let one = N::from(1);
    if failures >= ALONE_AFTER { one } else { (max >> (SHRINK_BITS * failures)).max(one) }
}

/// Something to work on.
pub trait Item {
    /// How often work with it has failed.
    fn failures(&self) -> u32;
    /// Items with the same number keep their order.
    fn stream(&self) -> i64;
    /// Whose it is.
    fn tenant(&self) -> i64;
}

/// How often an item has failed, once a part of `part_len` items with it has failed: in company at
/// most [`ALONE_AFTER`] times, so that it is given up only for what it did alone.
pub fn failures_after(failures: u32, part_len: usize) -> u32 {
    if part_len > 1 {
        failures.max((failures + 1).min(ALONE_AFTER))
    } else {
        failures.max(ALONE_AFTER).saturating_add(1)
    }
}

/// The parts of a batch that are still to be worked on.
#[derive(Debug)]
pub struct Parts<T> {
    /// The next one last.
    waiting: Vec<Vec<T>>,
}

impl<T: Item> Parts<T> {
    /// Cuts a batch into parts of at most `size_max` items. Items that have never failed come first.
    /// Items that have failed come after them, in smaller parts with one tenant each.
    pub fn of(batch: Vec<T>, size_max: usize) -> Self {
        let mut worst_of_stream: HashMap<i64, u32> = HashMap::new();
        let mut lanes: [Vec<T>; ALONE_AFTER as usize + 1] = Default::default();
        for item in batch {
            let worst = worst_of_stream.entry(item.stream()).or_default();
            *worst = item.failures().min(ALONE_AFTER).max(*worst);
            lanes[*worst as usize].push(item);
        }
        let mut parts = Vec::new();
        for (failures, lane) in (0..).zip(lanes) {
            let size = shrunk(size_max, failures);
            let of_tenants = if failures == 0 { vec![lane] } else { by_tenant(lane) };
            parts.extend(of_tenants.into_iter().flat_map(|items| chunks(items, size)));
        }
        parts.reverse();
        Self { waiting: parts }
    }

    /// The next part.
    pub fn next_part(&mut self) -> Option<Vec<T>> {
        self.waiting.pop()
    }

    /// Puts a part of several items back in smaller parts, to be worked on next.
    pub fn split(&mut self, part: Vec<T>) {
        let mut parts = by_tenant(part);
        if parts.len() == 1 {
            let mut whole = parts.swap_remove(0);
            let second = whole.split_off(whole.len() / 2);
            parts = vec![whole, second];
        }
        self.waiting.extend(parts.into_iter().rev().filter(|part| !part.is_empty()));
    }

    /// What was not worked on.
    pub fn into_rest(self) -> impl Iterator<Item = T> {
        self.waiting.into_iter().rev().flatten()
    }
}

/// Items of one tenant each, in the order in which tenants come first.
fn by_tenant<T: Item>(items: Vec<T>) -> Vec<Vec<T>> {
    let mut places: HashMap<i64, usize> = HashMap::new();
    let mut parts: Vec<Vec<T>> = Vec::new();
    for item in items {
        let place = match places.entry(item.tenant()) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                parts.push(Vec::new());
                *place.insert(parts.len() - 1)
            }
        };
        parts[place].push(item);
    }
    parts
}

fn chunks<T>(items: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    for item in items {
        match parts.last_mut().filter(|part| part.len() < size) {
            Some(part) => part.push(item),
            None => parts.push(vec![item]),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Event {
        id: usize,
        room: i64,
        org: i64,
        failures: u32,
    }

    impl Item for Event {
        fn failures(&self) -> u32 {
            self.failures
        }

        fn stream(&self) -> i64 {
            self.room
        }

        fn tenant(&self) -> i64 {
            self.org
        }
    }

    fn events(count: usize, rooms: i64) -> Vec<Event> {
        (0..count)
            .map(|id| {
                let room = i64::try_from(id).unwrap() % rooms;
                Event { id, room, org: room % 3, failures: 0 }
            })
            .collect()
    }

    /// Works on a batch where one event spoils each part that it is in, with time for `budget`
    /// failures per delivery, until all is done or given up. Returns the order in which events were
    /// done, and the failures that there were.
    fn work(mut batch: Vec<Event>, poison: usize, budget: u32) -> (Vec<usize>, u32) {
        let (mut done, mut failed) = (Vec::new(), 0);
        while !batch.is_empty() {
            let mut parts = Parts::of(std::mem::take(&mut batch), 500);
            let mut left = budget;
            while left > 0 {
                let Some(mut part) = parts.next_part() else { break };
                if part.iter().all(|event| event.id != poison) {
                    done.extend(part.iter().map(|event| event.id));
                    continue;
                }
                (left, failed) = (left - 1, failed + 1);
                let len = part.len();
                for event in &mut part {
                    event.failures = failures_after(event.failures, len);
                }
                match part.len() {
                    1 if part[0].failures >= FAILURES_MAX => {}
                    1 => batch.extend(part),
                    _ => parts.split(part),
                }
            }
            batch.extend(parts.into_rest());
            batch.sort_by_key(|event| event.id);
        }
        (done, failed)
    }

    #[test]
    fn what_spoils_a_batch_is_alone_after_few_failures() {
        for poison in [0, 1, 250, 499] {
            for budget in [1, 3, 20] {
                let (mut done, failed) = work(events(500, 50), poison, budget);
                done.sort_unstable();
                let others: Vec<usize> = (0..500).filter(|&id| id != poison).collect();
                assert_eq!(done, others, "each of the others is done once");
                assert!(failed <= 12, "{failed} failures with time for {budget} at once");
            }
        }
    }

    #[test]
    fn the_events_of_a_room_keep_their_order() {
        for suspicious in [0, 7, 123] {
            let mut batch = events(200, 10);
            batch[suspicious].failures = 2;
            let mut parts = Parts::of(batch, 64);
            let mut order: Vec<Event> = Vec::new();
            let mut splits = 40;
            while let Some(part) = parts.next_part() {
                if part.len() > 1 && splits > 0 {
                    splits -= 1;
                    parts.split(part);
                } else {
                    order.extend(part);
                }
            }
            assert_eq!(order.len(), 200);
            for room in 0..10 {
                let ids = order.iter().filter(|event| event.room == room).map(|event| event.id);
                assert!(ids.is_sorted(), "room {room} after a failure of {suspicious}");
            }
        }
    }

    #[test]
    fn a_part_that_fails_is_split_between_tenants_first() {
        let mut parts = Parts::of(events(9, 9), 500);
        let whole = parts.next_part().unwrap();
        assert_eq!(whole.len(), 9);
        parts.split(whole);
        for org in 0..3 {
            let part = parts.next_part().unwrap();
            assert!(part.len() == 3 && part.iter().all(|event| event.org == org));
        }
        assert!(parts.next_part().is_none());
    }

    #[test]
    fn what_has_failed_before_comes_last_and_in_small_parts() {
        let mut batch = events(500, 500);
        batch[3].failures = 1;
        batch[5].failures = 9;
        let mut parts = Parts::of(batch, 500);
        assert_eq!(parts.next_part().unwrap().len(), 498);
        assert_eq!(parts.next_part().unwrap()[0].id, 3);
        assert_eq!(parts.next_part().unwrap()[0].id, 5);
        assert_eq!(parts.into_rest().count(), 0);
    }
}
