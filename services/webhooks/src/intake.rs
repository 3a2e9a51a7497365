//! From the queue into the lanes.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Message;
use domain::{DeliveryId, WebhookId};
use nats::consume::{Outcome, consume};
use nats::streams::Durable;
use nats::work::{WebhookJob, read_webhook_job};
use runtime::meter::Counter;
use store::actions::deliveries::park;
use store::queries::deliveries::fares;

use crate::Worker;
use crate::lanes::{Fare, Offer, Target};

/// When jobs are handed out again that came while Postgres was away.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// When jobs are handed out again for which there was no room.
const ROOM_AFTER: Duration = Duration::from_secs(2);

pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    let durable = (Durable::WEBHOOKS, worker.config.streams);
    let (bus, life) = (worker.bus.clone(), worker.life.clone());
    consume(bus, durable, life, move |messages| take(worker.clone(), messages)).await;
    Ok(())
}

/// Takes a batch. It never waits for an endpoint: what is taken is acknowledged after its attempt,
/// what is not is on the schedule, and acknowledged at once.
async fn take(worker: Worker, messages: Vec<Message>) -> (Vec<Message>, Vec<Outcome>) {
    let jobs: Vec<Option<WebhookJob>> = messages.iter().map(read_webhook_job).collect();
    let known = match look_up(&worker, &jobs).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(error = %error, "webhook jobs wait for Postgres: {error}");
            let outcomes = vec![Outcome::Retry { after: RETRY_AFTER }; messages.len()];
            return (messages, outcomes);
        }
    };
    let (mut done, mut outcomes) = (Vec::new(), Vec::new());
    for (message, job) in messages.into_iter().zip(jobs) {
        let taken = job.and_then(|job| Some((job, *known.get(&job.webhook)?)));
        // No job; one whose endpoint is gone or broken, or whose attempts cannot be recorded: that
        // is parked.
        let is_taken = |(job, target): &(WebhookJob, Target)| {
            let now = worker.clock.now();
            !is_parked(*job, *target) && !worker.parked.lock().is_parked(job.delivery, now)
        };
        let Some((job, target)) = taken.filter(is_taken) else {
            done.push(message);
            outcomes.push(Outcome::Done);
            continue;
        };
        let delivery = (job.delivery, job.is_probe);
        match worker.lanes.lock().offer(target, delivery, message) {
            Offer::Queued => {}
            Offer::Known(message) => {
                done.push(message);
                outcomes.push(Outcome::Done);
            }
            Offer::Full(message, fare) => {
                Counter::WebhookJobsPutBack.add(1);
                done.push(message);
                // One that answers will soon have room; the others' come with the schedule.
                let soon = Outcome::Retry { after: ROOM_AFTER };
                outcomes.push(if fare == Fare::Proven { soon } else { Outcome::Done });
            }
        }
    }
    worker.wake.notify_one();
    (done, outcomes)
}

/// Whether a job is not to be attempted now: its endpoint is broken, and it is no probe.
fn is_parked(job: WebhookJob, target: Target) -> bool {
    target.fare == Fare::Broken && !job.is_probe
}

/// How the endpoints of jobs fare. Jobs of broken ones that are no probes are parked.
async fn look_up(
    worker: &Worker,
    jobs: &[Option<WebhookJob>],
) -> store::Result<HashMap<WebhookId, Target>> {
    let jobs: Vec<WebhookJob> = jobs.iter().flatten().copied().collect();
    let mut webhooks: Vec<WebhookId> = jobs.iter().map(|job| job.webhook).collect();
    webhooks.sort_unstable();
    webhooks.dedup();
    let mut conn = worker.store.read().await?;
    let found = fares(&mut conn, &webhooks).await?;
    drop(conn);
    let known: HashMap<WebhookId, Target> = found
        .into_iter()
        .map(|endpoint| {
            let fare = match () {
                () if endpoint.is_broken => Fare::Broken,
                () if endpoint.is_failing => Fare::Failing,
                () if endpoint.is_proven => Fare::Proven,
                () => Fare::New,
            };
            let (webhook, org) = (endpoint.webhook, endpoint.org);
            (webhook, Target { webhook, org, fare })
        })
        .collect();
    let is_parked =
        |job: &WebhookJob| known.get(&job.webhook).is_some_and(|&target| is_parked(*job, target));
    let parked: Vec<DeliveryId> =
        jobs.iter().filter(|job| is_parked(job)).map(|job| job.delivery).collect();
    if !parked.is_empty() {
        park_each(worker, &parked).await?;
    }
    Ok(known)
}

/// Parks deliveries: together, and one by one where that fails.
async fn park_each(worker: &Worker, deliveries: &[DeliveryId]) -> store::Result<()> {
    let Err(error) = park_all(worker, deliveries).await else { return Ok(()) };
    if !worker.store.blames_work(&error).await {
        return Err(error);
    }
    for &delivery in deliveries {
        if let Err(error) = park_all(worker, &[delivery]).await {
            let now = worker.clock.now();
            let times = worker.parked.lock().failed(delivery, now);
            tracing::warn!(delivery = %delivery, error = %error, times,
                "delivery {delivery} cannot be parked: {error}");
        }
    }
    Ok(())
}

async fn park_all(worker: &Worker, deliveries: &[DeliveryId]) -> store::Result<()> {
    let mut tx = worker.begin().await?;
    park(&mut tx, deliveries, worker.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}
