//! Indexes messages for search: those that have no words yet, after an upgrade or an import, and those
//! that an older version indexed by other rules.

use domain::Claim;
use runtime::window::Window;
use store::actions::index_messages::{index_messages, reindex_messages, skip_reindex};

use crate::Janitor;
use crate::rounds::{batch, begin, count, each_batch, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut window = Window::new("search_backfill", janitor.config.batch);
    while !janitor.life.is_draining() {
        let mut round = each_batch(&janitor, &mut window, |claim| fill(&janitor, claim)).await;
        if round.is_ok() {
            round = reindex(&janitor).await;
        }
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

/// Indexes again what an older version indexed. A batch that fails is split; a message that fails alone
/// is passed over. Returns how many messages it looked at.
async fn reindex(janitor: &Janitor) -> store::Result<u64> {
    let (mut limit, mut total) = (janitor.config.batch, 0);
    while !janitor.life.is_draining() {
        match batch(janitor, reindex_batch(janitor, limit)).await {
            Ok(0) => break,
            Ok(found) => {
                total += found;
                limit = (limit * 2).min(janitor.config.batch);
            }
            Err(error) if janitor.store.blames_work(&error).await => {
                tracing::warn!(error = %error, messages = limit,
                    "{limit} messages cannot be indexed again, retrying fewer: {error}");
                if limit == 1 {
                    let mut tx = begin(janitor).await?;
                    skip_reindex(&mut tx).await?;
                    let _nothing_to_publish = tx.commit().await?;
                }
                limit = (limit / 2).max(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

async fn reindex_batch(janitor: &Janitor, limit: i64) -> store::Result<u64> {
    let mut tx = begin(janitor).await?;
    let found = reindex_messages(&mut tx, limit, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(found)
}
