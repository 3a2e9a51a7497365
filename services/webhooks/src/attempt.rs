//! One attempt after the other: claim, request, record, acknowledge.

use std::future::Future;
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use bytes::Bytes;
use domain::DeliveryId;
use outbound::{Answer, Failure, Request, Target};
use runtime::meter::{Counter, Gauge, Histogram, label};
use runtime::parts::FAILURES_MAX;
use store::actions::dead_letters::give_up_delivery;
use store::actions::deliveries::{Claimed, Due, Standing, claim, failed, resume, succeeded};
use tokio::sync::SemaphorePermit;

use crate::Worker;
use crate::lanes::{Fare, Lane, Start};
use crate::outcome::{Outcome, judge};
use crate::sign::signatures;

/// What takes longer leaves its lane.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// How often recording is tried while Postgres is away.
const RECORD_TRIES: u32 = 5;
/// The pause between these tries.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// Failures to record attempts at a delivery after which it is given up.
const GIVE_UP_AFTER: u32 = FAILURES_MAX;
/// Parked deliveries put back on the schedule in one transaction.
const RESUME_MAX: i64 = 2_000;

/// What recording an attempt showed.
enum Recorded {
    Sent {
        /// Whether deliveries were parked because the endpoint was broken.
        was_broken: bool,
    },
    Failed(Standing),
}

/// Starts what may start, until the process drains; what was started is finished.
pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    while !worker.life.is_draining() {
        loop {
            let start = worker.lanes.lock().start();
            let Some(start) = start else { break };
            let worker_of_task = worker.clone();
            worker.life.spawn(async move { attempt(&worker_of_task, start).await });
        }
        tell(&worker);
        tokio::select! {
            () = worker.wake.notified() => {}
            () = worker.life.draining() => {}
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "at most 16,384")]
fn tell(worker: &Worker) {
    let lanes = worker.lanes.lock();
    let (queued, in_flight) = (lanes.queued(), lanes.in_flight());
    drop(lanes);
    Gauge::WebhookQueue.set(queued as f64);
    for (lane, count) in in_flight {
        Gauge::WebhookAttempts.set_with(count as f64, vec![label("lane", lane)]);
    }
}

async fn attempt(worker: &Worker, start: Start<Message>) {
    let Start { webhook, delivery, is_probe, job, mut lane } = start;
    let due = Due { id: delivery, webhook, is_probe };
    let result = deliver(worker, due, &mut lane).await;
    let fare = match result {
        Ok(fare) => {
            worker.parked.lock().succeeded(delivery);
            acknowledge(&job).await;
            fare
        }
        Err(error) if worker.store.blames_work(&error).await => {
            set_aside(worker, delivery, &error).await;
            // On the schedule, unless it was given up.
            acknowledge(&job).await;
            None
        }
        // Not acknowledged, and on the schedule: it comes again.
        Err(error) => {
            tracing::warn!(delivery = %delivery, error = %error,
                "delivery {delivery} waits for Postgres: {error}");
            None
        }
    };
    let given_back = worker.lanes.lock().finished(webhook, delivery, lane, fare);
    worker.wake.notify_one();
    // They stay on the schedule, which parks them.
    for job in given_back {
        acknowledge(&job).await;
    }
}

/// Parks a delivery whose attempt could not be claimed or recorded, and gives it up once that has
/// failed [`GIVE_UP_AFTER`] times: its endpoint may have got it each time.
async fn set_aside(worker: &Worker, delivery: DeliveryId, error: &store::Error) {
    let times = worker.parked.lock().failed(delivery, worker.clock.now());
    tracing::warn!(delivery = %delivery, error = %error, times,
        "delivery {delivery} cannot be recorded: {error}");
    if times < GIVE_UP_AFTER {
        return;
    }
    let giving_up = async {
        let mut tx = worker.begin().await?;
        give_up_delivery(&mut tx, delivery, &format!("cannot be recorded: {error}")).await?;
        tx.commit().await
    };
    match giving_up.await {
        Ok(_nothing_to_publish) => {
            Counter::WorkDead.add_with(1, vec![label("work", "webhook_deliveries")]);
            worker.parked.lock().forget(delivery);
        }
        Err(error) => tracing::warn!(delivery = %delivery, error = %error,
            "delivery {delivery} cannot be given up either and stays parked: {error}"),
    }
}

/// An acknowledgement that is lost has the job come again, to be found done or not due.
async fn acknowledge(job: &Message) {
    if let Err(error) = job.ack().await {
        tracing::debug!(error = %error, "a webhook job was not acknowledged: {error}");
    }
}

/// Attempts a delivery, if it is ours to attempt. What it says of the endpoint.
async fn deliver(worker: &Worker, due: Due, lane: &mut Lane) -> store::Result<Option<Fare>> {
    let turn = turn(worker, *lane).await;
    let mut tx = worker.begin().await?;
    let claimed = claim(&mut tx, due, worker.lease(), worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    drop(turn);
    let Some(claimed) = claimed else { return Ok(None) };
    let started = Instant::now();
    let result = noticing_slowness(worker, due, lane, post(worker, &claimed)).await;
    let seconds = started.elapsed().as_secs_f64();
    let now = worker.clock.now();
    let outcome = judge(&worker.config.retry_schedule, &claimed, result, now);
    let name = match &outcome {
        Outcome::Sent { .. } => "sent",
        Outcome::Failed(failed) if failed.retry_after.is_some() => "retrying",
        Outcome::Failed(_) => "failed",
    };
    Counter::WebhookAttempts.add_with(1, vec![label("outcome", name)]);
    Histogram::WebhookSeconds.record_with(seconds, vec![label("outcome", name)]);
    let turn = self::turn(worker, *lane).await;
    let recorded = record_patiently(worker, &claimed, &outcome).await?;
    drop(turn);
    let (fare, was_broken) = match recorded {
        Recorded::Sent { was_broken } => (Fare::Proven, was_broken),
        Recorded::Failed(Standing::Failing) => (Fare::Failing, false),
        Recorded::Failed(Standing::Broken) => (Fare::Broken, false),
        Recorded::Failed(Standing::Disabled) => {
            Counter::WebhooksDisabled.add(1);
            tracing::info!(webhook.id = %due.webhook, "webhook {} is disabled", due.webhook);
            (Fare::Broken, false)
        }
    };
    if fare == Fare::Proven && claimed.retries == 0 {
        Histogram::WebhookLatencySeconds.record(now.since(claimed.created_at).as_secs_f64());
    }
    if was_broken || (claimed.is_first && fare != Fare::Broken) {
        // The attempt is recorded; the schedule finds what was not resumed.
        if let Err(error) = resume_all(worker, &claimed).await {
            tracing::warn!(webhook.id = %due.webhook, error = %error,
                "parked deliveries of webhook {} wait: {error}", due.webhook);
        }
    }
    Ok(Some(fare))
}

/// Waits until an attempt of this lane may use Postgres: in that of proven endpoints at once.
async fn turn(worker: &Worker, lane: Lane) -> Option<SemaphorePermit<'_>> {
    if lane == Lane::Fast { None } else { worker.others.acquire().await.ok() }
}

/// Waits for an attempt; when it takes long, it leaves its lane.
async fn noticing_slowness<F: Future>(
    worker: &Worker,
    due: Due,
    lane: &mut Lane,
    attempt: F,
) -> F::Output {
    tokio::pin!(attempt);
    if let Ok(output) = tokio::time::timeout(SLOW_AFTER, &mut attempt).await {
        return output;
    }
    worker.lanes.lock().slowed(due.webhook, *lane);
    *lane = Lane::Slow;
    worker.wake.notify_one();
    attempt.await
}

async fn post(worker: &Worker, claimed: &Claimed) -> Result<Answer, Failure> {
    // What was taken once is read again as strictly, should it have been changed in the record.
    let target = Target::parse(&claimed.url).map_err(|_| Failure::Connect)?;
    let timestamp = worker.clock.now().unix_seconds();
    let signature = signatures(&claimed.secrets, &claimed.event, timestamp, &claimed.body);
    let headers = vec![
        ("webhook-id", claimed.event.clone()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature),
        ("webhook-sequence", claimed.sequence.to_string()),
    ];
    let body = Bytes::from(claimed.body.clone());
    let timeout = worker.config.timeout;
    worker.client.post(&target, Request { org: claimed.org, headers, body, timeout }).await
}

/// Records an attempt. The request cannot be unmade, so it is tried again while Postgres is away.
async fn record_patiently(
    worker: &Worker,
    claimed: &Claimed,
    outcome: &Outcome,
) -> store::Result<Recorded> {
    let mut tries = 1;
    loop {
        match record(worker, claimed, outcome).await {
            Ok(recorded) => return Ok(recorded),
            Err(error) if tries >= RECORD_TRIES || !error.is_transient() => return Err(error),
            Err(_) => tokio::time::sleep(RECORD_PAUSE).await,
        }
        tries += 1;
    }
}

/// Records an attempt.
async fn record(worker: &Worker, claimed: &Claimed, outcome: &Outcome) -> store::Result<Recorded> {
    // Only a failure can disable an endpoint, by the time since it began to fail.
    let is_clock_right = match outcome {
        Outcome::Sent { .. } => false,
        Outcome::Failed(_) => {
            let server = worker.store.server_time().await?;
            worker.clock.compare(server.at, server.round_trip).is_tolerable()
        }
    };
    let now = worker.clock.now();
    let mut tx = worker.begin().await?;
    let recorded = match outcome {
        Outcome::Sent { status } => {
            Recorded::Sent { was_broken: succeeded(&mut tx, claimed, *status, now).await? }
        }
        Outcome::Failed(failure) => {
            Recorded::Failed(failed(&mut tx, claimed, failure, now, is_clock_right).await?)
        }
    };
    let _nothing_to_publish = tx.commit().await?;
    Ok(recorded)
}

/// The endpoint is back, or known now: what waited for that goes on. Should this be cut off, the
/// schedule finds it.
async fn resume_all(worker: &Worker, claimed: &Claimed) -> store::Result<()> {
    loop {
        let mut tx = worker.begin().await?;
        let resumed = resume(&mut tx, claimed.webhook, RESUME_MAX, worker.clock.now()).await?;
        let _nothing_to_publish = tx.commit().await?;
        if resumed < RESUME_MAX.unsigned_abs() {
            return Ok(());
        }
    }
}
