//! From the schedule onto the queue.

use std::time::{Duration, Instant};

use domain::Claim;
use nats::work::{WebhookJob, store_webhook_jobs};
use runtime::meter::{Counter, Gauge};
use runtime::window::Window;
use store::actions::deliveries::{Due, hand_out, hand_out_probes, unpark};
use store::queries::deliveries::waiting;

use crate::Worker;

/// Deliveries put on the queue at once.
const HAND_OUT_MAX: i64 = 1_000;
/// Broken endpoints tried per look at the schedule: those that broke together are due together, and
/// this takes them apart. With ten minutes between probes, the looks of one worker are enough for
/// 12,000 broken endpoints.
const PROBES_MAX: i64 = 20;
/// How often it is looked for deliveries that are parked for no reason any more.
const UNPARK_EVERY: Duration = Duration::from_secs(5);
/// The pause when there is nothing more to do.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a look may still take once the process drains.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// What the schedule hands out.
struct Windows {
    due: Window,
    probes: Window,
    parked: Window,
}

pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    let mut unparked_at = Instant::now();
    let mut windows = Windows {
        due: Window::new("webhook_schedule", HAND_OUT_MAX),
        probes: Window::new("webhook_probes", PROBES_MAX),
        parked: Window::new("webhook_unpark", HAND_OUT_MAX),
    };
    while !worker.life.is_draining() {
        let now = worker.clock.now();
        for window in [&mut windows.due, &mut windows.probes, &mut windows.parked] {
            window.begin(now);
        }
        let is_unpark_due = unparked_at.elapsed() >= UNPARK_EVERY;
        if is_unpark_due {
            unparked_at = Instant::now();
        }
        let look = Box::pin(look(&worker, &mut windows, is_unpark_due));
        let Some(looked) = worker.life.unless_drained(DRAIN_GRACE, look).await else { break };
        let has_more = looked.unwrap_or_else(|error| {
            // Their last values would pass for the present ones.
            for gauge in [Gauge::WebhooksDue, Gauge::WebhooksDueAge, Gauge::WebhooksBroken] {
                gauge.forget();
            }
            tracing::warn!(error = %error, "webhook schedule failed, will retry: {error}");
            false
        });
        if !has_more {
            worker.life.pause(PAUSE).await;
        }
    }
    Ok(())
}

/// One look at the schedule. Whether there is more.
async fn look(worker: &Worker, windows: &mut Windows, is_unpark_due: bool) -> store::Result<bool> {
    if is_unpark_due {
        let unparked = unpark_lost(worker, windows.parked.claim()).await;
        if let Some(unparked) = noted(worker, &mut windows.parked, unparked).await? {
            windows.parked.succeeded(unparked);
            if unparked > 0 {
                tracing::info!(
                    unparked,
                    "{unparked} deliveries were parked for no reason, and go on"
                );
            }
        }
    }
    tell(worker).await?;
    // Handing out puts the next time off: while NATS is away there is nothing to gain from it.
    if !worker.bus.is_connected() {
        return Ok(false);
    }
    let due = due(worker, windows.due.claim()).await;
    let mut jobs = Vec::new();
    let has_more = match noted(worker, &mut windows.due, due).await? {
        Some((due, seen)) => {
            jobs.extend(due);
            windows.due.succeeded(seen as u64)
        }
        None => true,
    };
    let probes = probes(worker, windows.probes.claim()).await;
    if let Some(probes) = noted(worker, &mut windows.probes, probes).await? {
        windows.probes.succeeded(probes.len() as u64);
        jobs.extend(probes);
    }
    let job = |Due { id, webhook, is_probe }| WebhookJob { webhook, delivery: id, is_probe };
    let stored = store_webhook_jobs(&worker.bus, jobs.into_iter().map(job).collect()).await;
    Counter::WebhookJobs.add(stored as u64);
    Ok(has_more)
}

/// What a claim found. `None` when it failed, and fewer rows are to be tried.
async fn noted<T>(
    worker: &Worker,
    window: &mut Window,
    claimed: store::Result<T>,
) -> store::Result<Option<T>> {
    match claimed {
        Ok(found) => Ok(Some(found)),
        Err(error) if worker.store.blames_work(&error).await => {
            tracing::warn!(error = %error, "deliveries cannot be handed out, retrying fewer: {error}");
            if window.failed(worker.clock.now()) { Ok(None) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// Puts back what is parked for no reason any more.
async fn unpark_lost(worker: &Worker, claim: Claim) -> store::Result<u64> {
    let mut tx = worker.begin().await?;
    let unparked = unpark(&mut tx, claim, worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(unparked)
}

/// Tells Prometheus how much waits.
async fn tell(worker: &Worker) -> store::Result<()> {
    let mut conn = worker.store.read().await?;
    let waiting = waiting(&mut conn, worker.clock.now()).await?;
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    Gauge::WebhooksDue.set(waiting.due as f64);
    Gauge::WebhooksDueAge.set(waiting.oldest_seconds);
    #[expect(clippy::cast_precision_loss, reason = "a count of endpoints")]
    Gauge::WebhooksBroken.set(waiting.broken as f64);
    Ok(())
}

/// Claims what is due. Returns also how many deliveries were looked at.
async fn due(worker: &Worker, claim: Claim) -> store::Result<(Vec<Due>, usize)> {
    let mut tx = worker.begin().await?;
    let due = hand_out(&mut tx, claim, worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(due)
}

/// Claims the probes that are due.
async fn probes(worker: &Worker, claim: Claim) -> store::Result<Vec<Due>> {
    let mut tx = worker.begin().await?;
    let probes = hand_out_probes(&mut tx, claim, worker.lease(), worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(probes)
}
