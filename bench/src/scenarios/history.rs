//! Reads of a room's past, 50 messages at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::acks::Acks;
use crate::frames;
use crate::gauge::{Durations, float};
use crate::http::Rest;
use crate::report::Aim;
use crate::scene::{Plan, Scene};

use super::Stage;

/// Rooms, and the messages that each holds at least.
const ROOMS: usize = 20;
/// Messages of a page.
const PAGE: usize = 50;
/// Readers at once.
const READERS: usize = 16;
/// How long the rooms are filled.
const FILL: Duration = Duration::from_secs(3);

/// Runs the scenario.
///
/// # Errors
/// When a read fails, or a page is not what it should be.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::apart(ROOMS, 2)).await?;
    let audience = stage.audience(&scene, 1).await?;
    let acks = Arc::new(Acks::of_rooms(ROOMS));
    stage.senders(&scene, 64).saturate(&acks, FILL).await?;
    stage.check(&scene, &audience, &acks).await?;
    stage.deployment.settle().await?;
    for (name, is_deep) in [("newest page", false), ("pages further back", true)] {
        let cpu = stage.cpu()?;
        let until = Instant::now() + stage.options.duration();
        let mut tasks = JoinSet::new();
        for reader in 0..READERS {
            let rest = Rest::open(stage.deployment.api).await?;
            tasks.spawn(read(rest, Arc::clone(&scene), (reader, is_deep), until));
        }
        let mut reads = Durations::new();
        let begun = Instant::now();
        while let Some(ended) = tasks.join_next().await {
            reads.add(&ended??);
        }
        let now = stage.cpu()?;
        let rate = float(reads.count()) / begun.elapsed().as_secs_f64();
        let full = format!("{name} of {PAGE} messages, {READERS} readers");
        stage.report.judge(&full, (rate, "reads/s"), Aim::AtLeast(2_350.0));
        stage.report.tell(&format!("{full}: p50"), reads.quantile_ms(0.5), "ms");
        stage.report.tell(&format!("{full}: p99"), reads.quantile_ms(0.99), "ms");
        now.tell(&cpu, stage.report, (reads.count(), "read"));
    }
    Ok(())
}

async fn read(
    mut rest: Rest,
    scene: Arc<Scene>,
    (reader, is_deep): (usize, bool),
    until: Instant,
) -> anyhow::Result<Durations> {
    let mut reads = Durations::new();
    let mut turn = reader;
    let mut before = String::new();
    while Instant::now() < until {
        let room = &scene.rooms[turn % scene.rooms.len()];
        let line = format!("GET /api/v1/messages/rooms/{}/?limit={PAGE}{before}", room.id);
        let begun = Instant::now();
        let answer = rest.call(&line, scene.token(room, turn), None).await?;
        reads.record(begun.elapsed());
        ensure!(answer.status == 200, "a read was answered {}", answer.status);
        let (mut seqs, mut ids) = (Vec::new(), Vec::new());
        frames::numbers(answer.body, br#""seq":"#, |seq| seqs.push(seq));
        frames::numbers(answer.body, br#""id":"#, |id| ids.push(id));
        let is_whole = seqs.windows(2).all(|pair| pair[0] == pair[1] + 1);
        ensure!(is_whole, "a page with a hole: {seqs:?}");
        ensure!(is_deep || seqs.len() == PAGE, "a page of {}", seqs.len());
        before.clear();
        if let Some(oldest) = ids.last().filter(|_| is_deep && seqs.len() == PAGE) {
            // On to the next older page of the same room.
            before = format!("&before={oldest}");
        } else {
            turn += READERS + 1;
        }
    }
    Ok(reads)
}
