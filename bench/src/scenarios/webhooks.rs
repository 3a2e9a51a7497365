//! One endpoint that answers, beside 500 that never do.
//!
//! Two organizations get the same messages all the time. The first has the endpoint that answers;
//! the second has 500 that hang, which are switched off and on in turns, so that the machine's
//! noise falls on both. What is compared is the delay from a send to its arrival at the healthy
//! endpoint, planning and signing included.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use crate::acks::Acks;
use crate::gauge::{Durations, float, median};
use crate::hooks::Hooks;
use crate::report::Aim;
use crate::scene::{Plan, Scene};

use super::Stage;

/// Endpoints that hang.
const HANGING: i64 = 500;
/// Messages per second into the healthy endpoint's organization.
const HEALTHY_PER_SECOND: u32 = 50;
/// Messages per second into the other one: each is 500 deliveries.
const HANGING_PER_SECOND: u32 = 1;
/// How long deliveries on their way may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the scenario.
///
/// # Errors
/// When a send is refused, or deliveries are missing.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let hooks = Hooks::open(stage.epoch).await?;
    let scenes = [stage.scene(Plan::apart(1, 2)).await?, stage.scene(Plan::apart(1, 2)).await?];
    let acks = [Arc::new(Acks::of_rooms(1)), Arc::new(Acks::of_rooms(1))];
    let url = |address| format!("http://{address}/hook");
    add_hooks(stage, &scenes[0], 1, &url(hooks.healthy)).await?;
    add_hooks(stage, &scenes[1], HANGING, &url(hooks.hanging)).await?;
    switch(stage, &scenes[1], false).await?;
    let mut delays = [Durations::new(), Durations::new()];
    let mut ratios = Vec::new();
    // The first turn of both warms up: in it the endpoints are found to hang.
    for turn in 0..=stage.options.rounds {
        let mut of_turn = [Durations::new(), Durations::new()];
        // Who comes first changes, so that what follows a turn falls on both.
        let ways = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for way in ways {
            switch(stage, &scenes[1], way == 1).await?;
            let sent = both(stage, &scenes, &acks).await?;
            of_turn[way] = arrive(&hooks, sent).await?;
        }
        if turn == 0 {
            let first = &of_turn[1];
            let name = "beside 500 that hang, of which nothing is known yet: p99";
            stage.report.tell(name, first.quantile_ms(0.99), "ms");
        } else {
            delays[0].add(&of_turn[0]);
            delays[1].add(&of_turn[1]);
            let ratio = of_turn[1].quantile_ms(0.99) / of_turn[0].quantile_ms(0.99);
            stage.report.tell(
                &format!("turn {turn}: beside 500 that hang / alone, p99"),
                ratio,
                "×",
            );
            ratios.push(ratio);
        }
    }
    for (name, delays) in [("alone", &delays[0]), ("beside 500 that hang", &delays[1])] {
        stage.report.tell(&format!("{name}: p50"), delays.quantile_ms(0.5), "ms");
        stage.report.tell(&format!("{name}: p99"), delays.quantile_ms(0.99), "ms");
        stage.report.tell(&format!("{name}: deliveries"), float(delays.count()), "");
    }
    let ratio = delays[1].quantile_ms(0.99) / delays[0].quantile_ms(0.99);
    stage.report.judge("beside 500 that hang / alone, p99", (ratio, "×"), Aim::AtMost(1.5));
    let name = "beside 500 that hang / alone, p99, median of turns";
    stage.report.tell(name, median(&ratios), "×");
    for acks in &acks {
        stage.faults.add(acks.faults());
    }
    Ok(())
}

/// Sends into both organizations; how many into the first.
async fn both(
    stage: &Stage<'_>,
    scenes: &[Arc<Scene>; 2],
    acks: &[Arc<Acks>; 2],
) -> anyhow::Result<u64> {
    let [healthy, hanging] = [stage.senders(&scenes[0], 2), stage.senders(&scenes[1], 1)];
    let duration = stage.options.duration();
    let (sent, other) = tokio::join!(
        healthy.pace(&acks[0], HEALTHY_PER_SECOND, duration),
        hanging.pace(&acks[1], HANGING_PER_SECOND, duration),
    );
    other?;
    Ok(sent?.sends)
}

/// Waits for as many deliveries as there were sends.
pub(super) async fn arrive(hooks: &Hooks, sent: u64) -> anyhow::Result<Durations> {
    let mut arrived = hooks.take();
    let begun = std::time::Instant::now();
    while arrived.count() < sent {
        ensure!(begun.elapsed() < PATIENCE, "{} of {sent} deliveries arrived", arrived.count());
        tokio::time::sleep(Duration::from_millis(50)).await;
        arrived.add(&hooks.take());
    }
    Ok(arrived)
}

/// Gives the organization of a scene's first room so many webhooks that hear of messages.
pub(super) async fn add_hooks(
    stage: &Stage<'_>,
    scene: &Scene,
    hooks: i64,
    url: &str,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into webhooks (org_id, url, secret, events, include_private, created_at)
         select rooms.org_id, $2, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
                '{message.created}', true, now()
         from rooms cross join generate_series(1, $3::bigint) where rooms.id = $1",
        scene.rooms[0].id,
        url,
        hooks,
    )
    .execute(&stage.deployment.db)
    .await?;
    Ok(())
}

/// Switches the endpoints of an organization on or off; what they still had to get is dropped.
async fn switch(stage: &Stage<'_>, scene: &Scene, is_on: bool) -> anyhow::Result<()> {
    let room = scene.rooms[0].id;
    let db = &stage.deployment.db;
    sqlx::query!(
        "update webhooks set is_active = $2
         where org_id = (select org_id from rooms where id = $1)",
        room,
        is_on,
    )
    .execute(db)
    .await?;
    if !is_on {
        sqlx::query!(
            "update webhook_outbox
             set status = 'failed', next_attempt_at = null, hand_out_at = null,
                 claimed_until = null
             where next_attempt_at is not null and webhook_id in (
                 select id from webhooks where org_id = (select org_id from rooms where id = $1))",
            room,
        )
        .execute(db)
        .await?;
    }
    Ok(())
}
