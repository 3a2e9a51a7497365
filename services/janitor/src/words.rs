//! Words for messages that have none yet, so that they are found: after an upgrade or an import.

use domain::Claim;
use runtime::window::Window;
use store::actions::index_messages::index_messages;

use crate::Janitor;
use crate::rounds::{begin, count, each_batch, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut window = Window::new("search_backfill", janitor.config.batch);
    while !janitor.life.is_draining() {
        let round = each_batch(&janitor, &mut window, |claim| fill(&janitor, claim)).await;
        finish(&janitor, "words", round).await;
    }
    Ok(())
}

/// Fills in a batch. Returns how many messages it found.
async fn fill(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    let mut tx = begin(janitor).await?;
    let filled = index_messages(&mut tx, claim).await?;
    let _nothing_to_publish = tx.commit().await?;
    count("wordless", filled);
    Ok(filled)
}
