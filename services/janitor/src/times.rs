//! Logs whose times an earlier version wrote are put in order, room by room.

use domain::Claim;
use runtime::window::Window;
use store::actions::room_times::order_times;

use crate::Janitor;
use crate::rounds::{begin, check_clock, each_batch, finish};

pub(crate) async fn run(janitor: Janitor) -> anyhow::Result<()> {
    let mut window = Window::new("room_times", 1);
    while !janitor.life.is_draining() {
        let round = each_batch(&janitor, &mut window, |claim| order(&janitor, claim)).await;
        finish(&janitor, "times", round).await;
    }
    Ok(())
}

/// Puts a stretch of one room in order. Returns how many rooms it found.
async fn order(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    // What lies in the future is told by this clock.
    check_clock(janitor).await?;
    let mut tx = begin(janitor).await?;
    let found = order_times(&mut tx, claim, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(found)
}
