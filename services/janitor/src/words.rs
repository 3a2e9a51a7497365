//! Words for messages that have none yet, so that they are found: after an upgrade or an import.

use store::actions::index_messages::index_messages;

use crate::Janitor;
use crate::rounds::{batch, count, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor).await;
        finish(&janitor, "words", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor) -> store::Result<()> {
    while !janitor.life.is_draining() && batch(janitor, fill(janitor)).await? {}
    Ok(())
}

/// Fills in a batch. Returns whether there may be more.
async fn fill(janitor: &Janitor) -> store::Result<bool> {
    let limit = janitor.config.batch;
    let mut tx = janitor.store.begin().await?;
    let filled = index_messages(&mut tx, limit).await?;
    let _nothing_to_publish = tx.commit().await?;
    count("wordless", filled);
    Ok(filled >= u64::try_from(limit).unwrap_or(u64::MAX))
}
