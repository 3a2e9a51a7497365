//! From the schedule onto the queue.

use std::time::{Duration, Instant};

use nats::work::{WebhookJob, store_webhook_jobs};
use runtime::meter::{Counter, Gauge};
use store::actions::deliveries::{Due, hand_out, hand_out_probes, unpark};
use store::queries::deliveries::waiting;

use crate::Worker;

/// Deliveries put on the queue at once.
const HAND_OUT_MAX: usize = 1_000;
/// Broken endpoints tried per look at the schedule: those that broke together are due together, and
/// this takes them apart. With ten minutes between probes, the looks of one worker are enough for
/// 12,000 broken endpoints.
const PROBES_MAX: i64 = 20;
/// How often it is looked for deliveries that are parked for no reason any more.
const UNPARK_EVERY: Duration = Duration::from_secs(5);
/// The pause when there is nothing more to do.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    let mut unparked_at = Instant::now();
    while !worker.life.is_draining() {
        if unparked_at.elapsed() >= UNPARK_EVERY {
            unparked_at = Instant::now();
            if let Err(error) = unpark_lost(&worker).await {
                tracing::warn!(error = %error, "parked deliveries wait: {error}");
            }
        }
        let is_full = match sweep(&worker).await {
            Ok(seen) => seen >= HAND_OUT_MAX,
            Err(error) => {
                // Their last values would pass for the present ones.
                for gauge in [Gauge::WebhooksDue, Gauge::WebhooksDueAge, Gauge::WebhooksBroken] {
                    gauge.forget();
                }
                tracing::warn!(error = %error, "webhook schedule failed, will retry: {error}");
                false
            }
        };
        if !is_full {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = worker.life.draining() => {}
            }
        }
    }
    Ok(())
}

/// Puts back what is parked for no reason any more.
async fn unpark_lost(worker: &Worker) -> store::Result<()> {
    let limit = i64::try_from(HAND_OUT_MAX).unwrap_or(i64::MAX);
    let mut tx = worker.store.begin().await?;
    let unparked = unpark(&mut tx, limit, worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    if unparked > 0 {
        tracing::info!(unparked, "{unparked} deliveries were parked for no reason, and go on");
    }
    Ok(())
}

/// Puts what is due on the queue. Returns how much was looked at.
async fn sweep(worker: &Worker) -> store::Result<usize> {
    let now = worker.clock.now();
    let mut conn = worker.store.read().await?;
    let waiting = waiting(&mut conn, now).await?;
    drop(conn);
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    Gauge::WebhooksDue.set(waiting.due as f64);
    Gauge::WebhooksDueAge.set(waiting.oldest_seconds);
    #[expect(clippy::cast_precision_loss, reason = "a count of endpoints")]
    Gauge::WebhooksBroken.set(waiting.broken as f64);
    // Handing out puts the next time off: while NATS is away there is nothing to gain from it.
    if !worker.bus.is_connected() {
        return Ok(0);
    }
    let limit = i64::try_from(HAND_OUT_MAX).unwrap_or(i64::MAX);
    let mut tx = worker.store.begin().await?;
    let (due, seen) = hand_out(&mut tx, limit, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    let mut tx = worker.store.begin().await?;
    let probes = hand_out_probes(&mut tx, PROBES_MAX, worker.lease(), now).await?;
    let _nothing_to_publish = tx.commit().await?;
    let due = due.into_iter().chain(probes);
    let job = |Due { id, webhook, is_probe }| WebhookJob { webhook, delivery: id, is_probe };
    let stored = store_webhook_jobs(&worker.bus, due.map(job).collect()).await;
    Counter::WebhookJobs.add(stored as u64);
    Ok(seen)
}
