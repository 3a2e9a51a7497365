//! A send into a room of 10,000 beside a send into a room of 10: the same time, the same rows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::acks::Acks;
use crate::gauge::{Durations, float};
use crate::load::Senders;
use crate::report::Aim;
use crate::scene::{Plan, Scene};

use super::Stage;

/// Members of the rooms.
const MEMBERS: [usize; 2] = [10_000, 10];
/// Turns of each room; short, so that the machine's noise falls on both.
const TURNS: u32 = 40;
/// Postgres' own figures of what was written are this late at most.
const FIGURES_PAUSE: Duration = Duration::from_secs(2);

/// One of the two rooms.
struct Side {
    members: usize,
    senders: Senders,
    acks: Arc<Acks>,
    answers: Durations,
}

/// Runs the scenario.
///
/// # Errors
/// When a send is refused.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::big_and_small(MEMBERS[0], MEMBERS[1])).await?;
    let audience = stage.audience(&scene, 1).await?;
    let side = |place: usize| {
        let room = scene.rooms[place].clone();
        let own = Arc::new(Scene { people: scene.people.clone(), rooms: vec![room] });
        Side {
            members: MEMBERS[place],
            senders: stage.senders(&own, 1),
            acks: Arc::new(Acks::of_rooms(1)),
            answers: Durations::new(),
        }
    };
    let mut sides = [side(0), side(1)];
    let turn = stage.options.duration() * 2 / TURNS;
    for _ in 0..TURNS {
        for side in &mut sides {
            let sent = side.senders.saturate(&side.acks, turn).await?;
            side.answers.add(&sent.answers);
        }
        // Who comes first changes, so that what follows a turn falls on both.
        sides.reverse();
    }
    sides.sort_by_key(|side| std::cmp::Reverse(side.members));
    for side in &sides {
        let name = format!("send into a room of {}", side.members);
        stage.report.tell(&format!("{name}: p50"), side.answers.quantile_ms(0.5), "ms");
        stage.report.tell(&format!("{name}: p99"), side.answers.quantile_ms(0.99), "ms");
    }
    let [big, small] = &sides;
    let ratio = big.answers.quantile_ms(0.5) / small.answers.quantile_ms(0.5);
    stage.report.judge("room of 10,000 / room of 10, p50", (ratio, "×"), Aim::AtMost(1.1));
    for side in &sides {
        rows(stage, side).await?;
    }
    stage.check(&scene, &audience, &big.acks).await?;
    stage.faults.add(small.acks.faults());
    Ok(())
}

/// Rows that a send writes, those that the relay deletes afterwards included.
async fn rows(stage: &mut Stage<'_>, side: &Side) -> anyhow::Result<()> {
    let before = written(stage).await?;
    let sent = side.senders.saturate(&side.acks, Duration::from_secs(1)).await?;
    let rows = written(stage).await? - before;
    let name = format!("send into a room of {}: rows written", side.members);
    stage.report.judge(&name, (rows / float(sent.sends), "rows/send"), Aim::AtMost(8.0));
    Ok(())
}

/// Rows inserted, changed and deleted so far, in every table.
async fn written(stage: &Stage<'_>) -> anyhow::Result<f64> {
    stage.deployment.settle().await?;
    tokio::time::sleep(FIGURES_PAUSE).await;
    let rows = sqlx::query_scalar!(
        "select sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint from pg_stat_user_tables",
    )
    .fetch_one(&stage.deployment.db)
    .await?;
    let rows = rows.context("Postgres counts no rows")?;
    Ok(float(u64::try_from(rows)?))
}
