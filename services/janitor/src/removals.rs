//! What was deleted and still has rows: rooms, organizations, accounts.

use std::collections::HashMap;

use domain::OrgId;
use store::actions::removals::{claim_removal, remove_batch};
use store::actions::retention::Run;

use crate::Janitor;
use crate::rounds::{finish, removing_batch, tell_runs};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "removals", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    let mut runs = HashMap::new();
    let done = remove_all(janitor, &mut runs).await;
    tell_runs("removals", runs.values());
    done
}

async fn remove_all(janitor: &Janitor, runs: &mut HashMap<OrgId, Run>) -> store::Result<()> {
    while !janitor.life.is_draining() && removing_batch(janitor, remove(janitor, runs)).await? {}
    Ok(())
}

/// Removes the next batch. Whether there was anything.
async fn remove(janitor: &Janitor, runs: &mut HashMap<OrgId, Run>) -> store::Result<bool> {
    let now = janitor.clock.now();
    let mut tx = janitor.store.begin().await?;
    let Some(removal) = claim_removal(&mut tx).await? else { return Ok(false) };
    let org = removal.org.unwrap_or(OrgId::NOWHERE);
    // Until it is known to be committed, the run is not ours to go on with.
    let before = runs.remove(&org).unwrap_or_else(|| Run::new(org, now));
    let run = remove_batch(&mut tx, removal, (&before, janitor.config.batch), now).await?;
    let _nothing_to_publish = tx.commit().await?;
    run.count_since(&before, crate::rounds::count);
    runs.insert(org, run);
    Ok(true)
}
