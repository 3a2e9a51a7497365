//! What expires by itself: spent secrets, old mails, old records.

use std::collections::BTreeMap;

use store::actions::expire::{Expiring, expire};

use crate::Janitor;
use crate::rounds::{count, finish, removing_batch, tell};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "expiries", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    let mut removed = BTreeMap::new();
    let done = remove_all(janitor, &mut removed).await;
    tell("expiries", removed.into_iter());
    done
}

async fn remove_all(
    janitor: &Janitor,
    removed: &mut BTreeMap<&'static str, u64>,
) -> store::Result<()> {
    let limit = u64::try_from(janitor.config.batch).unwrap_or(u64::MAX);
    for kind in Expiring::ALL {
        let mut last = limit;
        while last >= limit && !janitor.life.is_draining() {
            last = removing_batch(janitor, remove(janitor, kind)).await?;
            *removed.entry(kind.name()).or_insert(0) += last;
        }
    }
    Ok(())
}

/// Removes a batch. Returns how many.
async fn remove(janitor: &Janitor, kind: Expiring) -> store::Result<u64> {
    let limit = janitor.config.batch;
    let mut tx = janitor.store.begin().await?;
    let removed = expire(&mut tx, kind, limit, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    count(kind.name(), removed);
    Ok(removed)
}
