//! Events that concern everyone in a large room: their recipients are planned in chunks, one
//! transaction each, and others' events have their turns in between.

use std::time::Duration;

use domain::{RoomId, Seq, UserId};
use nats::consume::Outcome;
use runtime::meter::{Counter, label};
use runtime::parts::{ALONE_AFTER, FAILURES_MAX, shrunk};
use store::actions::outbox::{Claimed, note_failures, settle};
use store::actions::outbox_crowds::{Progress, advance, claim, pass_over, progress};
use store::actions::plan_notifications::{Audience, Push, notify_some};
use store::queries::facts::facts;
use store::queries::heads::member_ids;
use store::queries::outbox::LogPlace;
use store::within;

use crate::Relay;
use crate::here::here_of;
use crate::plan::{
    Effects, PART_BUDGET, Planned, RETRY_AFTER, STATEMENT_BUDGET, STEP_BUDGET, follow_up,
};
use crate::turns::Ended;

/// Recipients that one transaction plans.
pub(crate) const RECIPIENTS_MAX: i64 = 500;
/// Chunks that are planned in one turn of an organization.
const CHUNKS_PER_TURN: i64 = 4;
/// Recipients that are planned in one turn of an organization.
pub(crate) const TURN_MAX: i64 = CHUNKS_PER_TURN * RECIPIENTS_MAX;
/// The pause before looking again at an event that another relay is working on.
const BUSY_AFTER: Duration = Duration::from_secs(5);

/// What became of a chunk.
enum Chunk {
    Planned(Vec<Push>),
    /// There are no recipients left.
    Last(Vec<Push>),
    /// Another relay is at it.
    Busy,
}

/// Plans the next recipients of an open event.
pub(crate) async fn plan_some(relay: &Relay, event: &Planned) -> Ended {
    let LogPlace::Room(room, seq) = event.place else { return Ended::With(Outcome::Done) };
    for _ in 0..CHUNKS_PER_TURN {
        let mut found = None;
        let chunk = within(PART_BUDGET, plan_chunk(relay, event, (room, seq), &mut found)).await;
        match (chunk, found) {
            (Ok(Chunk::Planned(pushes)), _) => follow_up(relay, Effects::of_pushes(pushes)).await,
            (Ok(Chunk::Last(pushes)), _) => {
                follow_up(relay, Effects::of_pushes(pushes)).await;
                Counter::EventsPlanned.add(1);
                return Ended::With(Outcome::Done);
            }
            (Ok(Chunk::Busy), _) => return Ended::With(Outcome::Retry { after: BUSY_AFTER }),
            (Err(error), found) => {
                judge(relay, (room, seq), found, &error).await;
                return Ended::With(Outcome::Retry { after: RETRY_AFTER });
            }
        }
    }
    Ended::ForNow
}

fn size(failures: u32) -> i64 {
    shrunk(RECIPIENTS_MAX, failures)
}

async fn plan_chunk(
    relay: &Relay,
    event: &Planned,
    place: (RoomId, Seq),
    found: &mut Option<Progress>,
) -> store::Result<Chunk> {
    let mut conn = relay.store.read().await?;
    let Some(progress) = progress(&mut conn, place.0, place.1).await? else {
        return Ok(Chunk::Last(Vec::new()));
    };
    *found = Some(progress);
    let limit = size(progress.failures);
    let members = member_ids(&mut conn, place.0, progress.planned_to, limit).await?;
    drop(conn);
    let here =
        if event.mentions_here { here_of(relay, place, &members).await? } else { Vec::new() };
    let now = relay.clock.now();
    let mut tx = relay.store.begin_bounded(STATEMENT_BUDGET).await?;
    if !claim(&mut tx, place, progress).await? {
        return Ok(Chunk::Busy);
    }
    let claimed = Claimed {
        place: event.place,
        epoch: progress.epoch,
        payload: None,
        // Webhooks have heard of it.
        is_private: None,
        webhooks_version: None,
    };
    // Nothing where the room, or this part of its past, is gone.
    let facts = facts(tx.conn(), &[claimed], now).await?;
    let mut pushes = Vec::new();
    if let Some(fact) = facts.first() {
        let audience = Audience { members: &members, here: &here };
        pushes = notify_some(&mut tx, fact, audience, relay.config.mail_delay, now).await?;
    }
    let is_full = i64::try_from(members.len()).unwrap_or(i64::MAX) >= limit;
    let next = members.last().filter(|_| is_full && !facts.is_empty()).copied();
    match next {
        Some(last) => advance(&mut tx, place, last, now).await?,
        None => drop(settle(&mut tx, &[event.place]).await?),
    }
    let _nothing_to_publish = tx.commit().await?;
    Ok(if next.is_some() { Chunk::Planned(pushes) } else { Chunk::Last(pushes) })
}

/// Notes that a chunk failed, so that the next one is smaller. A recipient who fails alone again
/// and again is passed over.
async fn judge(
    relay: &Relay,
    (room, seq): (RoomId, Seq),
    found: Option<Progress>,
    error: &store::Error,
) {
    let Some(progress) = found.filter(|_| !error.is_conflict()) else {
        tracing::warn!(error = %error, "recipients of {room}:{seq} wait: {error}");
        return;
    };
    if !relay.store.blames_work(error).await {
        tracing::warn!(error = %error, "recipients of {room}:{seq} wait for Postgres: {error}");
        return;
    }
    let failures = progress.failures + 1;
    tracing::warn!(error = %error, failures,
        "{} recipients of {room}:{seq} cannot be planned, retrying fewer: {error}",
        size(progress.failures));
    let noted = within(STEP_BUDGET, async {
        let next = if failures >= FAILURES_MAX {
            next_recipient(relay, room, progress.planned_to).await?
        } else {
            None
        };
        let mut tx = relay.store.begin_bounded(STATEMENT_BUDGET).await?;
        match next {
            Some(recipient) => pass_over(&mut tx, (room, seq), recipient, ALONE_AFTER).await?,
            None => note_failures(&mut tx, &[(LogPlace::Room(room, seq), failures)]).await?,
        }
        let _nothing_to_publish = tx.commit().await?;
        Ok(next)
    });
    match noted.await {
        Ok(Some(recipient)) => {
            Counter::WorkDead.add_with(1, vec![label("work", "recipients")]);
            tracing::error!(user.id = %recipient, error = %error,
                "user {recipient} is not told of {room}:{seq}: {error}");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %error, "failures of {room}:{seq} cannot be noted: {error}");
        }
    }
}

async fn next_recipient(
    relay: &Relay,
    room: RoomId,
    after: UserId,
) -> store::Result<Option<UserId>> {
    let next = member_ids(&mut *relay.store.read().await?, room, after, 1).await?;
    Ok(next.first().copied())
}
