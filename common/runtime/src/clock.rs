//! Time as a parameter, so that tests can move it; and how far it is from Postgres' time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::Timestamp;

use crate::Lifecycle;
use crate::meter::Gauge;

/// How often a process compares its clock with Postgres'.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// A difference that is worth a line in the log.
const SKEW_TOLD: Duration = Duration::from_secs(5);
/// How often that line is repeated.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A difference above which nothing that cannot be undone is done by this clock.
pub const SKEW_MAX: Duration = Duration::from_secs(60);

/// Tells the time of day. Clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Inner>);

/// Microseconds each.
#[derive(Debug, Default)]
struct Inner {
    /// By how much a test has let time pass: Postgres' clock is taken to have moved too.
    passed: Arc<AtomicI64>,
    /// By how much a test has set this clock wrong.
    wrong: AtomicI64,
}

/// How far a clock is ahead of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    micros: i64,
}

impl Skew {
    /// In seconds; negative when it is behind.
    pub fn seconds(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a gauge, and a line in a log")]
        let micros = self.micros as f64;
        micros / 1e6
    }

    /// How far, in either direction.
    pub fn magnitude(self) -> Duration {
        Duration::from_micros(self.micros.unsigned_abs())
    }

    /// Whether what cannot be undone may go by this clock: at most [`SKEW_MAX`].
    pub fn is_tolerable(self) -> bool {
        self.magnitude() <= SKEW_MAX
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    pub fn now(&self) -> Timestamp {
        let ahead = self.passed().saturating_add(self.0.wrong.load(Ordering::Relaxed));
        let now = Timestamp::from(chrono::Utc::now());
        match u64::try_from(ahead) {
            Ok(ahead) => now + Duration::from_micros(ahead),
            Err(_) => now - Duration::from_micros(ahead.unsigned_abs()),
        }
    }

    /// Lets time pass, for tests: moves this clock and all its clones forward, and what they take
    /// for Postgres' time with them. No role does this.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.passed.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets this clock and all its clones wrong by so many seconds, for tests. No role does this.
    pub fn set_wrong(&self, seconds: i64) {
        self.0.wrong.store(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }

    /// The microseconds by which a test has let time pass, as they are from now on.
    pub fn time_passed(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.0.passed)
    }

    fn passed(&self) -> i64 {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Compares this clock with what Postgres' clock said half a `round_trip` ago.
    pub fn compare(&self, reference: Timestamp, round_trip: Duration) -> Skew {
        let half = i64::try_from((round_trip / 2).as_micros()).unwrap_or(i64::MAX);
        // A test may let time pass in between.
        let (now, passed) = loop {
            let passed = self.passed();
            let now = self.now();
            if passed == self.passed() {
                break (now, passed);
            }
        };
        let expected = reference.unix_micros().saturating_add(half).saturating_add(passed);
        let micros = now.unix_micros().saturating_sub(expected);
        Gauge::ClockSkew.set(Skew { micros }.seconds());
        Skew { micros }
    }
}

/// Compares a clock with Postgres' from time to time, and says so when they differ. `ask` reads
/// Postgres' clock and says how long that took; `None` when it cannot be read now.
pub async fn watch<F, Fut>(clock: Clock, life: Lifecycle, ask: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Option<(Timestamp, Duration)>>,
{
    let mut told: Option<Instant> = None;
    loop {
        if let Some((reference, round_trip)) = ask().await {
            let skew = clock.compare(reference, round_trip);
            if skew.magnitude() > SKEW_TOLD && told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                told = Some(Instant::now());
                tell(skew);
            }
        } else {
            Gauge::ClockSkew.forget();
        }
        if !life.pause(COMPARE_EVERY).await {
            return;
        }
    }
}

fn tell(skew: Skew) {
    let direction = if skew.seconds() < 0.0 { "behind" } else { "ahead of" };
    let consequence = if skew.is_tolerable() {
        "times that people see are wrong by as much"
    } else {
        "nothing is removed, disabled or mailed by it until it is right"
    };
    tracing::warn!(
        skew_seconds = skew.seconds(),
        "this machine's clock is {:.1} s {direction} Postgres': {consequence}. Is NTP running on \
         both?",
        skew.magnitude().as_secs_f64()
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;

    #[test]
    fn a_clock_is_right_only_while_it_agrees_with_the_reference() {
        let clock = Clock::system();
        let reference = clock.now();
        let skew = clock.compare(reference, Duration::from_secs(20));
        assert!(skew.magnitude() > Duration::from_secs(9), "half of a slow answer: {skew:?}");
        assert!(skew.seconds() < 0.0);
        for (seconds, is_right) in [(70, false), (-70, false), (30, true)] {
            clock.set_wrong(seconds);
            let skew = clock.compare(reference, Duration::ZERO);
            assert_eq!(skew.is_tolerable(), is_right, "{seconds} s");
        }
        clock.set_wrong(0);
        clock.advance(Duration::from_secs(86_400));
        assert!(clock.compare(reference, Duration::ZERO).is_tolerable(), "time that passes");
    }
}
