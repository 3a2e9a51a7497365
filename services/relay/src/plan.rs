//! Planning: a batch of events, one transaction, then the acks.
//!
//! The transaction deletes the batch's outbox rows and records the effects of those that it got:
//! others are another relay's. After its commit come the jobs and pushes, which may be lost, and the acks. A
//! batch that fails is split until the event that spoils it stands alone and is set aside.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use domain::Seq;
use nats::consume::{Outcome, consume};
use nats::frames::LiveFrame;
use nats::streams::Durable;
use nats::subjects::{HEADER_SEQ, LogSubject, Subjects};
use nats::work::{WebhookJob, hand_out_webhook_job};
use runtime::Lifecycle;
use runtime::meter::{Counter, Histogram};
use store::actions::deliveries::Due;
use store::actions::outbox::settle;
use store::actions::plan_notifications::{Push, notify};
use store::queries::facts::{Fact, facts};
use store::queries::outbox::LogPlace;

use crate::{Relay, announce, here};

/// When a batch that could not be recorded is handed out again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Deliveries that planning puts on the queue by itself; further ones come with the schedule.
const HAND_OUT_MAX: usize = 5_000;
/// People whom one transaction may have to look at because everyone in a room is meant: a batch
/// beyond that is split.
const PEOPLE_MAX: i64 = 20_000;

pub(crate) async fn run(relay: Relay, life: Lifecycle) -> anyhow::Result<()> {
    let durable = (Durable::RELAY, relay.config.replicas);
    let bus = relay.bus.clone();
    consume(bus, durable, life, move |messages| plan(relay.clone(), messages)).await;
    Ok(())
}

/// An event of the batch.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Where it stands in its log.
    pub(crate) place: LogPlace,
    /// Whether its text has `@here` in it, so that it must be asked who is.
    pub(crate) asks_who_is_here: bool,
}

/// What became of a part of the batch.
enum Part {
    Done(Effects),
    /// It must be done in smaller parts.
    TooMuch,
}

/// What follows after the commit.
#[derive(Debug, Default)]
struct Effects {
    deliveries: Vec<Due>,
    pushes: Vec<Push>,
}

async fn plan(relay: Relay, messages: Vec<Message>) -> (Vec<Message>, Vec<Outcome>) {
    let started = Instant::now();
    let events: Vec<Option<Planned>> =
        messages.iter().map(|message| read(relay.bus.subjects(), message)).collect();
    let mut outcomes = vec![Outcome::Done; messages.len()];
    let whole: Vec<usize> = (0..events.len()).filter(|&at| events[at].is_some()).collect();
    let mut parts = vec![whole];
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let planned: Vec<Planned> = part.iter().filter_map(|&at| events[at].clone()).collect();
        match record(&relay, &planned).await {
            Ok(Part::Done(effects)) => {
                Counter::EventsPlanned.add(planned.len() as u64);
                follow_up(&relay, effects).await;
            }
            Ok(Part::TooMuch) => halve(part, &mut parts),
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %error, "events could not be planned and are retried: {error}");
                for at in part {
                    outcomes[at] = Outcome::Retry { after: RETRY_AFTER };
                }
            }
            Err(error) if part.len() > 1 => {
                tracing::warn!(error = %error, "a batch of events is split: {error}");
                halve(part, &mut parts);
            }
            Err(error) => {
                let buried = crate::sweep::bury(&relay, planned[0].place, &error.to_string()).await;
                if buried.is_err() {
                    outcomes[part[0]] = Outcome::Retry { after: RETRY_AFTER };
                }
            }
        }
    }
    Histogram::PlanSeconds.record(started.elapsed().as_secs_f64());
    (messages, outcomes)
}

fn halve(mut part: Vec<usize>, parts: &mut Vec<Vec<usize>>) {
    let second = part.split_off(part.len() / 2);
    // The first half is next: events of one room keep their order.
    parts.push(second);
    parts.push(part);
}

/// Records the effects of events and settles their outbox rows, all or nothing.
async fn record(relay: &Relay, events: &[Planned]) -> store::Result<Part> {
    let here = here::who_is_here(relay, events).await?;
    let now = relay.clock.now();
    let places: Vec<LogPlace> = events.iter().map(|event| event.place).collect();
    let mut tx = relay.store.begin().await?;
    let mut claimed = settle(&mut tx, &places).await?;
    // In the order of the batch, which is that of each room's log.
    let order: HashMap<LogPlace, usize> =
        places.iter().enumerate().map(|(at, &place)| (place, at)).collect();
    claimed.sort_by_key(|claimed| order.get(&claimed.place).copied());
    let facts = facts(tx.conn(), &claimed, now).await?;
    if facts.len() > 1 && people(&facts) > PEOPLE_MAX {
        return Ok(Part::TooMuch);
    }
    // Memberships are locked before webhooks.
    let pushes = notify(&mut tx, &facts, &here, relay.config.mail_delay, now).await?;
    let deliveries = announce::announce(&mut tx, &facts, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(Part::Done(Effects { deliveries, pushes }))
}

/// How many people are in the rooms of facts that may concern everyone there.
fn people(facts: &[Fact]) -> i64 {
    facts
        .iter()
        .filter(|fact| here::concerns_everyone(fact))
        .filter_map(|fact| fact.room.as_ref())
        .map(|room| room.members_count)
        .sum()
}

/// Tells of what was recorded. What is lost here is found again: deliveries by the schedule,
/// notifications by whoever looks.
async fn follow_up(relay: &Relay, effects: Effects) {
    Counter::DeliveriesPlanned.add(effects.deliveries.len() as u64);
    Counter::NotificationsMade.add(effects.pushes.len() as u64);
    for due in effects.deliveries.into_iter().take(HAND_OUT_MAX) {
        let job = WebhookJob { webhook: due.webhook, delivery: due.id, is_probe: due.is_probe };
        hand_out_webhook_job(&relay.bus, job).await;
    }
    for push in effects.pushes {
        let frame = LiveFrame::Notification { notification: push.notification.into() };
        nats::publish::push(&relay.bus, push.user, &frame).await;
    }
}

/// What a message is about. One that cannot be read is logged and acknowledged: retrying it for
/// ever would help nobody, and its outbox row stays for the sweep.
fn read(subjects: &Subjects, message: &Message) -> Option<Planned> {
    let seq = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get(HEADER_SEQ))
        .and_then(|seq| seq.as_str().parse::<Seq>().ok());
    let place = match (subjects.parse_log(&message.subject), seq) {
        (Some(LogSubject::Room(room)), Some(seq)) => LogPlace::Room(room, seq),
        (Some(LogSubject::Org(org)), Some(seq)) => LogPlace::Org(org, seq),
        _ => {
            tracing::error!(subject = %message.subject, "a message on {} is no event", message.subject);
            return None;
        }
    };
    Some(Planned { place, asks_who_is_here: here::is_said(&message.payload) })
}

/// Who is online of whom, by event.
pub(crate) type Here = BTreeMap<domain::EventId, Vec<domain::UserId>>;
