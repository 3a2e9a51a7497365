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
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    pub fn now(&self) -> Timestamp {
        let ahead = self.ahead_micros.load(Ordering::Relaxed);
        let now = Timestamp::from(chrono::Utc::now());
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
