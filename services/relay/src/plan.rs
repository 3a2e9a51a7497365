//! Planning: a group of events, one transaction, then the acks.
//!
//! The transaction deletes the batch's outbox rows and records the effects of those that it got:
//! others are another relay's. After its commit come the jobs and pushes, which may be lost, and the
//! acks. A batch that fails is split, unless Postgres is away, until the faulty event stands alone; an
//! event that keeps failing alone is set aside with the reason (`runtime::parts`). Each transaction has
//! a time budget.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use contract::frames::LiveFrame;
use domain::{OrgId, RoomId, Seq};
use nats::consume::{Outcome, consume};
use nats::streams::Durable;
use nats::subjects::{HEADER_SEQ, LogSubject, Subjects};
use nats::work::{WebhookJob, hand_out_webhook_job};
use runtime::Lifecycle;
use runtime::meter::{Counter, Histogram};
use runtime::parts::{ALONE_AFTER, FAILURES_MAX, Item, Parts, failures_after};
use store::actions::deliveries::Due;
use store::actions::outbox::{note_failures, settle};
use store::actions::outbox_crowds::open;
use store::actions::plan_notifications::{Push, notify};
use store::queries::facts::{Fact, Happened, facts};
use store::queries::outbox::LogPlace;
use store::queries::planning::{Prospect, prospects};
use store::within;

use crate::crowd::{self, RECIPIENTS_MAX, TURN_MAX};
use crate::turns::{Ended, GROUP, Turns, take};
use crate::{Relay, announce, here};

/// How long events wait before they are handed out again, when Postgres is away or time ran out.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long one transaction may take: far below the 15 s after which Postgres ends a transaction in
/// which nothing happens.
pub(crate) const PART_BUDGET: Duration = Duration::from_secs(5);
/// How long one statement of it may take.
pub(crate) const STATEMENT_BUDGET: Duration = Duration::from_secs(4);
/// After how long no further part of a batch is begun. Together with [`PART_BUDGET`] and the steps
/// around it, it stays below the 30 s after which the batch is handed out again.
const BATCH_BUDGET: Duration = Duration::from_secs(12);
/// How long a read, or the record of a failure, may take.
pub(crate) const STEP_BUDGET: Duration = Duration::from_secs(2);
/// Deliveries that planning puts on the queue by itself; further ones come with the schedule.
const HAND_OUT_MAX: usize = 5_000;
/// The cost, in people, of an event that concerns nobody.
const COST_MIN: usize = 20;
/// How long giving back what waits may take once the process drains.
const GIVE_BACK_BUDGET: Duration = Duration::from_secs(3);
/// People whom one transaction may have to look at because everyone in a room is meant: a batch
/// beyond that is split.
const PEOPLE_MAX: i64 = 20_000;

/// Takes events from the stream into the lines of their organizations.
pub(crate) async fn take_in(relay: Relay, turns: Turns, life: Lifecycle) -> anyhow::Result<()> {
    let durable = (Durable::RELAY, relay.config.streams);
    let bus = relay.bus.clone();
    consume(bus, durable, life, move |messages| take(relay.clone(), turns.clone(), messages)).await;
    Ok(())
}

/// Plans what waits, group by group.
pub(crate) async fn run(relay: Relay, turns: Turns, life: Lifecycle) -> anyhow::Result<()> {
    while let Some(group) = turns.next(&life).await {
        let events = group.iter().enumerate().map(|(at, held)| Planned { at, ..held.event });
        let ended = plan(&relay, &life, events.collect()).await;
        for (held, ended) in group.into_iter().zip(ended) {
            turns.end(held, ended).await;
        }
    }
    let _in_time = tokio::time::timeout(GIVE_BACK_BUDGET, turns.give_back()).await;
    Ok(())
}

/// An event that waits to be planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// Its place in the group.
    at: usize,
    /// Where it stands in its log.
    pub(crate) place: LogPlace,
    /// Whose it is.
    org: OrgId,
    /// How often planning has failed with it.
    failures: u32,
    /// Whether its text mentions who is online.
    pub(crate) mentions_here: bool,
    /// How many people it concerns because it mentions everyone in its room, or who is online.
    audience: i64,
    /// Whether planning has begun with it, and some of these people were not planned yet.
    is_open: bool,
}

impl Planned {
    /// Whether its recipients are too many for one transaction.
    pub(crate) fn is_crowd(&self) -> bool {
        self.is_open || self.audience > RECIPIENTS_MAX
    }

    /// The same once planning it has begun.
    pub(crate) fn opened(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Its place in a room's log.
    pub(crate) fn in_room(&self) -> Option<(RoomId, Seq)> {
        match self.place {
            LogPlace::Room(room, seq) => Some((room, seq)),
            LogPlace::Org(..) => None,
        }
    }

    /// Its cost in people: at most those that one turn plans.
    pub(crate) fn weight(&self) -> usize {
        COST_MIN + usize::try_from(self.audience.clamp(0, TURN_MAX)).unwrap_or_default()
    }
}

impl Item for Planned {
    fn failures(&self) -> u32 {
        self.failures
    }

    fn stream(&self) -> i64 {
        match self.place {
            LogPlace::Room(room, _) => room.0,
            // Ids of rooms are positive.
            LogPlace::Org(org, _) => -org.0,
        }
    }

    fn tenant(&self) -> i64 {
        self.org.0
    }
}

/// What became of a part of the batch.
enum Part {
    Done(Effects),
    /// It must be done in smaller parts.
    TooMuch,
}

/// What follows after the commit.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    deliveries: Vec<Due>,
    pushes: Vec<Push>,
}

impl Effects {
    /// Notifications alone.
    pub(crate) fn of_pushes(pushes: Vec<Push>) -> Self {
        Self { deliveries: Vec::new(), pushes }
    }
}

/// Plans a group. Returns how the turn of each event ended.
async fn plan(relay: &Relay, life: &Lifecycle, events: Vec<Planned>) -> Vec<Ended> {
    let started = Instant::now();
    let mut ended = vec![Ended::With(Outcome::Done); events.len()];
    let later = |after| Ended::With(Outcome::Retry { after });
    let mut crowds: Vec<Planned> =
        events.iter().filter(|event| event.is_crowd()).copied().collect();
    // An open one has nothing left to plan but recipients.
    let events = events.into_iter().filter(|event| !event.is_open).collect();
    let mut parts = Parts::of(events, GROUP.items);
    while !life.is_draining() && started.elapsed() < BATCH_BUDGET {
        let Some(part) = parts.next_part() else { break };
        let planned = within(PART_BUDGET, record(relay, &part)).await;
        let error = match planned {
            Ok(Part::Done(effects)) => {
                let done = part.iter().filter(|event| !event.is_crowd()).count();
                Counter::EventsPlanned.add(done as u64);
                follow_up(relay, effects).await;
                continue;
            }
            Ok(Part::TooMuch) => {
                parts.split(part);
                continue;
            }
            Err(error) => error,
        };
        let judged = judge(relay, &part, &error).await;
        if !matches!(judged, Judged::Split) {
            crowds.retain(|crowd| part.iter().all(|event| event.at != crowd.at));
        }
        match judged {
            Judged::Split => parts.split(part),
            Judged::SetAside => {}
            Judged::Retry(after) => {
                for event in part {
                    ended[event.at] = later(after);
                }
            }
            Judged::PostgresIsAway => {
                for event in part {
                    ended[event.at] = later(RETRY_AFTER);
                }
                break;
            }
        }
    }
    for event in parts.into_rest() {
        ended[event.at] = later(RETRY_AFTER);
        crowds.retain(|crowd| crowd.at != event.at);
    }
    for crowd in crowds {
        let has_time = !life.is_draining() && started.elapsed() < BATCH_BUDGET;
        ended[crowd.at] =
            if has_time { Box::pin(crowd::plan_some(relay, &crowd)).await } else { Ended::ForNow };
    }
    Histogram::PlanSeconds.record(started.elapsed().as_secs_f64());
    ended
}

/// The events of a batch that wait to be planned, by their place in it. What is no event is logged
/// and left out, and so acknowledged: retrying it could never succeed.
pub(crate) async fn waiting(
    relay: &Relay,
    messages: &[Message],
) -> store::Result<HashMap<usize, Planned>> {
    let places: Vec<Option<LogPlace>> =
        messages.iter().map(|message| read(relay.bus.subjects(), message)).collect();
    let named: Vec<LogPlace> = places.iter().flatten().copied().collect();
    let mut known =
        within(STEP_BUDGET * 2, async { prospects(&mut *relay.store.read().await?, &named).await })
            .await?;
    let events = places.into_iter().enumerate().filter_map(|(at, place)| {
        let place = place?;
        // Taken out: a batch may hold an event twice.
        let Prospect { org, failures, mentions_here, audience, is_open } = known.remove(&place)?;
        Some((at, Planned { at, place, org, failures, mentions_here, audience, is_open }))
    });
    Ok(events.collect())
}

/// What to do with a part that failed.
enum Judged {
    /// Try it in smaller parts.
    Split,
    /// It was one event, and is a dead letter now.
    SetAside,
    /// Hand it out again after a while.
    Retry(Duration),
    /// Nothing can be done, and nothing is known against the part.
    PostgresIsAway,
}

/// Judges a part that failed, and notes the failure with each of its events.
async fn judge(relay: &Relay, part: &[Planned], error: &store::Error) -> Judged {
    if !relay.store.blames_work(error).await {
        tracing::warn!(error = %error, "Postgres is away, retrying {} events: {error}", part.len());
        return Judged::PostgresIsAway;
    }
    // In a conflict with another transaction the fault need not be this event's.
    let len = if error.is_conflict() { usize::MAX } else { part.len() };
    let failures: Vec<(LogPlace, u32)> =
        part.iter().map(|event| (event.place, failures_after(event.failures, len))).collect();
    if let [event] = part {
        let failed = failures_after(event.failures, len);
        let is_hopeless = !error.is_transient() || failed >= FAILURES_MAX;
        if is_hopeless && !error.is_conflict() {
            let reason = error.to_string();
            let buried = crate::sweep::bury(relay, event.place, &reason);
            if within(STEP_BUDGET, buried).await.is_ok() {
                return Judged::SetAside;
            }
        }
        tracing::warn!(error = %error, failures = failed,
            "{:?} cannot be planned, retrying: {error}", event.place);
    } else {
        tracing::warn!(error = %error, "splitting {} events that failed: {error}", part.len());
    }
    let noted = within(STEP_BUDGET, async {
        let mut tx = relay.store.begin().await?;
        note_failures(&mut tx, &failures).await?;
        let _nothing_to_publish = tx.commit().await?;
        Ok(())
    });
    if let Err(error) = noted.await {
        tracing::warn!(error = %error, "failures of events cannot be noted: {error}");
    }
    match part {
        [event] => {
            let alone = failures_after(event.failures, len).saturating_sub(ALONE_AFTER + 1);
            Judged::Retry(RETRY_AFTER * (1 << alone.min(5)))
        }
        _ => Judged::Split,
    }
}

/// Records the effects of events and settles their outbox rows, all or nothing.
async fn record(relay: &Relay, events: &[Planned]) -> store::Result<Part> {
    let here = here::who_is_here(relay, events).await?;
    let now = relay.clock.now();
    let places: Vec<LogPlace> = events.iter().map(|event| event.place).collect();
    let (crowds, others): (Vec<&Planned>, Vec<&Planned>) =
        events.iter().partition(|event| event.is_crowd());
    let others: Vec<LogPlace> = others.into_iter().map(|event| event.place).collect();
    let mut tx = relay.store.begin_bounded(STATEMENT_BUDGET).await?;
    let mut claimed = settle(&mut tx, &others).await?;
    if !crowds.is_empty() {
        let places: Vec<_> = crowds.iter().filter_map(|event| event.in_room()).collect();
        claimed.extend(open(&mut tx, &places).await?);
    }
    // In the order of the batch, which is that of each room's log.
    let order: HashMap<LogPlace, usize> =
        places.iter().enumerate().map(|(at, &place)| (place, at)).collect();
    claimed.sort_by_key(|claimed| order.get(&claimed.place).copied());
    let facts = facts(tx.conn(), &claimed, now).await?;
    // The recipients of the others follow in transactions of their own.
    let is_crowd = |fact: &Fact| crowds.iter().any(|crowd| crowd.place == fact.place);
    let small: Cow<'_, [Fact]> = if crowds.is_empty() {
        Cow::Borrowed(&facts)
    } else {
        facts.iter().filter(|&fact| !is_crowd(fact)).cloned().collect()
    };
    if small.len() > 1 && people(&small, &here) > PEOPLE_MAX {
        return Ok(Part::TooMuch);
    }
    // Memberships are locked before webhooks.
    let pushes = notify(&mut tx, &small, &here, relay.config.mail_delay, now).await?;
    let deliveries = announce::announce(&mut tx, &facts, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(Part::Done(Effects { deliveries, pushes }))
}

/// How many people are in the rooms of messages that concern everyone there, or everyone online.
fn people(facts: &[Fact], here: &Here) -> i64 {
    facts
        .iter()
        .filter(|fact| matches!(fact.what, Happened::Message(_) | Happened::Edited(_)))
        .filter(|fact| fact.mentions_room || here.contains_key(&fact.place))
        .filter_map(|fact| fact.room.as_ref())
        .map(|room| room.members_count)
        .sum()
}

/// Tells of what was recorded. What is lost here is found again: deliveries by the schedule,
/// notifications by whoever looks.
pub(crate) async fn follow_up(relay: &Relay, effects: Effects) {
    Counter::DeliveriesPlanned.add(effects.deliveries.len() as u64);
    Counter::NotificationsMade.add(effects.pushes.len() as u64);
    for due in effects.deliveries.into_iter().take(HAND_OUT_MAX) {
        let job = WebhookJob { webhook: due.webhook, delivery: due.id, is_probe: due.is_probe };
        hand_out_webhook_job(&relay.bus, job).await;
    }
    for push in effects.pushes {
        let frame = LiveFrame::Notification { notification: push.notification.into() };
        nats::publish::push(&relay.presence, push.user, &frame).await;
    }
}

/// Which event a message is.
fn read(subjects: &Subjects, message: &Message) -> Option<LogPlace> {
    let seq = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get(HEADER_SEQ))
        .and_then(|seq| seq.as_str().parse::<Seq>().ok());
    match (subjects.parse_log(&message.subject), seq) {
        (Some(LogSubject::Room(room)), Some(seq)) => Some(LogPlace::Room(room, seq)),
        (Some(LogSubject::Org(org)), Some(seq)) => Some(LogPlace::Org(org, seq)),
        _ => {
            tracing::error!(subject = %message.subject, "a message on {} is no event", message.subject);
            None
        }
    }
}

/// Who is online of whom, by event.
pub(crate) type Here = BTreeMap<LogPlace, Vec<domain::UserId>>;
