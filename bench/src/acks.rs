//! The places that senders were told: each room's must be gapless, each told once.

use parking_lot::Mutex;

use crate::sequence::Faults;

/// What senders were told, room by room.
#[derive(Debug)]
pub(crate) struct Acks(Vec<Mutex<Vec<u64>>>);

impl Acks {
    /// Of this many rooms.
    pub(crate) fn of_rooms(rooms: usize) -> Self {
        Self((0..rooms).map(|_| Mutex::default()).collect())
    }

    /// A send into a room (by its place in the scene) took this place in its log.
    pub(crate) fn add(&self, room: usize, seq: u64) {
        self.0[room].lock().push(seq);
    }

    /// What is wrong with them, nothing but the acknowledged sends having been written: a place
    /// told to two senders is doubled, one told to none is lost.
    pub(crate) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        for seqs in &self.0 {
            let mut seqs = seqs.lock().clone();
            seqs.sort_unstable();
            let all = seqs.len();
            seqs.dedup();
            faults.doubled += crate::gauge::count(all - seqs.len());
            if let (Some(first), Some(last)) = (seqs.first(), seqs.last()) {
                faults.lost += last - first + 1 - crate::gauge::count(seqs.len());
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_repeats_are_counted() {
        let acks = Acks::of_rooms(2);
        for seq in [3, 1, 2, 2, 6] {
            acks.add(0, seq);
        }
        acks.add(1, 9);
        assert_eq!(acks.faults(), Faults { lost: 2, doubled: 1, reordered: 0 });
    }
}
