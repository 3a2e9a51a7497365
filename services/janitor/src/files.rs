//! Uploads that have ended: those that were not completed or not posted in time, and those that no
//! message carries any more. First the bytes go, then the row: see `store::actions::files_upkeep`.

use std::collections::HashMap;
use std::fmt;

use domain::{OrgId, UploadId};
use objects::Objects;
use runtime::meter::Gauge;
use store::actions::files_upkeep::{
    Ended, claim_ended, end_expired, end_let_go, forget, record_files, waiting,
};
use store::actions::retention::Run;

use crate::Janitor;
use crate::rounds::{batch, count, finish, removing_batch, tell_runs};

/// Uploads claimed at once: no more than can be removed while the claim lasts.
const CLAIMED_MAX: i64 = 20;
/// Failures after which the others of a claim are not tried.
const FAILURES_MAX: usize = 3;

pub(crate) async fn run(janitor: Janitor, objects: Objects) -> anyhow::Result<()> {
    while !janitor.life.is_draining() {
        let round = round(&janitor, &objects).await;
        finish(&janitor, "files", round).await;
    }
    Ok(())
}

/// Why a round did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    Record(store::Error),
    Objects(objects::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Objects(error) => error.fmt(f),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Record(error)
    }
}

async fn round(janitor: &Janitor, objects: &Objects) -> Result<(), Failure> {
    while !janitor.life.is_draining() && removing_batch(janitor, end(janitor)).await? {}
    let mut runs = HashMap::new();
    let mut removed = Ok(true);
    while !janitor.life.is_draining() && matches!(removed, Ok(true)) {
        removed = remove(janitor, objects, &mut runs).await;
    }
    tell_runs("files", runs.values());
    // What waits is told above all when the store is away.
    let counting = async {
        let mut tx = janitor.store.begin().await?;
        waiting(&mut tx, janitor.clock.now()).await
    };
    let (removing, due) = batch(janitor, counting).await?;
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    for (gauge, waiting) in [(Gauge::FilesRemoving, removing), (Gauge::PreviewsDue, due)] {
        gauge.set(waiting as f64);
    }
    removed.map(drop)
}

/// Ends a batch. Returns whether there may be more.
async fn end(janitor: &Janitor) -> store::Result<bool> {
    let (limit, now) = (janitor.config.batch, janitor.clock.now());
    let mut tx = janitor.store.begin().await?;
    let expired = end_expired(&mut tx, limit, now).await?;
    let let_go = end_let_go(&mut tx, limit, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(expired.max(let_go) >= u64::try_from(limit).unwrap_or(u64::MAX))
}

/// What this round removed of each organization.
type Runs = HashMap<OrgId, Run>;

/// Removes a batch that has ended. Returns whether there may be more.
async fn remove(janitor: &Janitor, objects: &Objects, runs: &mut Runs) -> Result<bool, Failure> {
    let now = janitor.clock.now();
    let claimed = removing_batch(janitor, claim(janitor)).await?;
    let mut gone: Vec<UploadId> = Vec::with_capacity(claimed.len());
    let mut failures = Vec::new();
    for ended in &claimed {
        match delete_all(objects, &ended.keys).await {
            Ok(()) => gone.push(ended.id),
            Err(error) => failures.push(error),
        }
        // The store may be away: the others wait for the end of the claim.
        if failures.len() >= FAILURES_MAX {
            break;
        }
    }
    if !gone.is_empty() {
        batch(janitor, forget_all(janitor, &gone, runs, now)).await?;
    }
    match failures.pop() {
        Some(error) => Err(Failure::Objects(error)),
        None => Ok(!claimed.is_empty()),
    }
}

async fn claim(janitor: &Janitor) -> store::Result<Vec<Ended>> {
    let mut tx = janitor.store.begin().await?;
    let claimed = claim_ended(&mut tx, CLAIMED_MAX, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(claimed)
}

async fn delete_all(objects: &Objects, keys: &[String]) -> Result<(), objects::Error> {
    for key in keys {
        objects.delete(key).await?;
    }
    Ok(())
}

async fn forget_all(
    janitor: &Janitor,
    uploads: &[UploadId],
    runs: &mut Runs,
    now: domain::Timestamp,
) -> store::Result<()> {
    let mut tx = janitor.store.begin().await?;
    let gone = forget(&mut tx, uploads, now).await?;
    let mut of_orgs: HashMap<OrgId, i64> = HashMap::new();
    for org in gone.iter().flatten() {
        *of_orgs.entry(*org).or_insert(0) += 1;
    }
    // Until it is known to be committed, a run is not ours to go on with.
    let mut more = Vec::with_capacity(of_orgs.len());
    for (org, files) in of_orgs {
        let before = runs.remove(&org).unwrap_or_else(|| Run::new(org, now));
        more.push(record_files(&mut tx, &before, files, now).await?);
    }
    let _nothing_to_publish = tx.commit().await?;
    runs.extend(more.into_iter().map(|run| (run.org, run)));
    count("files", gone.len() as u64);
    Ok(())
}
