//! Time as a parameter, so that tests can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::Timestamp;

/// Tells the time of day. Clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Microseconds that this clock is ahead of the system's.
    ahead_micros: Arc<AtomicI64>,
    /// How far the machine itself is wrong.
    wrong_by: Duration,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The clock of a machine that is this far ahead of the true time, for tests.
    pub fn of_a_wrong_machine(wrong_by: Duration) -> Self {
        Self { wrong_by, ..Self::default() }
    }

    /// What this machine's clock says, without what [`Self::advance`] added: to be compared with
    /// the clocks of others.
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    pub fn system_time(&self) -> Timestamp {
        Timestamp::from(chrono::Utc::now()) + self.wrong_by
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let ahead = self.ahead_micros.load(Ordering::Relaxed);
        let now = self.system_time();
        match u64::try_from(ahead) {
            Ok(ahead) => now + Duration::from_micros(ahead),
            Err(_) => now - Duration::from_micros(ahead.unsigned_abs()),
        }
    }

    /// Moves this clock and all its clones forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.ahead_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
