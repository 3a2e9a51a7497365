//! Jobs on the work queues: hints at rows whose time has come. A job that is lost is handed out
//! again by the schedule in Postgres, so handing one out waits for nothing and may fail.

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use domain::{DeliveryId, WebhookId};

use crate::bus::Bus;

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

/// Puts a job on the queue WEBHOOKS. Returns whether it was handed to NATS.
pub async fn hand_out_webhook_job(bus: &Bus, job: WebhookJob) -> bool {
    let mark = if job.is_probe { PROBE } else { "" };
    let payload = format!("{}{mark}", job.delivery);
    bus.tell(bus.subjects().webhook_work(job.webhook), HeaderMap::new(), payload.into()).await
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
