//! What expires by itself: spent secrets, old mails, old records.

use std::collections::BTreeMap;

use domain::Claim;
use runtime::window::Window;
use store::actions::expire::{Expiring, expire};

use crate::Janitor;
use crate::rounds::{begin, check_clock, count, each_batch, finish, tell};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut windows =
        Expiring::ALL.map(|kind| (kind, Window::new(kind.name(), janitor.config.batch)));
    while !janitor.life.is_draining() {
        let round = round(&janitor, &mut windows).await;
        finish(&janitor, "expiries", round).await;
    }
    Ok(())
}

async fn round(janitor: &Janitor, windows: &mut [(Expiring, Window)]) -> store::Result<()> {
    let mut removed = BTreeMap::new();
    let done = remove_all(janitor, windows, &mut removed).await;
    tell("expiries", removed.into_iter());
    done
}

async fn remove_all(
    janitor: &Janitor,
    windows: &mut [(Expiring, Window)],
    removed: &mut BTreeMap<&'static str, u64>,
) -> store::Result<()> {
    for (kind, window) in windows {
        let found = each_batch(janitor, window, |claim| remove(janitor, *kind, claim)).await?;
        removed.insert(kind.name(), found);
    }
    Ok(())
}

/// Removes a batch. Returns how many.
async fn remove(janitor: &Janitor, kind: Expiring, claim: Claim) -> store::Result<u64> {
    check_clock(janitor).await?;
    let mut tx = begin(janitor).await?;
    let removed = expire(&mut tx, kind, claim, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    count(kind.name(), removed);
    Ok(removed)
}
