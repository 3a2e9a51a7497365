//! Ends the run, with the name of the test, when a test hangs. The harness itself has no time limit.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// How long a test may take: several times the longest on a slow machine, and the first of
/// all may have to fetch a browser.
const LONGEST: Duration = Duration::from_secs(900);
/// Makes every storm so many seconds long; a test of one may take twice that in addition.
const STORM_SECONDS: &str = "CHATBOARD_TEST_CHAOS_SECONDS";
/// How often the tests that run are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The tests that run, and since when.
static RUNNING: Mutex<BTreeMap<u64, (String, Instant)>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Ends with the thread of the test, so after the runtime and all that the test holds.
    static THIS: Watched = Watched::new();
}

/// A test in [`RUNNING`].
struct Watched(u64);

impl Watched {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = std::thread::current().name().unwrap_or("a thread").to_owned();
        running().insert(number, (name, Instant::now()));
        Self(number)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        running().remove(&self.0);
    }
}

fn running() -> std::sync::MutexGuard<'static, BTreeMap<u64, (String, Instant)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, the run ends when this thread's test has not ended after [`LONGEST`], and says so.
pub(crate) fn watch() {
    static STARTED: Once = Once::new();
    THIS.with(|_| ());
    STARTED.call_once(|| {
        let storm = std::env::var_os(STORM_SECONDS);
        let storm = storm.and_then(|seconds| seconds.to_str()?.parse().ok());
        let longest = LONGEST + 2 * Duration::from_secs(storm.unwrap_or(0));
        std::thread::spawn(move || look(longest));
    });
}

#[expect(clippy::exit, reason = "the harness has no time limit")]
fn look(longest: Duration) {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let hung: Vec<_> = running()
            .values()
            .filter(|(_, since)| since.elapsed() > longest)
            .map(|(name, _)| name.clone())
            .collect();
        if !hung.is_empty() {
            // Not by a macro, whose words the harness keeps to itself.
            let mut out = std::io::stderr();
            let _ = writeln!(out, "\nHANGING after {longest:?}: {}: the run ends", hung.join(", "));
            std::process::exit(101);
        }
    }
}
