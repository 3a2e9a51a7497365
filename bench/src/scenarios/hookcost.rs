//! What webhooks cost who sends: an organization with 50 of them beside one with none.
//!
//! Sends into the two take turns at random, so that whatever the machine does besides, the
//! deliveries of the first included, falls on both alike. What differs is what the send itself
//! has to do, which is to be nothing: webhooks are found after the commit, by the relay.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;

use crate::acks::Acks;
use crate::frames;
use crate::gauge::{Durations, float};
use crate::hooks::Hooks;
use crate::http::Rest;
use crate::report::Aim;
use crate::scene::{Plan, Room, Scene};

use super::Stage;
use super::webhooks::{add_hooks, arrive};

/// Webhooks of the first organization.
const WEBHOOKS: u64 = 50;
/// Sends per second into both together: some 250 deliveries.
const SENDS_PER_SECOND: u32 = 10;
/// Sends before those that count.
const WARM_UP: u32 = 20;

/// Runs the scenario.
///
/// # Errors
/// When a send is refused, or deliveries are missing.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let hooks = Hooks::open(stage.epoch).await?;
    let scenes = [stage.scene(Plan::apart(1, 2)).await?, stage.scene(Plan::apart(1, 2)).await?];
    let url = format!("http://{}/hook", hooks.healthy);
    add_hooks(stage, &scenes[0], i64::try_from(WEBHOOKS)?, &url).await?;
    let acks = [Acks::of_rooms(1), Acks::of_rooms(1)];
    let mut answers = [Durations::new(), Durations::new()];
    let mut rest = Rest::open(stage.deployment.api).await?;
    let pause = Duration::from_secs(1) / SENDS_PER_SECOND;
    let duration = stage.options.duration() * u32::from(stage.options.rounds);
    let begun = Instant::now();
    let mut into_first = 0;
    for number in 0.. {
        let due = begun + pause * number;
        if due >= begun + duration + pause * WARM_UP {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let side = usize::from(rand::rng().random_bool(0.5));
        let answer = send(stage, &mut rest, &scenes[side], &acks[side]).await?;
        into_first += u64::from(side == 0);
        if number >= WARM_UP {
            answers[side].record(answer);
        }
    }
    let delays = arrive(&hooks, into_first * WEBHOOKS).await?;
    for (name, answers) in [("50 webhooks", &answers[0]), ("no webhook", &answers[1])] {
        stage.report.tell(&format!("{name}: sends"), float(answers.count()), "");
        stage.report.tell(&format!("{name}: send to answer p50"), answers.quantile_ms(0.5), "ms");
        stage.report.tell(&format!("{name}: send to answer p99"), answers.quantile_ms(0.99), "ms");
    }
    stage.report.tell("send to arrival at each endpoint: p50", delays.quantile_ms(0.5), "ms");
    stage.report.tell("send to arrival at each endpoint: p99", delays.quantile_ms(0.99), "ms");
    let ratio = answers[0].quantile_ms(0.5) / answers[1].quantile_ms(0.5);
    stage.report.judge("50 webhooks / none, p50", (ratio, "×"), Aim::AtMost(1.1));
    for acks in &acks {
        stage.faults.add(acks.faults());
    }
    Ok(())
}

/// Sends, and returns how long the answer took.
async fn send(
    stage: &Stage<'_>,
    rest: &mut Rest,
    scene: &Scene,
    acks: &Acks,
) -> anyhow::Result<Duration> {
    let room: &Room = &scene.rooms[0];
    let begun = Instant::now();
    let at = begun.saturating_duration_since(stage.epoch).as_micros();
    let line = format!("POST /api/v1/messages/rooms/{}/", room.id);
    let body = format!(r#"{{"body":"at {at:012} xxxx","nonce":"{at}"}}"#);
    let answer = rest.call(&line, scene.token(room, 0), Some(&body)).await?;
    let took = begun.elapsed();
    ensure!(answer.status == 201, "a send was answered {}", answer.status);
    let seq = frames::number(answer.body, br#""seq":"#).context("a message without a seq")?;
    acks.add(0, seq);
    Ok(took)
}
