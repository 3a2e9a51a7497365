//! When to fetch what is missing, and when to give up.

use std::time::Duration;

use domain::Seq;
use tokio::time::Instant;

/// How long a gap waits for stragglers before it is fetched.
const STRAGGLERS: Duration = Duration::from_millis(10);
/// A gap that cannot be filled within this closes every socket of the room.
const GIVE_UP: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// The first pause between two attempts.
const RETRY_MIN: Duration = Duration::from_millis(50);

/// A gap that is being repaired.
#[derive(Clone, Copy, Debug)]
struct Open {
    stuck_at: Seq,
    since: Instant,
    next_at: Instant,
    pause: Duration,
}

/// The repair of one room's gaps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repair {
    open: Option<Open>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nothing.
    Same,
    /// There is a gap.
    Found,
    /// There is none any more.
    Healed,
}

impl Repair {
    /// Learns where the log stands, and whether anything after it is missing.
    pub(crate) fn note(&mut self, last: Seq, has_gap: bool, now: Instant) -> Noted {
        match &mut self.open {
            None if has_gap => {
                let next_at = now + STRAGGLERS;
                self.open = Some(Open { stuck_at: last, since: now, next_at, pause: RETRY_MIN });
                Noted::Found
            }
            Some(_) if !has_gap => {
                self.open = None;
                Noted::Healed
            }
            Some(open) if open.stuck_at != last => {
                *open = Open { stuck_at: last, since: now, pause: RETRY_MIN, ..*open };
                Noted::Same
            }
            _ => Noted::Same,
        }
    }

    /// No more may wait: fetch at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.next_at = open.next_at.min(now);
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.next_at = now + open.pause;
            open.pause = (open.pause * 2).min(RETRY_MAX);
        }
    }

    /// An attempt brought something, and something is still missing.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.next_at = now;
        }
    }

    /// When there is something to do.
    pub(crate) fn due(&self, is_fetching: bool) -> Option<Instant> {
        let open = self.open?;
        let give_up_at = open.since + GIVE_UP;
        Some(if is_fetching { give_up_at } else { open.next_at.min(give_up_at) })
    }

    /// Whether to fetch now.
    pub(crate) fn must_fetch(&self, now: Instant) -> bool {
        self.open.is_some_and(|open| open.next_at <= now)
    }

    /// Whether to give up.
    pub(crate) fn must_give_up(&self, now: Instant) -> bool {
        self.open.is_some_and(|open| now >= open.since + GIVE_UP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_waits_for_stragglers_then_is_fetched_then_given_up() {
        let (mut repair, start) = (Repair::default(), Instant::now());
        assert_eq!(repair.note(Seq(4), true, start), Noted::Found);
        assert!(!repair.must_fetch(start));
        assert!(repair.must_fetch(start + STRAGGLERS));
        assert!(!repair.must_give_up(start + GIVE_UP - STRAGGLERS));
        assert!(repair.must_give_up(start + GIVE_UP));
        assert_eq!(repair.note(Seq(9), false, start), Noted::Healed);
        assert_eq!(repair.due(false), None);
    }

    #[test]
    fn progress_puts_the_end_off_and_failures_space_out() {
        let (mut repair, start) = (Repair::default(), Instant::now());
        repair.note(Seq(4), true, start);
        let later = start + GIVE_UP - STRAGGLERS;
        assert_eq!(repair.note(Seq(5), true, later), Noted::Same);
        assert!(!repair.must_give_up(start + GIVE_UP));
        repair.failed(later);
        assert_eq!(repair.due(false), Some(later + RETRY_MIN));
        repair.failed(later);
        assert_eq!(repair.due(false), Some(later + RETRY_MIN * 2));
    }
}
