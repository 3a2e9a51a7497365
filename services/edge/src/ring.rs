//! The recent frames of a room, so that most resumes and late joins cost nothing but memory.
//!
//! **Invariant:** what is held is contiguous and ends at the last event that the room's cursor
//! gave out, and holds no text that a later event in it deleted.

use std::collections::VecDeque;

use domain::{Seq, UserId};

use crate::frame::Text;

/// Frames that are held at most.
const FRAMES_MAX: usize = 256;
/// Bytes of frames that are held at most.
const BYTES_MAX: usize = 256 * 1024;

/// What the ring must know of a frame.
#[derive(Clone, Debug)]
pub(crate) struct RingFrame {
    /// The frame's text.
    pub text: Text,
    /// The `seq` of the message that it is about.
    pub message_seq: Option<Seq>,
    /// Whether it deletes that message.
    pub is_delete: bool,
    /// Who left, if it tells of that.
    pub left: Option<UserId>,
}

/// The frames, oldest first.
#[derive(Debug)]
pub(crate) struct Ring {
    last: Seq,
    frames: VecDeque<RingFrame>,
    bytes: usize,
}

impl Ring {
    /// An empty ring that ends at `last`.
    pub(crate) fn new(last: Seq) -> Self {
        Self { last, frames: VecDeque::new(), bytes: 0 }
    }

    /// Takes the event after the last.
    pub(crate) fn push(&mut self, seq: Seq, frame: RingFrame) {
        if seq != self.last.next() {
            self.clear(seq);
            return;
        }
        if frame.is_delete {
            self.forget(frame.message_seq);
        }
        self.last = seq;
        self.bytes += frame.text.len();
        self.frames.push_back(frame);
        while self.frames.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            self.pop_front();
        }
    }

    /// Empties the ring; it ends at `last` from now on.
    pub(crate) fn clear(&mut self, last: Seq) {
        *self = Self::new(last);
    }

    /// The frames after `position`, or `None` when not all of them are held, or one tells of a
    /// message before `first`, which is no longer kept.
    pub(crate) fn after(
        &self,
        position: Seq,
        first: Seq,
    ) -> Option<impl Iterator<Item = (Seq, &Text)>> {
        let missing = usize::try_from(self.last.0.checked_sub(position.0)?).ok()?;
        let skipped = self.frames.len().checked_sub(missing)?;
        let is_past = |frame: &RingFrame| frame.message_seq.is_some_and(|seq| seq < first);
        if self.frames.range(skipped..).any(is_past) {
            return None;
        }
        Some(
            self.frames
                .range(skipped..)
                .zip(position.0 + 1..)
                .map(|(frame, seq)| (Seq(seq), &frame.text)),
        )
    }

    /// Whether a frame after `position` tells that the user left.
    pub(crate) fn has_left(&self, user: UserId, position: Seq) -> bool {
        let newest_first = self.frames.iter().rev().zip((position.0 + 1..=self.last.0).rev());
        newest_first.into_iter().any(|(frame, _)| frame.left == Some(user))
    }

    /// Drops everything up to the last frame about a message: its text must not go out again, and
    /// what is held must stay contiguous.
    fn forget(&mut self, message_seq: Option<Seq>) {
        let Some(message_seq) = message_seq else { return };
        let last_about = self.frames.iter().rposition(|held| held.message_seq == Some(message_seq));
        for _ in 0..last_about.map_or(0, |place| place + 1) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str, message_seq: i64, is_delete: bool) -> RingFrame {
        RingFrame { text: text.into(), message_seq: Some(Seq(message_seq)), is_delete, left: None }
    }

    #[test]
    fn it_knows_who_left_after_a_place() {
        let mut ring = Ring::new(Seq(5));
        ring.push(Seq(6), frame("a", 6, false));
        ring.push(Seq(7), RingFrame { left: Some(UserId(1)), ..frame("b", 7, false) });
        ring.push(Seq(8), frame("c", 8, false));
        for (user, position, has_left) in
            [(1, 0, true), (1, 6, true), (1, 7, false), (1, 8, false), (2, 5, false)]
        {
            assert_eq!(ring.has_left(UserId(user), Seq(position)), has_left, "{user} {position}");
        }
    }

    fn held(ring: &Ring, position: i64) -> Option<Vec<(i64, String)>> {
        let frames = ring.after(Seq(position), Seq(1))?;
        Some(frames.map(|(seq, text)| (seq.0, text.to_string())).collect())
    }

    #[test]
    fn it_serves_what_it_covers_and_nothing_else() {
        let mut ring = Ring::new(Seq(10));
        ring.push(Seq(11), frame("a", 11, false));
        ring.push(Seq(12), frame("b", 12, false));
        assert_eq!(held(&ring, 9), None);
        assert_eq!(held(&ring, 10), Some(vec![(11, "a".into()), (12, "b".into())]));
        assert_eq!(held(&ring, 11), Some(vec![(12, "b".into())]));
        assert_eq!(held(&ring, 12), Some(vec![]));
        assert_eq!(held(&ring, 13), None);
    }

    #[test]
    fn a_delete_drops_everything_up_to_the_last_frame_of_its_message() {
        let mut ring = Ring::new(Seq(0));
        ring.push(Seq(1), frame("one", 1, false));
        ring.push(Seq(2), frame("two", 2, false));
        ring.push(Seq(3), frame("one, edited", 1, false));
        ring.push(Seq(4), frame("four", 4, false));
        ring.push(Seq(5), frame("one is deleted", 1, true));
        assert_eq!(held(&ring, 0), None);
        assert_eq!(held(&ring, 2), None);
        assert_eq!(held(&ring, 3), Some(vec![(4, "four".into()), (5, "one is deleted".into())]));
    }

    #[test]
    fn a_change_to_what_is_no_longer_kept_is_not_served() {
        let mut ring = Ring::new(Seq(4));
        ring.push(Seq(5), frame("two, edited", 2, false));
        ring.push(Seq(6), frame("six", 6, false));
        assert!(ring.after(Seq(4), Seq(2)).is_some());
        assert!(ring.after(Seq(4), Seq(3)).is_none());
        assert!(ring.after(Seq(5), Seq(3)).is_some());
    }

    #[test]
    fn it_keeps_to_its_bounds() {
        let mut ring = Ring::new(Seq(0));
        for seq in 1..=1_000 {
            ring.push(Seq(seq), frame("x", seq, false));
        }
        assert_eq!(ring.frames.len(), FRAMES_MAX);
        let large = "x".repeat(BYTES_MAX / 2);
        for seq in 1_001..=1_004 {
            ring.push(Seq(seq), frame(&large, seq, false));
        }
        assert_eq!(ring.frames.len(), 2);
        assert!(ring.bytes <= BYTES_MAX);
    }

    #[test]
    fn a_jump_empties_it() {
        let mut ring = Ring::new(Seq(0));
        ring.push(Seq(1), frame("a", 1, false));
        ring.push(Seq(5), frame("b", 5, false));
        assert_eq!(held(&ring, 1), None);
        assert_eq!(held(&ring, 5), Some(vec![]));
    }
}
