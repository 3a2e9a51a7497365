//! Everyone connects at once: upgrade, token, subscription, until the `connection` frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::acks::Acks;
use crate::gauge::{count, float, median};
use crate::report::Aim;
use crate::scene::Plan;
use crate::sockets::{Audience, Entry};

use super::Stage;

/// Handshakes at once.
const AT_ONCE: usize = 256;
/// People of each room.
const EACH: usize = 20;
/// How long the edge gets to forget those who left.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the scenario.
///
/// # Errors
/// When a socket fails.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let sockets = usize::from(stage.options.sockets) / 2 / EACH * EACH;
    let mut cold = Vec::new();
    let mut again = Vec::new();
    for _ in 0..stage.options.rounds {
        // New people in new rooms: no token was seen before, no room is followed.
        let scene = stage.scene(Plan::apart(sockets / EACH, EACH)).await?;
        let edges = &stage.deployment.edges;
        let entry = Entry { edges, at_once: AT_ONCE, epoch: stage.epoch };
        for rates in [&mut cold, &mut again] {
            let (cpu, begun) = (stage.cpu()?, Instant::now());
            let audience = Audience::gather(&scene, EACH, entry).await?;
            let elapsed = begun.elapsed();
            let now = stage.cpu()?;
            rates.push(float(count(sockets)) / elapsed.as_secs_f64());
            now.tell(&cpu, stage.report, (count(sockets), "connect"));
            // A message to each room: those who connected are really there.
            let acks = Arc::new(Acks::of_rooms(scene.rooms.len()));
            let rooms = u32::try_from(scene.rooms.len())?;
            stage.senders(&scene, 16).pace(&acks, rooms, Duration::from_secs(1)).await?;
            stage.check(&scene, &audience, &acks).await?;
            drop(audience);
            tokio::time::sleep(PAUSE).await;
        }
    }
    let name = format!("{sockets} sockets, {AT_ONCE} at once");
    let rate = (median(&cold), "connects/s");
    stage.report.judge(&format!("{name}, never seen before"), rate, Aim::AtLeast(6_000.0));
    stage.report.tell(&format!("{name}, again"), median(&again), "connects/s");
    Ok(())
}
