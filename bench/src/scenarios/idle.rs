//! What an idle, authenticated, subscribed socket costs: resident memory of its edge.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::acks::Acks;
use crate::gauge::{count, float};
use crate::process;
use crate::report::Aim;
use crate::scene::Plan;

use super::Stage;

/// People of each room, all of them listening: presence in a room of everyone would be a
/// measure of presence.
const EACH: usize = 20;
/// How long the edge may take to come to rest.
const REST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long its memory must not have changed.
const REST: Duration = Duration::from_secs(3);
/// Files that this process needs besides the sockets.
const OTHER_FILES: u64 = 500;

/// Runs the scenario.
///
/// # Errors
/// When a socket fails, or the edges' processes are not known.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let sockets = usize::from(stage.options.sockets) / EACH * EACH;
    ensure!(
        count(sockets) + OTHER_FILES <= process::files_max()?,
        "{sockets} sockets are more files than this process may open: raise `ulimit -n`"
    );
    ensure!(stage.deployment.edge_processes().count() > 0, "idle needs --edge-pid");
    let scene = stage.scene(Plan::apart(sockets / EACH, EACH)).await?;
    let before = resident(stage)?;
    let audience = stage.audience(&scene, EACH).await?;
    let idle = at_rest(stage).await?;
    let each = (idle - before) / float(count(sockets));
    let name = format!("{sockets} idle sockets, a user each, rooms of {EACH}");
    stage.report.tell("edge before: resident", before / 1_024.0, "MiB");
    stage.report.tell(&format!("{name}: resident"), idle / 1_024.0, "MiB");
    stage.report.judge(&format!("{name}: each"), (each, "KiB"), Aim::AtMost(8.0));
    let acks = Arc::new(Acks::of_rooms(scene.rooms.len()));
    let cpu = stage.cpu()?;
    tokio::time::sleep(stage.options.duration()).await;
    let share =
        stage.cpu()?.since(&cpu, "edge").as_secs_f64() / stage.options.duration().as_secs_f64();
    stage.report.tell(&format!("{name}: edge CPU"), share * 100.0, "% of a core");
    // A message for everyone: a socket that has been written to may hold more.
    let rooms = u32::try_from(scene.rooms.len())?;
    stage.senders(&scene, 16).pace(&acks, rooms, Duration::from_secs(1)).await?;
    stage.check(&scene, &audience, &acks).await?;
    let after = at_rest(stage).await?;
    let each = (after - before) / float(count(sockets));
    stage.report.tell("the same after a message to each", each, "KiB");
    Ok(())
}

/// Resident memory of all edges, in KiB.
fn resident(stage: &Stage<'_>) -> anyhow::Result<f64> {
    let mut all = 0;
    for edge in stage.deployment.edge_processes() {
        all += edge.resident_kib()?;
    }
    Ok(float(all))
}

/// The same once it has stopped growing.
async fn at_rest(stage: &Stage<'_>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut last = resident(stage)?;
    loop {
        tokio::time::sleep(REST).await;
        let now = resident(stage)?;
        if now <= last * 1.002 || begun.elapsed() > REST_TIMEOUT {
            return Ok(now);
        }
        last = now;
    }
}
