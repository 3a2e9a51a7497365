//! What was deleted and still has rows: rooms, organizations, accounts.

use std::collections::HashMap;

use domain::OrgId;
use runtime::parked::Parked;
use store::actions::removals::{Deleted, claim_removal, remove_batch};
use store::actions::retention::Run;

use crate::Janitor;
use crate::rounds::{begin, finish, removing_batch, tell_runs};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut parked = Parked::new("removals");
    while !janitor.life.is_draining() {
        let round = round(&janitor, &mut parked).await;
        finish(&janitor, "removals", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor, parked: &mut Parked<Deleted>) -> store::Result<()> {
    let mut runs = HashMap::new();
    let done = remove_all(janitor, parked, &mut runs).await;
    tell_runs("removals", runs.values());
    done
}

async fn remove_all(
    janitor: &Janitor,
    parked: &mut Parked<Deleted>,
    runs: &mut HashMap<OrgId, Run>,
) -> store::Result<()> {
    // What has failed in this round is left for the next: the others come first.
    let mut failed = Vec::new();
    while !janitor.life.is_draining() {
        let mut claimed = None;
        let removing = remove(janitor, (&*parked, &failed[..]), &mut claimed, runs);
        match (removing_batch(janitor, removing).await, claimed) {
            (Ok(()), Some(deleted)) => parked.succeeded(deleted),
            (Ok(()), None) => break,
            (Err(error), Some(deleted)) if janitor.store.blames_work(&error).await => {
                failed.push(deleted);
                let times = parked.failed(deleted, janitor.clock.now());
                tracing::warn!(error = %error, times,
                    "{deleted:?} cannot be removed, retrying in smaller batches, then later: {error}");
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(())
}

/// Removes the next batch. `claimed` says of what, if there was anything.
async fn remove(
    janitor: &Janitor,
    (parked, failed): (&Parked<Deleted>, &[Deleted]),
    claimed: &mut Option<Deleted>,
    runs: &mut HashMap<OrgId, Run>,
) -> store::Result<()> {
    let now = janitor.clock.now();
    let mut tx = begin(janitor).await?;
    let left_alone = [&parked.parked(now)[..], failed].concat();
    let Some(removal) = claim_removal(&mut tx, &left_alone).await? else { return Ok(()) };
    *claimed = Some(removal.what);
    let limit = parked.batch(removal.what, janitor.config.batch);
    let org = removal.org.unwrap_or(OrgId::NOWHERE);
    // Until it is known to be committed, the run is not ours to go on with.
    let before = runs.remove(&org).unwrap_or_else(|| Run::new(org, now));
    let run = remove_batch(&mut tx, removal, (&before, limit), now).await?;
    let _nothing_to_publish = tx.commit().await?;
    run.count_since(&before, crate::rounds::count);
    runs.insert(org, run);
    Ok(())
}
