//! Rounds of work: batches until nothing is left, then a pause.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::Claim;
use runtime::meter::{Counter, Gauge, label};
use runtime::window::Window;
use store::Tx;
use store::actions::retention::Run;

use crate::Janitor;

/// How long one statement of a batch may take.
const STATEMENT_BUDGET: Duration = Duration::from_secs(8);
/// How long one batch may take: below the 15 s after which Postgres ends a transaction in which
/// nothing happens, and the 25 s in which a process that was told to stop must end.
const BATCH_BUDGET: Duration = Duration::from_secs(12);
/// The longest rest after a batch.
const REST_MAX: Duration = Duration::from_secs(5);
/// Rests for so many times as long as a batch took: most sends meet none.
const REST_TIMES: u32 = 4;

/// Ends a round: says how it went, and waits until the next is due. One that failed is repeated.
pub(crate) async fn finish<T, E: std::fmt::Display>(
    janitor: &Janitor,
    work: &'static str,
    round: Result<T, E>,
) {
    match round {
        Ok(_) => {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            let now = janitor.clock.now().unix_seconds() as f64;
            Gauge::JanitorRound.set_with(now, vec![label("work", work)]);
        }
        Err(error) => {
            Counter::JanitorFailures.add(1);
            // Their last values would pass for the present ones.
            for gauge in gauges(work) {
                gauge.forget();
            }
            tracing::warn!(error = %error, work, "janitor task {work} failed, will retry: {error}");
        }
    }
    janitor.life.pause(janitor.config.scan_every).await;
}

/// What a kind of work measures in each round.
fn gauges(work: &str) -> &'static [Gauge] {
    match work {
        "retention" => &[Gauge::JanitorBacklog],
        "files" => &[Gauge::FilesRemoving, Gauge::PreviewsDue],
        _ => &[],
    }
}

/// Opens the transaction of a batch.
pub(crate) async fn begin(janitor: &Janitor) -> store::Result<Tx> {
    janitor.store.begin_bounded(STATEMENT_BUDGET).await
}

/// Works through all rows that a window finds. Rows that cannot be worked on are passed over.
/// Returns how many were found.
pub(crate) async fn each_batch<F>(
    janitor: &Janitor,
    window: &mut Window,
    mut work: impl FnMut(Claim) -> F,
) -> store::Result<u64>
where
    F: Future<Output = store::Result<u64>> + Send,
{
    window.begin(janitor.clock.now());
    let mut total = 0;
    while !janitor.life.is_draining() {
        let claim = window.claim();
        match batch(janitor, Box::pin(work(claim))).await {
            Ok(found) => {
                total += found;
                if !window.succeeded(found) {
                    break;
                }
            }
            Err(error) if janitor.store.blames_work(&error).await => {
                tracing::warn!(error = %error, rows = claim.limit,
                    "{} rows cannot be worked on, retrying fewer: {error}", claim.limit);
                if !window.failed(janitor.clock.now()) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// Does one batch, and rests for [`REST_TIMES`] as long as it took: whoever else uses the record
/// has it alone for most of the time.
pub(crate) async fn batch<T>(
    janitor: &Janitor,
    work: impl Future<Output = store::Result<T>> + Send,
) -> store::Result<T> {
    let started = Instant::now();
    let done = store::within(BATCH_BUDGET, work).await;
    janitor.life.pause((started.elapsed() * REST_TIMES).min(REST_MAX)).await;
    done
}

/// Does one batch that removes something, or decides that it is to be removed: only while this
/// machine's clock agrees with Postgres', which is asked each time. What has gone is not undone.
pub(crate) async fn removing_batch<T>(
    janitor: &Janitor,
    work: impl Future<Output = store::Result<T>> + Send,
) -> store::Result<T> {
    // On the heap: futures that hold futures double in size with each that does.
    let work = Box::pin(work);
    let guarded = Box::pin(async {
        check_clock(janitor).await?;
        work.await
    });
    batch(janitor, guarded).await
}

/// Refuses while this machine's clock differs too much from Postgres'.
pub(crate) async fn check_clock(janitor: &Janitor) -> store::Result<()> {
    let server = janitor.store.server_time().await?;
    let skew = janitor.clock.compare(server.at, server.round_trip);
    blocked("clock", !skew.is_tolerable());
    if skew.is_tolerable() {
        return Ok(());
    }
    Err(store::Error::Unusable(format!(
        "this machine's clock and Postgres' differ by {:.0} s: nothing is removed",
        skew.magnitude().as_secs_f64()
    )))
}

/// Tells Prometheus whether nothing is removed, for a reason.
pub(crate) fn blocked(reason: &'static str, is_blocked: bool) {
    let labels = vec![label("reason", reason)];
    Gauge::JanitorRemovalBlocked.set_with(f64::from(u8::from(is_blocked)), labels);
}

/// Says what a round has removed, if anything, in one line.
pub(crate) fn tell<'a>(work: &'static str, counts: impl Iterator<Item = (&'a str, u64)>) {
    let mut totals = BTreeMap::new();
    for (kind, count) in counts.filter(|(_, count)| *count > 0) {
        *totals.entry(kind).or_insert(0) += count;
    }
    if !totals.is_empty() {
        let list: Vec<_> = totals.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        tracing::info!(work, "the janitor's {work} removed {}", list.join(", "));
    }
}

/// Says what a round has removed of organizations.
pub(crate) fn tell_runs<'a>(work: &'static str, runs: impl Iterator<Item = &'a Run>) {
    let counts = runs.flat_map(|run| run.counts().iter());
    tell(work, counts.map(|(kind, count)| (*kind, count.unsigned_abs())));
}

/// Counts what was removed.
pub(crate) fn count(kind: &'static str, removed: u64) {
    if removed > 0 {
        Counter::JanitorRemoved.add_with(removed, vec![label("kind", kind)]);
    }
}
