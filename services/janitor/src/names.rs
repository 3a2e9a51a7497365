//! Computes the keys by which accounts are found, where an older version wrote names without them.

use domain::Claim;
use runtime::window::Window;
use store::actions::accounts::key_old_names;

use crate::Janitor;
use crate::rounds::{begin, each_batch, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut window = Window::new("name_keys", janitor.config.batch);
    while !janitor.life.is_draining() {
        let round = each_batch(&janitor, &mut window, |claim| fill(&janitor, claim)).await;
        finish(&janitor, "names", round).await;
    }
    Ok(())
}

/// Computes a batch of keys. Returns how many accounts it found.
async fn fill(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    let mut tx = begin(janitor).await?;
    let filled = key_old_names(&mut tx, claim).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(filled)
}
