//! Planning: a batch of events, one transaction, then the acks.

use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use domain::Seq;
use nats::consume::{Outcome, consume};
use nats::streams::Durable;
use nats::subjects::{HEADER_SEQ, LogSubject, Subjects};
use nats::work::{WebhookJob, hand_out_webhook_job};
use runtime::Lifecycle;
use runtime::meter::{Counter, Histogram};
use store::Error;
use store::actions::deliveries::Due;
use store::actions::outbox::settle;
use store::queries::outbox::LogPlace;

use crate::Relay;
use crate::sweep::bury;

/// When a batch that could not be recorded is handed out again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Deliveries that planning puts on the queue by itself; further ones come with the schedule.
const HAND_OUT_MAX: usize = 5_000;

pub(crate) async fn run(relay: Relay, life: Lifecycle) -> anyhow::Result<()> {
    let durable = (Durable::RELAY, relay.config.replicas);
    let bus = relay.bus.clone();
    consume(bus, durable, life, move |messages| plan(relay.clone(), messages)).await;
    Ok(())
}

async fn plan(relay: Relay, messages: Vec<Message>) -> (Vec<Message>, Vec<Outcome>) {
    let started = Instant::now();
    let places: Vec<LogPlace> =
        messages.iter().filter_map(|message| place(relay.bus.subjects(), message)).collect();
    let outcome = match record_all(&relay, &places).await {
        Ok(()) => {
            Counter::EventsPlanned.add(places.len() as u64);
            Histogram::PlanSeconds.record(started.elapsed().as_secs_f64());
            Outcome::Done
        }
        Err(error) => {
            tracing::warn!(error = %error, "a batch could not be planned and is retried: {error}");
            Outcome::Retry { after: RETRY_AFTER }
        }
    };
    let outcomes = vec![outcome; messages.len()];
    (messages, outcomes)
}

/// Records the effects of events. One that cannot be planned holds up no other: the batch is
/// halved until it is alone, and then it is set aside.
async fn record_all(relay: &Relay, places: &[LogPlace]) -> store::Result<()> {
    let mut parts = vec![places];
    while let Some(part) = parts.pop() {
        match (record(relay, part).await, part) {
            (Ok(()), _) => {}
            (Err(error @ (Error::Unavailable(_) | Error::Contended(_))), _) => return Err(error),
            (Err(error), [place]) => bury(relay, *place, &error.to_string()).await?,
            (Err(_), part) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
    Ok(())
}

/// Records the effects of events and settles their outbox rows, all or nothing; then puts the
/// deliveries on the queue, which the schedule would do some seconds later.
async fn record(relay: &Relay, places: &[LogPlace]) -> store::Result<()> {
    let mut tx = relay.store.begin().await?;
    let claimed = settle(&mut tx, places).await?;
    let due = crate::webhooks::plan(&mut tx, &claimed, relay.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    for Due { id, webhook, is_probe } in due.into_iter().take(HAND_OUT_MAX) {
        hand_out_webhook_job(&relay.bus, WebhookJob { webhook, delivery: id, is_probe }).await;
    }
    Ok(())
}

/// What a message is about. One that cannot be read is logged and acknowledged: retrying it for
/// ever would help nobody, and its outbox row stays for the sweep.
fn place(subjects: &Subjects, message: &Message) -> Option<LogPlace> {
    let seq = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get(HEADER_SEQ))
        .and_then(|seq| seq.as_str().parse::<Seq>().ok());
    let place = match (subjects.parse_log(&message.subject), seq) {
        (Some(LogSubject::Room(room)), Some(seq)) => Some(LogPlace::Room(room, seq)),
        (Some(LogSubject::Org(org)), Some(seq)) => Some(LogPlace::Org(org, seq)),
        _ => None,
    };
    if place.is_none() {
        tracing::error!(subject = %message.subject, "a message on {} is no event", message.subject);
    }
    place
}
