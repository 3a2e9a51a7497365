//! How many frames a client may send: a counter per socket and second, a few bytes each.

use std::time::Duration;

use tokio::time::Instant;

/// The length of one counting window.
const WINDOW: Duration = Duration::from_secs(1);
/// Dropped frames within [`FLOOD_PERIOD`] that make a flood.
const FLOOD_DROPS: u8 = 5;
/// The period over which dropped frames are counted.
const FLOOD_PERIOD: Duration = Duration::from_secs(10);

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Admit,
    /// Take it, and warn: said once a window.
    AdmitNear {
        /// When the window ends.
        retry_after: Duration,
    },
    /// Drop it.
    Drop {
        /// When the next is allowed.
        retry_after: Duration,
    },
    /// Close the socket.
    Flood,
}

/// The limit of one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLimit {
    per_second: u32,
    window: Instant,
    frames: u32,
    drops_since: Instant,
    drops: u8,
}

impl FrameLimit {
    /// A limit of so many frames a second; 0 admits everything.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, window: now, frames: 0, drops_since: now, drops: 0 }
    }

    /// Counts a frame that another limit drops: too many of them are a flood all the same.
    pub(crate) fn drop_for(&mut self, retry_after: Duration, now: Instant) -> Verdict {
        self.drop(now, retry_after)
    }

    /// Counts a frame.
    pub(crate) fn count(&mut self, now: Instant) -> Verdict {
        if self.per_second == 0 {
            return Verdict::Admit;
        }
        if now.duration_since(self.window) >= WINDOW {
            self.window = now;
            self.frames = 0;
        }
        self.frames = self.frames.saturating_add(1);
        let retry_after = WINDOW.saturating_sub(now.duration_since(self.window));
        if self.frames > self.per_second {
            return self.drop(now, retry_after);
        }
        let near = (self.per_second.saturating_mul(4)).div_ceil(5);
        if self.frames == near {
            return Verdict::AdmitNear { retry_after };
        }
        Verdict::Admit
    }

    fn drop(&mut self, now: Instant, retry_after: Duration) -> Verdict {
        if now.duration_since(self.drops_since) >= FLOOD_PERIOD {
            self.drops = 0;
        }
        if self.drops == 0 {
            self.drops_since = now;
        }
        self.drops = self.drops.saturating_add(1);
        if self.drops >= FLOOD_DROPS { Verdict::Flood } else { Verdict::Drop { retry_after } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_once_then_drops_then_closes() {
        let start = Instant::now();
        let mut limit = FrameLimit::new(20, start);
        let verdicts: Vec<Verdict> = (0..25).map(|_| limit.count(start)).collect();
        assert_eq!(verdicts.iter().filter(|&&v| v == Verdict::Admit).count(), 19);
        assert_eq!(verdicts[15], Verdict::AdmitNear { retry_after: WINDOW });
        assert!(verdicts[20..24].iter().all(|v| matches!(v, Verdict::Drop { .. })));
        assert_eq!(verdicts[24], Verdict::Flood);
    }

    #[test]
    fn drops_that_are_far_apart_are_no_flood() {
        let start = Instant::now();
        let mut limit = FrameLimit::new(1, start);
        for second in 0..50 {
            let now = start + Duration::from_secs(second * 3);
            assert_ne!(limit.count(now), Verdict::Flood);
            assert!(matches!(limit.count(now), Verdict::Drop { .. }));
        }
    }

    #[test]
    fn zero_admits_everything() {
        let start = Instant::now();
        let mut limit = FrameLimit::new(0, start);
        assert!((0..10_000).all(|_| limit.count(start) == Verdict::Admit));
    }
}
