//! Jobs on the work queues: hints at rows whose time has come. A job that is lost is handed out
//! again by the schedule in Postgres, so handing one out waits for nothing and may fail.

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use domain::{DeliveryId, WebhookId};

use crate::bus::Bus;
use crate::stored::{Stored, publish_stored};
use crate::streams::StreamKind;

/// What marks a probe in a job's payload.
const PROBE: &str = " probe";

/// A delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookJob {
    /// Whose it is.
    pub webhook: WebhookId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whether it tries an endpoint to which nothing else goes through.
    pub is_probe: bool,
}

/// Puts a job on the queue WEBHOOKS without waiting for JetStream. Returns whether it was handed
/// to NATS.
pub async fn hand_out_webhook_job(bus: &Bus, job: WebhookJob) -> bool {
    let Stored { subject, headers, payload } = stored(bus, job);
    bus.tell(subject, headers, payload).await
}

/// Puts jobs on the queue WEBHOOKS, and hears from JetStream how many it has stored.
pub async fn store_webhook_jobs(bus: &Bus, jobs: Vec<WebhookJob>) -> usize {
    let jobs = jobs.into_iter().map(|job| stored(bus, job)).collect();
    publish_stored(bus, StreamKind::Webhooks, jobs).await.stored
}

fn stored(bus: &Bus, job: WebhookJob) -> Stored {
    let mark = if job.is_probe { PROBE } else { "" };
    let payload = format!("{}{mark}", job.delivery).into();
    let subject = bus.subjects().webhook_work(job.webhook);
    Stored { subject, headers: HeaderMap::new(), payload }
}

/// Reads a job; `None` for what is none.
pub fn read_webhook_job(message: &Message) -> Option<WebhookJob> {
    let webhook = message.subject.rsplit('.').next()?.parse().ok()?;
    let payload = std::str::from_utf8(&message.payload).ok()?;
    let (delivery, is_probe) = match payload.strip_suffix(PROBE) {
        Some(delivery) => (delivery, true),
        None => (payload, false),
    };
    Some(WebhookJob { webhook, delivery: delivery.parse().ok()?, is_probe })
}
