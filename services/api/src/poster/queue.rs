//! What waits to be committed: a line for each organization, in which the sends of a room keep
//! their order.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use domain::RoomId;
use runtime::fair::{Bounds, FairQueue, Group};

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<J> {
    waiting: FairQueue<Queued<J>>,
    /// Tenants with sends in a group that is being committed.
    busy: HashSet<i64>,
    /// Rooms with sends that wait or are being committed. Whose a room is may become known
    /// meanwhile: later sends go into the line of the earlier ones all the same, or they could
    /// overtake them.
    rooms: HashMap<RoomId, Line>,
}

#[derive(Debug)]
struct Queued<J> {
    tenant: i64,
    room: RoomId,
    job: J,
}

/// Where the sends of a room wait.
#[derive(Debug)]
struct Line {
    tenant: i64,
    /// Sends that wait or are being committed.
    sends: usize,
}

/// What a group has taken from the queue, until [`Queue::end`].
#[derive(Debug, Default)]
pub(super) struct Taken {
    tenants: Vec<i64>,
    /// The room of each send.
    rooms: Vec<RoomId>,
}

impl Taken {
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }
}

impl<J> Queue<J> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { waiting: FairQueue::new(bounds), busy: HashSet::new(), rooms: HashMap::new() }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a send into the line of its room: `tenant`'s where the room has none. Whether there was
    /// a place.
    pub(super) fn push(&mut self, room: RoomId, tenant: i64, job: J, bytes: usize) -> bool {
        let tenant = self.rooms.get(&room).map_or(tenant, |line| line.tenant);
        if self.waiting.push(tenant, Queued { tenant, room, job }, bytes).is_some() {
            return false;
        }
        self.rooms.entry(room).or_insert(Line { tenant, sends: 0 }).sends += 1;
        true
    }

    /// Takes the next group, of tenants that have no sends in another. They are busy until it ends.
    pub(super) fn take(&mut self, group: Group) -> (Vec<J>, Taken) {
        let Self { waiting, busy, .. } = self;
        let queued = waiting.take_from(group, |tenant| !busy.contains(&tenant));
        let mut taken = Taken::default();
        let mut jobs = Vec::with_capacity(queued.len());
        for Queued { tenant, room, job } in queued {
            if busy.insert(tenant) {
                taken.tenants.push(tenant);
            }
            taken.rooms.push(room);
            jobs.push(job);
        }
        (jobs, taken)
    }

    /// Notes that a group has ended.
    pub(super) fn end(&mut self, taken: &Taken) {
        for tenant in &taken.tenants {
            self.busy.remove(tenant);
        }
        for room in &taken.rooms {
            if let Entry::Occupied(mut line) = self.rooms.entry(*room) {
                line.get_mut().sends = line.get().sends.saturating_sub(1);
                if line.get().sends == 0 {
                    line.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Group = Group { items: 10, weight: 1_000, tenant_weight: 1_000 };
    const ROOM: RoomId = RoomId(7);
    const ORG: i64 = 1;

    #[test]
    fn sends_of_a_room_keep_their_order_though_its_organization_becomes_known() {
        let mut queue = Queue::new(Bounds::NONE);
        assert!(queue.push(ROOM, -ROOM.0, "first", 1));
        let (first, group) = queue.take(GROUP);
        assert_eq!(first, ["first"]);
        assert!(queue.push(ROOM, -ROOM.0, "second", 1));
        assert!(queue.push(ROOM, -ROOM.0, "third", 1));
        // By now it is known whose the room is.
        assert!(queue.push(ROOM, ORG, "fourth", 1));
        let (none, nothing) = queue.take(GROUP);
        assert!(none.is_empty() && nothing.is_empty(), "the room's sends are being committed");
        queue.end(&group);
        let (rest, group) = queue.take(GROUP);
        assert_eq!(rest, ["second", "third", "fourth"]);
        queue.end(&group);
        assert!(queue.rooms.is_empty() && queue.busy.is_empty());
        assert!(queue.push(ROOM, ORG, "fifth", 1));
        assert_eq!(queue.rooms[&ROOM].tenant, ORG);
    }
}
