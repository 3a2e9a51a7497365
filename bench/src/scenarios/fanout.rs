//! Deliveries: one big room, many small ones, and the small ones at a steady pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::acks::Acks;
use crate::gauge::float;
use crate::report::Aim;
use crate::scene::Plan;

use super::Stage;

/// The big room's sockets.
const BIG: usize = 200;
/// Small rooms, and the sockets of each.
const SMALL: (usize, usize) = (50, 20);
/// Messages a second into the small rooms, when paced.
const PACE: u32 = 1_000;
/// Senders of the paced part: more than are ever in flight at that pace.
const PACERS: usize = 128;
/// Senders of the saturated parts.
const IN_FLIGHT: usize = 64;
/// Events that senders may be ahead of what a room has heard, all rooms together: a socket's
/// queue at the edge holds a bounded number, and a closed loop must not overrun it.
const AHEAD: u64 = 1_024;

/// Runs the scenario.
///
/// # Errors
/// When a send is refused, or a socket fails.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    saturated(stage, (1, BIG), ("one room of 200 sockets", 380_000.0)).await?;
    saturated(stage, SMALL, ("50 rooms of 20 sockets", 30_000.0)).await?;
    paced(stage).await
}

async fn saturated(
    stage: &mut Stage<'_>,
    (rooms, each): (usize, usize),
    (name, least): (&str, f64),
) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::apart(rooms, each)).await?;
    let audience = stage.audience(&scene, each).await?;
    let acks = Arc::new(Acks::of_rooms(rooms));
    let senders = stage.senders(&scene, IN_FLIGHT);
    let gate = (&audience, AHEAD / crate::gauge::count(rooms) + 1);
    // The first second warms connections and caches up.
    senders.saturate_heard(&acks, gate, Duration::from_secs(1)).await?;
    stage.check(&scene, &audience, &acks).await?;
    let (cpu, heard, begun) = (stage.cpu()?, audience.heard(), Instant::now());
    let acks = Arc::new(Acks::of_rooms(rooms));
    let sent = senders.saturate_heard(&acks, gate, stage.options.duration()).await?;
    stage.check(&scene, &audience, &acks).await?;
    let elapsed = begun.elapsed();
    let (now, deliveries) = (stage.cpu()?, audience.heard() - heard);
    let rate = float(deliveries) / elapsed.as_secs_f64();
    let full = format!("{name}, saturated");
    stage.report.judge(&full, (rate, "deliveries/s"), Aim::AtLeast(least));
    stage.report.tell(&format!("{full}: sends behind it"), sent.per_second(), "sends/s");
    stage.report.tell(
        &format!("{full}: sockets that had to resume"),
        float(audience.resumes()),
        "",
    );
    let edge = now.since(&cpu, "edge").as_secs_f64() * 1e6 / float(deliveries);
    stage.report.tell(&format!("{full}: edge CPU"), edge, "µs/delivery");
    let raw = stage.limits.send_paced_us;
    stage.report.tell(&format!("{full}: edge CPU / raw send"), edge / raw, "×");
    now.tell(&cpu, stage.report, (sent.sends, "send"));
    drop(audience);
    stage.deployment.settle().await?;
    Ok(())
}

async fn paced(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let (rooms, each) = SMALL;
    let scene = stage.scene(Plan::apart(rooms, each)).await?;
    let audience = stage.audience(&scene, each).await?;
    let acks = Arc::new(Acks::of_rooms(rooms));
    let senders = stage.senders(&scene, PACERS);
    senders.pace(&acks, PACE, Duration::from_secs(2)).await?;
    stage.check(&scene, &audience, &acks).await?;
    audience.begin_delays();
    let (cpu, heard) = (stage.cpu()?, audience.heard());
    let acks = Arc::new(Acks::of_rooms(rooms));
    let sent = senders.pace(&acks, PACE, stage.options.duration() * 2).await?;
    stage.check(&scene, &audience, &acks).await?;
    let (now, deliveries) = (stage.cpu()?, audience.heard() - heard);
    let delays = audience.take_delays();
    let name = "50 rooms of 20 sockets, 1,000 messages/s";
    stage.report.tell(&format!("{name}: sent"), sent.per_second(), "sends/s");
    for (label, share) in [("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let value = delays.quantile_ms(share);
        stage.report.tell(&format!("{name}: send to delivery {label}"), value, "ms");
    }
    let (p50, limits) = (delays.quantile_ms(0.5), stage.limits);
    stage.report.tell(&format!("{name}: send to delivery p50"), p50, "ms");
    let floor = limits.fsync_p50_ms + limits.nats_p50_ms;
    let ratio = (p50 / floor, "×");
    stage.report.judge(&format!("{name}: p50 / (fsync + NATS hop)"), ratio, Aim::AtMost(3.0));
    stage.report.tell(&format!("{name}: send to answer p50"), sent.answers.quantile_ms(0.5), "ms");
    let edge = now.since(&cpu, "edge").as_secs_f64() * 1e6 / float(deliveries);
    stage.report.judge(&format!("{name}: edge CPU"), (edge, "µs/delivery"), Aim::AtMost(24.0));
    let ratio = (edge / limits.send_paced_us, "×");
    stage.report.judge(&format!("{name}: edge CPU / raw send"), ratio, Aim::AtMost(2.0));
    now.tell(&cpu, stage.report, (sent.sends, "send"));
    Ok(())
}
