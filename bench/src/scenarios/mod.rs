//! The scenarios: each sets its scene in a fresh organization, drives it, and reports.

mod bigroom;
mod fanout;
mod history;
mod hookcost;
mod idle;
mod retention;
mod search;
mod send;
mod storm;
mod webhooks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::acks::Acks;
use crate::deployment::Deployment;
use crate::gauge::float;
use crate::load::{Over, Senders};
use crate::machine::{self, Limits};
use crate::options::{Options, Scenario};
use crate::process::Process;
use crate::report::Report;
use crate::scene::{Plan, Scene};
use crate::sequence::Faults;
use crate::sockets::{Audience, Entry};

/// Handshakes at once, where the connects are not what is measured.
const DOORS: usize = 64;

/// What every scenario has at hand.
pub(crate) struct Stage<'a> {
    options: &'a Options,
    deployment: &'a Deployment,
    report: &'a mut Report,
    limits: Limits,
    faults: Faults,
    epoch: Instant,
}

/// Runs a scenario, or all, each against a deployment of its own; whether every promise was kept.
///
/// # Errors
/// When the deployment cannot be reached, or a call fails.
pub(crate) async fn run(scenario: Scenario, options: &Options) -> anyhow::Result<bool> {
    let mut report = Report::new();
    let all = [
        Scenario::Send,
        Scenario::Fanout,
        Scenario::Idle,
        Scenario::Storm,
        Scenario::History,
        Scenario::Bigroom,
        Scenario::Webhooks,
        Scenario::Hookcost,
        Scenario::Retention,
        Scenario::Search,
    ];
    let chosen = if scenario == Scenario::All { &all[..] } else { &[scenario] };
    let mut faults = Faults::default();
    for &scenario in chosen {
        faults.add(run_one(scenario, options, &mut report).await?);
    }
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    Ok(faults.is_none())
}

async fn run_one(
    scenario: Scenario,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<Faults> {
    report.begin(name(scenario));
    let deployment = Deployment::open(options).await?;
    let limits = machine::measure(report, &deployment.dir, &deployment.nats_url).await?;
    let mut stage = Stage {
        options,
        deployment: &deployment,
        report,
        limits,
        faults: Faults::default(),
        epoch: Instant::now(),
    };
    match scenario {
        Scenario::Machine | Scenario::All => return Ok(Faults::default()),
        Scenario::Send => send::run(&mut stage).await?,
        Scenario::Fanout => fanout::run(&mut stage).await?,
        Scenario::Idle => idle::run(&mut stage).await?,
        Scenario::Storm => storm::run(&mut stage).await?,
        Scenario::History => history::run(&mut stage).await?,
        Scenario::Bigroom => bigroom::run(&mut stage).await?,
        Scenario::Webhooks => webhooks::run(&mut stage).await?,
        Scenario::Hookcost => hookcost::run(&mut stage).await?,
        Scenario::Retention => retention::run(&mut stage).await?,
        Scenario::Search => search::run(&mut stage).await?,
    }
    let faults = stage.faults;
    for (name, value) in
        [("lost", faults.lost), ("doubled", faults.doubled), ("reordered", faults.reordered)]
    {
        report.judge(name, (float(value), "events"), crate::report::Aim::AtMost(0.0));
    }
    Ok(faults)
}

fn name(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Machine => "machine",
        Scenario::Send => "send",
        Scenario::Fanout => "fanout",
        Scenario::Idle => "idle",
        Scenario::Storm => "storm",
        Scenario::History => "history",
        Scenario::Bigroom => "bigroom",
        Scenario::Webhooks => "webhooks",
        Scenario::Hookcost => "hookcost",
        Scenario::Retention => "retention",
        Scenario::Search => "search",
        Scenario::All => "all",
    }
}

impl Stage<'_> {
    async fn scene(&self, plan: Plan) -> anyhow::Result<Arc<Scene>> {
        let deployment = self.deployment;
        Ok(Arc::new(Scene::set(&deployment.db, &deployment.keys, plan).await?))
    }

    /// Has the first `each` members of every room listen.
    async fn audience(&self, scene: &Scene, each: usize) -> anyhow::Result<Arc<Audience>> {
        let edges = &self.deployment.edges;
        let entry = Entry { edges, at_once: DOORS, epoch: self.epoch };
        Ok(Arc::new(Audience::gather(scene, each, entry).await?))
    }

    /// Senders over REST into all rooms of a scene.
    fn senders(&self, scene: &Arc<Scene>, in_flight: usize) -> Senders {
        Senders {
            scene: Arc::clone(scene),
            over: Over::Rest,
            addresses: vec![self.deployment.api],
            in_flight,
            rooms: scene.rooms.len(),
            body: usize::from(self.options.body),
            epoch: self.epoch,
        }
    }

    /// Waits for the last deliveries, and counts what was wrong with acks and deliveries.
    async fn check(
        &mut self,
        scene: &Scene,
        audience: &Audience,
        acks: &Acks,
    ) -> anyhow::Result<()> {
        let rooms: Vec<i64> = scene.rooms.iter().map(|room| room.id).collect();
        let heads = self.deployment.heads(&rooms).await?;
        audience.hear_out(&heads).await;
        self.faults.add(audience.faults(&heads)?);
        self.faults.add(acks.faults());
        Ok(())
    }

    /// CPU of each process so far.
    fn cpu(&self) -> anyhow::Result<Cpu> {
        let processes = &self.deployment.processes;
        let of = |process: &Process| Ok((process.clone(), process.cpu()?));
        Ok(Cpu(processes.iter().map(of).collect::<anyhow::Result<_>>()?))
    }
}

/// CPU of each process at one moment.
struct Cpu(Vec<(Process, Duration)>);

impl Cpu {
    /// What a role took since then, all its processes together.
    fn since(&self, before: &Self, role: &str) -> Duration {
        let own = self.0.iter().zip(&before.0).filter(|((process, _), _)| process.role == role);
        own.map(|((_, now), (_, then))| now.saturating_sub(*then)).sum()
    }

    /// Tells what each role took per thing done.
    fn tell(&self, before: &Self, report: &mut Report, (things, what): (u64, &str)) {
        for role in ["api", "edge", "relay", "webhooks", "postgres", "nats"] {
            let micros = self.since(before, role).as_secs_f64() * 1e6;
            if self.0.iter().any(|(process, _)| process.role == role) {
                let each = micros / float(things.max(1));
                report.tell(&format!("  CPU of {role} per {what}"), each, "µs");
            }
        }
    }
}
