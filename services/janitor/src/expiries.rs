//! What expires by itself: spent secrets, old mails, old records.

use store::actions::expire::{Expiring, expire};

use crate::Janitor;
use crate::rounds::{batch, count, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "expiries", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    for kind in Expiring::ALL {
        while !janitor.life.is_draining() && batch(janitor, remove(janitor, kind)).await? {}
    }
    Ok(())
}

/// Removes a batch. Returns whether there may be more.
async fn remove(janitor: &Janitor, kind: Expiring) -> store::Result<bool> {
    let limit = janitor.config.batch;
    let mut tx = janitor.store.begin().await?;
    let removed = expire(&mut tx, kind, limit, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    count(kind.name(), removed);
    Ok(removed >= u64::try_from(limit).unwrap_or(u64::MAX))
}
