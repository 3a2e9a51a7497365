//! Messages past their retention, and what was said of them elsewhere.
//!
//! A round first counts what it would remove. More than [`SHARE_MAX`] of everything is more than
//! time does by itself: a rule was changed by mistake, or the janitor was away for long. Then it
//! removes nothing until an operator has approved that (`chatboard admin retention approve`).

use std::collections::HashMap;

use domain::{OrgId, RoomId, Timestamp};
use runtime::meter::Gauge;
use store::actions::retention::{Run, claim_stretch, cut_log, trim};
use store::queries::deployment::is_removal_approved;
use store::queries::retention::{purge_backlog, survey};

use crate::Janitor;
use crate::rounds::{batch, blocked, count, finish, removing_batch, tell_runs};

/// Rooms looked at by one question.
const ROOMS_MAX: i64 = 500;
/// One part of so many of all places in rooms' logs (messages, and changes to them) may be removed
/// in one round: 5 %.
const SHARE_MAX: i64 = 20;
/// Places that may be removed in one round however few there are.
const PLACES_MIN: i64 = 10_000;

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "retention", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    let now = janitor.clock.now();
    let allowed = allowed(janitor, now).await?;
    cut_all(janitor, now, allowed).await?;
    let mut runs = Runs::default();
    let removed = remove_all(janitor, &mut runs).await;
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
        let counting = async {
            let mut conn = janitor.store.read().await?;
            survey(&mut conn, after, ROOMS_MAX, now).await
        };
        let some = batch(janitor, counting).await?;
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

/// Cuts the logs of all rooms, as far as that is allowed.
async fn cut_all(janitor: &Janitor, now: Timestamp, allowed: i64) -> store::Result<()> {
    let mut left = allowed;
    let mut after = RoomId::NOWHERE;
    while left > 0 && !janitor.life.is_draining() {
        match removing_batch(janitor, cut(janitor, after, now, &mut left)).await? {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(())
}

/// What this round removed of each organization.
type Runs = HashMap<OrgId, Run>;

/// Cuts the logs of the next rooms. Returns the last one, `None` at the end. What expired since
/// it was counted, by a rule that was changed, waits for the next round where it is too much.
async fn cut(
    janitor: &Janitor,
    after: RoomId,
    now: Timestamp,
    left: &mut i64,
) -> store::Result<Option<RoomId>> {
    let mut conn = janitor.store.read().await?;
    let some = survey(&mut conn, after, ROOMS_MAX, now).await?;
    drop(conn);
    for past in some.past {
        if past.expired > *left {
            *left = 0;
            return Ok(None);
        }
        let mut tx = janitor.store.begin().await?;
        let is_cut = cut_log(&mut tx, (past.org, past.room), now).await?;
        let _nothing_to_publish = tx.commit().await?;
        if is_cut {
            *left -= past.expired;
        }
    }
    Ok(some.last)
}

async fn remove_all(janitor: &Janitor, runs: &mut Runs) -> store::Result<()> {
    let mut after = RoomId::NOWHERE;
    while !janitor.life.is_draining() {
        match removing_batch(janitor, remove(janitor, after, runs)).await? {
            Some(room) => after = room,
            // All rooms had their turn.
            None if after == RoomId::NOWHERE => break,
            None => after = RoomId::NOWHERE,
        }
    }
    Ok(())
}

/// Removes the next batch of a room after `after`. Returns that room, `None` when there is none.
async fn remove(
    janitor: &Janitor,
    after: RoomId,
    runs: &mut Runs,
) -> store::Result<Option<RoomId>> {
    let now = janitor.clock.now();
    let mut tx = janitor.store.begin().await?;
    let Some(stretch) = claim_stretch(&mut tx, after, janitor.config.batch).await? else {
        return Ok(None);
    };
    // Until it is known to be committed, the run is not ours to go on with.
    let before = runs.remove(&stretch.org).unwrap_or_else(|| Run::new(stretch.org, now));
    let run = trim(&mut tx, stretch, &before, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    run.count_since(&before, count);
    runs.insert(stretch.org, run);
    Ok(Some(stretch.room()))
}
