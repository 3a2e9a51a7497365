//! Sends, while a million expired messages are removed, and while nothing is.
//!
//! The janitor is halted and let go on in turns, so that the machine's noise falls on both ways;
//! what is compared are the delays from a send to its answer. It works in three turns of four.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::process::Command;

use crate::acks::Acks;
use crate::gauge::{Durations, float};
use crate::process::Process;
use crate::report::Aim;
use crate::scene::{Plan, Scene};

use super::Stage;

/// Rooms whose past has expired.
const OLD_ROOMS: u32 = 10;
/// Rooms that are written in.
const ROOMS: usize = 20;
/// Messages per second into these.
const PER_SECOND: u32 = 200;
/// How long removing may take in all.
const PATIENCE: Duration = Duration::from_secs(2_400);
/// A turn: shorter than Postgres lets a transaction stand idle, which a halted janitor may leave.
const TURN: Duration = Duration::from_secs(4);
/// Turns of the janitor for each one without it.
const TURNS_AT_WORK: u32 = 3;

/// Runs the scenario.
///
/// # Errors
/// When a send is refused, or messages are not removed.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::apart(ROOMS, 2)).await?;
    let old = stage.scene(Plan::apart(usize::try_from(OLD_ROOMS)?, 2)).await?;
    let of_room = stage.options.expired / OLD_ROOMS;
    fill(stage, &old, of_room).await?;
    approve(stage).await?;
    let audience = stage.audience(&scene, 1).await?;
    let acks = Arc::new(Acks::of_rooms(ROOMS));
    let senders = stage.senders(&scene, 16);
    // Warms up.
    senders.pace(&acks, PER_SECOND, TURN).await?;
    let janitor = stage.deployment.start_janitor().await?;
    let begun = Instant::now();
    let mut at_work = Duration::ZERO;
    let mut answers = [Durations::new(), Durations::new()];
    while left(stage, &old).await? {
        ensure!(begun.elapsed() < PATIENCE, "not all is removed after {PATIENCE:?}");
        signal(&janitor, "STOP").await?;
        answers[0].add(&senders.pace(&acks, PER_SECOND, TURN).await?.answers);
        signal(&janitor, "CONT").await?;
        let turn = Instant::now();
        answers[1].add(&senders.pace(&acks, PER_SECOND, TURN * TURNS_AT_WORK).await?.answers);
        at_work += turn.elapsed();
    }
    for (name, answers) in ["nothing is removed", "what has expired goes"].iter().zip(&answers) {
        stage.report.tell(&format!("send while {name}: p50"), answers.quantile_ms(0.5), "ms");
        stage.report.tell(&format!("send while {name}: p99"), answers.quantile_ms(0.99), "ms");
        stage.report.tell(&format!("send while {name}: sends"), float(answers.count()), "");
    }
    let ratio = |quantile| answers[1].quantile_ms(quantile) / answers[0].quantile_ms(quantile);
    stage.report.judge("with / without, p50", (ratio(0.5), "×"), Aim::AtMost(1.2));
    stage.report.judge("with / without, p99", (ratio(0.99), "×"), Aim::AtMost(1.2));
    let expired = float(u64::from(of_room * OLD_ROOMS));
    // The last turn is longer than its work.
    stage.report.tell("removed, at least", expired / at_work.as_secs_f64(), "messages/s");
    stage.check(&scene, &audience, &acks).await
}

/// Gives rooms a past that has expired.
async fn fill(stage: &Stage<'_>, scene: &Scene, of_room: u32) -> anyhow::Result<()> {
    for room in &scene.rooms {
        sqlx::query!(
            "with old as (
                 insert into messages (org_id, room_id, seq, sender_id, body, nonce, content_hash,
                                       created_at)
                 select r.org_id, r.id, r.last_seq + n, r.created_by, repeat('old words ', 20),
                        'old-' || n, '', now() - interval '100 days' + n * interval '1 second'
                 from rooms r, generate_series(1, $2::bigint) n where r.id = $1
             )
             update rooms set last_seq = last_seq + $2 where id = $1",
            room.id,
            i64::from(of_room),
        )
        .execute(&stage.deployment.db)
        .await?;
    }
    Ok(())
}

/// Lets all of it go at once, which is more than a janitor removes by itself.
async fn approve(stage: &Stage<'_>) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into deployment_settings (retention_days, removal_approved_until)
         values (90, clock_timestamp() + interval '1 day')
         on conflict (is_only) do update
         set retention_days = 90, removal_approved_until = excluded.removal_approved_until",
    )
    .execute(&stage.deployment.db)
    .await?;
    Ok(())
}

/// Whether any of the past is left.
async fn left(stage: &Stage<'_>, scene: &Scene) -> anyhow::Result<bool> {
    let rooms: Vec<i64> = scene.rooms.iter().map(|room| room.id).collect();
    let left = sqlx::query_scalar!(
        r#"select exists (select from messages where room_id = any($1)) as "left!""#,
        &rooms,
    )
    .fetch_one(&stage.deployment.db)
    .await?;
    Ok(left)
}

/// Halts the janitor, or lets it go on.
async fn signal(janitor: &Process, signal: &str) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(janitor.pid.to_string())
        .status()
        .await?;
    ensure!(status.success(), "the janitor has ended");
    Ok(())
}
