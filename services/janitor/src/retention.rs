//! Messages past their retention, and what was said of them elsewhere.

use std::collections::HashMap;

use domain::{OrgId, RoomId};
use runtime::meter::Gauge;
use store::actions::retention::{Run, claim_stretch, cut_log, trim};
use store::queries::retention::{purge_backlog, rooms_past};

use crate::Janitor;
use crate::rounds::{batch, count, finish};

/// Rooms looked at by one question.
const ROOMS_MAX: i64 = 500;

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "retention", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    let mut after = RoomId::NOWHERE;
    while !janitor.life.is_draining() {
        match batch(janitor, cut(janitor, after)).await? {
            Some(last) => after = last,
            None => break,
        }
    }
    let mut runs = Runs::default();
    let mut after = RoomId::NOWHERE;
    while !janitor.life.is_draining() {
        match batch(janitor, remove(janitor, after, &mut runs)).await? {
            Some(room) => after = room,
            // All rooms had their turn.
            None if after == RoomId::NOWHERE => break,
            None => after = RoomId::NOWHERE,
        }
    }
    let mut conn = janitor.store.read().await?;
    let waiting = purge_backlog(&mut conn).await?;
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    Gauge::JanitorBacklog.set(waiting as f64);
    Ok(())
}

/// What this round removed of each organization.
type Runs = HashMap<OrgId, Run>;

/// Cuts the logs of the next rooms. Returns the last one, `None` at the end.
async fn cut(janitor: &Janitor, after: RoomId) -> store::Result<Option<RoomId>> {
    let now = janitor.clock.now();
    let mut conn = janitor.store.read().await?;
    let (past, last) = rooms_past(&mut conn, after, ROOMS_MAX, now).await?;
    drop(conn);
    for place in past {
        let mut tx = janitor.store.begin().await?;
        cut_log(&mut tx, place, now).await?;
        let _nothing_to_publish = tx.commit().await?;
    }
    Ok(last)
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
