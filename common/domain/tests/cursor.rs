//! The promise of order, tried on networks that reorder, lose and repeat: every event comes out
//! exactly once and in order, and what is missing is named exactly.
//!
//! A failing case is printed shrunk; keep it here as a named test.

use std::collections::BTreeSet;

use domain::Seq;
use domain::cursor::{Gap, Offer, StreamCursor};
use proptest::prelude::*;

/// One thing that happens to a reader.
#[derive(Clone, Debug)]
enum Step {
    /// The network brings an event, whether new, early or old.
    Arrives(i64),
    /// Someone says how far the log reaches.
    HeadIs(i64),
    /// The reader fetches at most so many of the events that it misses.
    Fetches(i64),
    /// The reader's edge dies; another goes on from the last event that came out.
    Resumes,
    /// The past up to here is no longer kept.
    IsTrimmed(i64),
}

fn step(log: i64) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..=log).prop_map(Step::Arrives),
        1 => (0..=log).prop_map(Step::HeadIs),
        2 => (1..=20_i64).prop_map(Step::Fetches),
        1 => Just(Step::Resumes),
        1 => (1..=log).prop_map(Step::IsTrimmed),
    ]
}

/// What a reader should be, by the definition alone.
struct Model {
    cursor: StreamCursor<i64>,
    waiting_max: usize,
    out: Vec<i64>,
    last: i64,
    head: i64,
    early: BTreeSet<i64>,
}

impl Model {
    fn new(last: i64, waiting_max: usize) -> Self {
        let cursor = StreamCursor::new(Seq(last), waiting_max);
        Self { cursor, waiting_max, out: Vec::new(), last, head: last, early: BTreeSet::new() }
    }

    fn offer(&mut self, seq: i64) {
        let expected = if seq <= self.last || self.early.contains(&seq) {
            Offer::Duplicate
        } else if seq == self.last + 1 {
            Offer::Delivered
        } else if self.early.len() >= self.waiting_max {
            Offer::Overflow
        } else {
            Offer::Waiting
        };
        let out = &mut self.out;
        let offer = self.cursor.offer(Seq(seq), seq, |place, event| {
            assert_eq!(place, Seq(event), "an event came out in another's place");
            out.push(event);
        });
        assert_eq!(offer, expected, "of {seq}");
        self.head = self.head.max(seq);
        match offer {
            Offer::Delivered => self.advance(seq),
            Offer::Waiting => drop(self.early.insert(seq)),
            Offer::Duplicate | Offer::Overflow => {}
        }
    }

    fn advance(&mut self, last: i64) {
        self.last = last;
        while self.early.remove(&(self.last + 1)) {
            self.last += 1;
        }
        self.early = self.early.split_off(&(self.last + 1));
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Arrives(seq) => self.offer(seq),
            Step::HeadIs(head) => {
                self.cursor.note_head(Seq(head));
                self.head = self.head.max(head);
            }
            Step::Fetches(count) => {
                if let Some(gap) = self.cursor.gap() {
                    for seq in gap.first.0..=gap.last.0.min(gap.first.0 + count - 1) {
                        self.offer(seq);
                    }
                }
            }
            Step::Resumes => {
                self.cursor = StreamCursor::new(self.cursor.last(), self.waiting_max);
                self.head = self.last;
                self.early.clear();
            }
            Step::IsTrimmed(last) => {
                let out = &mut self.out;
                self.cursor.skip_to(Seq(last), |_, event| out.push(event));
                if last > self.last {
                    self.head = self.head.max(last);
                    self.advance(last);
                }
            }
        }
        self.check();
    }

    /// The gap is the run of missing events right after the last that came out, exactly.
    fn check(&self) {
        assert_eq!(self.cursor.last(), Seq(self.last));
        assert_eq!(self.cursor.head(), Seq(self.head));
        assert_eq!(self.cursor.is_caught_up(), self.last >= self.head);
        let missing_to = self.early.first().map_or(self.head, |&early| early - 1);
        let expected = (self.last < missing_to)
            .then_some(Gap { first: Seq(self.last + 1), last: Seq(missing_to) });
        assert_eq!(self.cursor.gap(), expected);
    }

    fn repair(&mut self) {
        while self.cursor.gap().is_some() {
            self.apply(&Step::Fetches(200));
        }
        assert!(self.cursor.is_caught_up());
    }
}

/// A log that arrives shuffled within a window, with some events lost and some repeated.
fn network() -> impl Strategy<Value = (i64, Vec<i64>)> {
    (1..300_usize).prop_flat_map(|log| {
        let arrivals = proptest::collection::vec((any::<u8>(), 0..40_i64, 0..10_u8), log);
        arrivals.prop_map(|luck| {
            let log = i64::try_from(luck.len()).unwrap_or(i64::MAX);
            let mut arrivals = Vec::new();
            for (seq, (copies, delay, loss)) in (1..=log).zip(luck) {
                if loss > 0 {
                    arrivals.push((seq + delay, seq));
                }
                if copies < 40 {
                    arrivals.push((seq + 2 * delay, seq));
                }
            }
            arrivals.sort_unstable();
            (log, arrivals.into_iter().map(|(_, seq)| seq).collect())
        })
    })
}

proptest! {
    #[test]
    fn whatever_the_network_does_each_event_comes_out_once_and_in_order(
        (log, arrivals) in network(),
        waiting_max in 0..64_usize,
    ) {
        let mut reader = Model::new(0, waiting_max);
        for seq in arrivals {
            reader.apply(&Step::Arrives(seq));
        }
        reader.apply(&Step::HeadIs(log));
        reader.repair();
        prop_assert_eq!(reader.out, (1..=log).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_resumes_anywhere_misses_nothing_and_repeats_nothing(
        (log, arrivals) in network(),
        deaths in proptest::collection::btree_set(0..300_usize, 0..10),
    ) {
        let mut reader = Model::new(0, 32);
        for (place, seq) in arrivals.into_iter().enumerate() {
            if deaths.contains(&place) {
                reader.apply(&Step::Resumes);
            }
            reader.apply(&Step::Arrives(seq));
        }
        reader.apply(&Step::HeadIs(log));
        reader.repair();
        prop_assert_eq!(reader.out, (1..=log).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_missing_is_named_exactly_after_every_step(
        steps in proptest::collection::vec(step(60), 0..200),
        waiting_max in 0..16_usize,
        start in 0..30_i64,
    ) {
        let mut reader = Model::new(start, waiting_max);
        for step in &steps {
            reader.apply(step);
        }
        prop_assert!(reader.out.is_sorted_by(|a, b| a < b), "{:?}", reader.out);
    }
}

#[test]
fn a_lost_last_event_is_missed_once_the_head_is_known() {
    let mut reader = Model::new(0, 8);
    reader.apply(&Step::Arrives(1));
    assert_eq!(reader.cursor.gap(), None);
    reader.apply(&Step::HeadIs(2));
    assert_eq!(reader.cursor.gap(), Some(Gap { first: Seq(2), last: Seq(2) }));
    reader.repair();
    assert_eq!(reader.out, [1, 2]);
}

#[test]
fn an_event_that_finds_no_room_to_wait_is_fetched_later() {
    let mut reader = Model::new(0, 1);
    for seq in [3, 4, 1] {
        reader.apply(&Step::Arrives(seq));
    }
    assert_eq!(reader.out, [1]);
    reader.repair();
    assert_eq!(reader.out, [1, 2, 3, 4]);
}

#[test]
fn what_was_trimmed_is_skipped_and_what_waited_behind_it_comes_out() {
    let mut reader = Model::new(0, 8);
    reader.apply(&Step::Arrives(6));
    reader.apply(&Step::IsTrimmed(5));
    assert_eq!(reader.out, [6]);
    assert_eq!(reader.cursor.gap(), None);
}
