//! Messages past their retention, and what was said of them elsewhere.
//!
//! A round first counts what it would remove. More than [`SHARE_MAX`] of everything is more than
//! time does by itself: a rule was changed by mistake, or the janitor was away for long. Then it
//! removes nothing until an operator has approved that (`chatboard admin retention approve`).

use std::collections::HashMap;

use domain::{OrgId, RoomId, Timestamp};
use runtime::meter::{Counter, Gauge, label};
use runtime::parked::Parked;
use store::actions::retention::{Run, claim_stretch, cut_log, trim};
use store::queries::deployment::is_removal_approved;
use store::queries::retention::{PastRoom, Survey, next_room, purge_backlog, survey};

use crate::Janitor;
use crate::rounds::{batch, begin, blocked, count, finish, removing_batch, tell_runs};

/// Rooms looked at by one question.
const ROOMS_MAX: i64 = 500;
/// One part of so many of all places in rooms' logs (messages, and changes to them) may be removed
/// in one round: 5 %.
const SHARE_MAX: i64 = 20;
/// Places that may be removed in one round however few there are.
const PLACES_MIN: i64 = 10_000;
/// Rooms of one look that may fail to be read before the round is given up.
const UNREADABLE_MAX: usize = 20;

/// Rooms that could not be worked on.
struct Failing {
    /// Rooms whose log could not be cut.
    cuts: Parked<RoomId>,
    /// Rooms whose cut-off events could not be removed.
    trims: Parked<RoomId>,
}

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut failing =
        Failing { cuts: Parked::new("retention_cut"), trims: Parked::new("retention_trim") };
    while !janitor.life.is_draining() {
        let round = round(&janitor, &mut failing).await;
        finish(&janitor, "retention", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor, failing: &mut Failing) -> store::Result<()> {
    let now = janitor.clock.now();
    let allowed = allowed(janitor, now).await?;
    cut_all(janitor, failing, now, allowed).await?;
    let mut runs = Runs::default();
    let removed = remove_all(janitor, &mut failing.trims, &mut runs).await;
    tell_runs("retention", runs.values());
    removed?;
    let mut conn = janitor.store.read().await?;
    let waiting = purge_backlog(&mut conn).await?;
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    Gauge::JanitorBacklog.set(waiting as f64);
    Ok(())
}

/// How many places of rooms' logs this round may cut off: none where that would be too many.
async fn allowed(janitor: &Janitor, now: Timestamp) -> store::Result<i64> {
    let (mut expired, mut places) = (0, 0);
    let mut after = RoomId::NOWHERE;
    while !janitor.life.is_draining() {
        let some = look(janitor, after, now).await?;
        expired += some.past.iter().map(|room| room.expired).sum::<i64>();
        places += some.places;
        match some.last {
            Some(last) => after = last,
            None => break,
        }
    }
    let bound = PLACES_MIN.max(places / SHARE_MAX);
    if expired <= bound {
        blocked("share", false);
        return Ok(bound);
    }
    let mut conn = janitor.store.read().await?;
    let is_approved = is_removal_approved(&mut conn).await?;
    blocked("share", !is_approved);
    if is_approved {
        return Ok(i64::MAX);
    }
    tracing::error!(
        expired,
        places,
        "{expired} of {places} messages and changes to messages have expired at once, the bound is \
         {bound}: nothing is removed. If that is right, run `chatboard admin retention approve`"
    );
    Ok(0)
}

/// What has expired of the next rooms. One whose log cannot be read is passed over.
async fn look(janitor: &Janitor, mut after: RoomId, now: Timestamp) -> store::Result<Survey> {
    let (mut limit, mut passed_over) = (ROOMS_MAX, 0);
    loop {
        let counting = async {
            let mut conn = janitor.store.read().await?;
            survey(&mut conn, after, limit, now).await
        };
        let error = match batch(janitor, counting).await {
            Ok(some) => return Ok(some),
            Err(error) => error,
        };
        if passed_over >= UNREADABLE_MAX || !janitor.store.blames_work(&error).await {
            return Err(error);
        }
        if limit > 1 {
            limit = (limit / 8).max(1);
            continue;
        }
        let next = async { next_room(&mut *janitor.store.read().await?, after).await };
        let Some(room) = batch(janitor, next).await? else { return Ok(Survey::default()) };
        Counter::WorkFailed.add_with(1, vec![label("work", "retention_survey")]);
        tracing::warn!(room.id = %room, error = %error, "the log of room {room} cannot be read: {error}");
        (after, passed_over) = (room, passed_over + 1);
    }
}

/// Cuts the logs of all rooms, as far as that is allowed. What expired since it was counted, by a
/// rule that was changed, waits for the next round where it is too much.
async fn cut_all(
    janitor: &Janitor,
    failing: &mut Failing,
    now: Timestamp,
    allowed: i64,
) -> store::Result<()> {
    let mut left = allowed;
    let mut after = RoomId::NOWHERE;
    while left > 0 && !janitor.life.is_draining() {
        let some = look(janitor, after, now).await?;
        for past in some.past {
            if past.expired > left || janitor.life.is_draining() {
                return Ok(());
            }
            if failing.cuts.is_parked(past.room, now) {
                continue;
            }
            match removing_batch(janitor, cut(janitor, past, now)).await {
                Ok(is_cut) => {
                    failing.cuts.succeeded(past.room);
                    left -= if is_cut { past.expired } else { 0 };
                }
                Err(error) if janitor.store.blames_work(&error).await => {
                    failing.cuts.failed(past.room, now);
                    tracing::warn!(room.id = %past.room, error = %error,
                        "the log of room {} cannot be cut, retrying later: {error}", past.room);
                }
                Err(error) => return Err(error),
            }
        }
        match some.last {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(())
}

/// Cuts the log of a room. Whether it was cut.
async fn cut(janitor: &Janitor, past: PastRoom, now: Timestamp) -> store::Result<bool> {
    let mut tx = begin(janitor).await?;
    let is_cut = cut_log(&mut tx, (past.org, past.room), now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(is_cut)
}

/// What this round removed of each organization.
type Runs = HashMap<OrgId, Run>;

async fn remove_all(
    janitor: &Janitor,
    parked: &mut Parked<RoomId>,
    runs: &mut Runs,
) -> store::Result<()> {
    let mut after = RoomId::NOWHERE;
    // What has failed in this round is left for the next.
    let mut failed = Vec::new();
    while !janitor.life.is_draining() {
        let left_alone = [&parked.parked(janitor.clock.now())[..], &failed].concat();
        let mut claimed = None;
        let limit = |room| parked.batch(room, janitor.config.batch);
        let removing = remove(janitor, (after, &left_alone), limit, &mut claimed, runs);
        match (removing_batch(janitor, removing).await, claimed) {
            (Ok(()), Some(room)) => {
                parked.succeeded(room);
                after = room;
            }
            // All rooms had their turn.
            (Ok(()), None) if after == RoomId::NOWHERE => break,
            (Ok(()), None) => after = RoomId::NOWHERE,
            (Err(error), Some(room)) if janitor.store.blames_work(&error).await => {
                failed.push(room);
                let times = parked.failed(room, janitor.clock.now());
                tracing::warn!(room.id = %room, error = %error, times,
                    "what expired in room {room} cannot be removed, retrying in smaller batches, \
                     then later: {error}");
                after = room;
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(())
}

/// Removes the next batch of a room after `after`. `claimed` says of which room, if there is one.
async fn remove(
    janitor: &Janitor,
    (after, left_alone): (RoomId, &[RoomId]),
    limit: impl Fn(RoomId) -> i64 + Send,
    claimed: &mut Option<RoomId>,
    runs: &mut Runs,
) -> store::Result<()> {
    let now = janitor.clock.now();
    let mut tx = begin(janitor).await?;
    let Some(stretch) = claim_stretch(&mut tx, after, left_alone).await? else {
        return Ok(());
    };
    let room = stretch.room();
    *claimed = Some(room);
    let stretch = stretch.at_most(limit(room));
    // Until it is known to be committed, the run is not ours to go on with.
    let before = runs.remove(&stretch.org).unwrap_or_else(|| Run::new(stretch.org, now));
    let run = trim(&mut tx, stretch, &before, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    run.count_since(&before, count);
    runs.insert(stretch.org, run);
    Ok(())
}
