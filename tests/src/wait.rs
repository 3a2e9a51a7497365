//! Waiting for a value, with a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long anything may take. Generous: the machine may be busy, and a deadline only costs time
/// when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How often a value is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for a future.
///
/// # Panics
/// When it is not ready within [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("{what}: not within {DEADLINE:?}");
    };
    value
}

/// Looks at something again and again until there is a value, for at most `patience`.
///
/// # Panics
/// When there is none by then.
pub async fn eventually<T, F, Fut>(what: &str, patience: Duration, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Runs something beside the test, whose runtime ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no lifecycle: its runtime ends its tasks"
)]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}
