//! Rounds of work: batches until nothing is left, then a pause.

use std::time::{Duration, Instant};

use runtime::meter::{Counter, Gauge, label};

use crate::Janitor;

/// How long one batch may take: a Postgres whose machine is gone says nothing.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// How far this machine's clock may be from Postgres' before nothing is removed any more.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);
/// The longest rest after a batch.
const REST_MAX: Duration = Duration::from_secs(5);
/// Rests for so many times as long as a batch took: most sends meet none.
const REST_TIMES: u32 = 4;

/// Ends a round: says how it went, and waits until the next is due. One that failed is repeated.
pub(crate) async fn finish<E: std::fmt::Display>(
    janitor: &Janitor,
    work: &'static str,
    round: Result<(), E>,
) {
    match round {
        Ok(()) => {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            let now = janitor.clock.now().unix_seconds() as f64;
            Gauge::JanitorRound.set_with(now, vec![label("work", work)]);
        }
        Err(error) => {
            Counter::JanitorFailures.add(1);
            tracing::warn!(error = %error, work, "janitor task {work} failed, will retry: {error}");
        }
    }
    pause(janitor, janitor.config.scan_every).await;
}

/// Does one batch, and rests for [`REST_TIMES`] as long as it took: whoever else uses the record
/// has it alone for most of the time.
pub(crate) async fn batch<T>(
    janitor: &Janitor,
    work: impl Future<Output = store::Result<T>> + Send,
) -> store::Result<T> {
    let started = Instant::now();
    let guarded = async {
        agree_on_the_time(janitor).await?;
        work.await
    };
    let done = tokio::time::timeout(BATCH_TIMEOUT, guarded).await;
    let done = done.unwrap_or(Err(store::Error::TimedOut))?;
    pause(janitor, (started.elapsed() * REST_TIMES).min(REST_MAX)).await;
    Ok(done)
}

/// What is removed goes by this machine's clock: one that differs from Postgres' by more than
/// [`CLOCK_SKEW_MAX`] removes nothing.
async fn agree_on_the_time(janitor: &Janitor) -> store::Result<()> {
    let seconds = janitor.store.clock_skew(|| janitor.clock.system_time()).await?;
    Gauge::ClockSkew.set_with(seconds, vec![label("role", "janitor")]);
    if seconds.abs() > CLOCK_SKEW_MAX.as_secs_f64() {
        return Err(store::Error::ClockSkewed { seconds });
    }
    Ok(())
}

async fn pause(janitor: &Janitor, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = janitor.life.draining() => {}
    }
}

/// Counts what was removed.
pub(crate) fn count(kind: &'static str, removed: u64) {
    if removed > 0 {
        Counter::JanitorRemoved.add_with(removed, vec![label("kind", kind)]);
    }
}
