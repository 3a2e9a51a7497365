//! Durable sends in a closed loop, with group commit and without it, in turns.
//!
//! The two ways are two api processes of one deployment that differ in one setting. They take
//! turns of a few seconds, so that the noise of the machine falls on both; what is compared are
//! the medians of the turns. One socket listens to the first room all the time.

use std::sync::Arc;

use crate::acks::Acks;
use crate::gauge::{Durations, median};
use crate::load::{Over, Senders};
use crate::report::Aim;
use crate::scene::{Plan, Scene};
use crate::sockets::Audience;

use super::Stage;

/// Sends in flight.
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];
/// Rooms of the part with many.
const MANY: usize = 50;
/// Members of each room.
const PEOPLE: usize = 20;

/// One shape of the load.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    rooms: usize,
    in_flight: usize,
}

/// Runs the scenario.
///
/// # Errors
/// When a send is refused.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::apart(MANY, PEOPLE)).await?;
    let audience = stage.audience(&first_room(&scene), 1).await?;
    let acks = Arc::new(Acks::of_rooms(MANY));
    for (name, rooms) in [("many rooms", MANY), ("one room", 1)] {
        for in_flight in IN_FLIGHT {
            part(stage, (&scene, &acks), Part { name, rooms, in_flight }).await?;
        }
    }
    stage.deployment.end_ungrouped().await?;
    by_socket(stage, (&scene, &acks)).await?;
    check(stage, &scene, (&audience, &acks)).await
}

/// One shape, both ways in turns.
async fn part(
    stage: &mut Stage<'_>,
    (scene, acks): (&Arc<Scene>, &Arc<Acks>),
    part: Part,
) -> anyhow::Result<()> {
    let mut grouped = Vec::new();
    let mut each = Vec::new();
    let mut answers = Durations::new();
    let senders = Senders { rooms: part.rooms, ..stage.senders(scene, part.in_flight) };
    for _ in 0..stage.options.rounds {
        let sent = senders.saturate(acks, stage.options.duration() / 2).await?;
        grouped.push(sent.per_second());
        answers.add(&sent.answers);
        stage.deployment.settle().await?;
        if let Some(api) = stage.deployment.api_ungrouped {
            let other = Senders { addresses: vec![api], ..senders.clone() };
            each.push(other.saturate(acks, stage.options.duration() / 2).await?.per_second());
            stage.deployment.settle().await?;
        }
    }
    let name = format!("{}, {} in flight", part.name, part.in_flight);
    let rate = (median(&grouped), "sends/s");
    match (part.rooms, part.in_flight) {
        (MANY, 16) => stage.report.judge(&name, rate, Aim::AtLeast(3_500.0)),
        (MANY, 256) => stage.report.judge(&name, rate, Aim::AtLeast(10_000.0)),
        _ => stage.report.tell(&name, rate.0, rate.1),
    }
    stage.report.tell(&format!("{name}: answer p50"), answers.quantile_ms(0.5), "ms");
    stage.report.tell(&format!("{name}: answer p99"), answers.quantile_ms(0.99), "ms");
    if each.is_empty() {
        return Ok(());
    }
    stage.report.tell(&format!("{name}, group commit off"), median(&each), "sends/s");
    let ratio = (rate.0 / median(&each), "×");
    let name = format!("{name}: what group commit brings");
    match (part.rooms, part.in_flight) {
        (MANY, 16) => stage.report.judge(&name, ratio, Aim::AtLeast(1.5)),
        (MANY, 64) => stage.report.judge(&name, ratio, Aim::AtLeast(3.0)),
        (1, 64) => stage.report.judge(&name, ratio, Aim::AtLeast(4.0)),
        _ => stage.report.tell(&name, ratio.0, ratio.1),
    }
    Ok(())
}

/// The same over sockets, which adds the edge and a NATS request to the road.
async fn by_socket(
    stage: &mut Stage<'_>,
    (scene, acks): (&Arc<Scene>, &Arc<Acks>),
) -> anyhow::Result<()> {
    for in_flight in [16, 256] {
        let addresses = stage.deployment.edges.clone();
        let senders = Senders { over: Over::Socket, addresses, ..stage.senders(scene, in_flight) };
        let sent = senders.saturate(acks, stage.options.duration()).await?;
        stage.deployment.settle().await?;
        let name = format!("by socket, many rooms, {in_flight} in flight");
        stage.report.tell(&name, sent.per_second(), "sends/s");
        stage.report.tell(&format!("{name}: ack p50"), sent.answers.quantile_ms(0.5), "ms");
    }
    Ok(())
}

async fn check(
    stage: &mut Stage<'_>,
    scene: &Scene,
    (audience, acks): (&Audience, &Acks),
) -> anyhow::Result<()> {
    let first = first_room(scene);
    stage.check(&first, audience, acks).await?;
    stage.report.tell(
        "times the listening socket had to resume",
        crate::gauge::float(audience.resumes()),
        "",
    );
    Ok(())
}

/// The scene as the listener sees it.
fn first_room(scene: &Scene) -> Scene {
    Scene { people: scene.people.clone(), rooms: scene.rooms[..1].to_vec() }
}
