//! Uploads that have ended: those that were not completed or not posted in time, and those that no
//! message carries any more. First the bytes go, then the row: see `store::actions::files_upkeep`.

use std::collections::HashMap;
use std::fmt;

use domain::{Claim, OrgId, Timestamp, UploadId};
use objects::Objects;
use runtime::meter::Gauge;
use runtime::parked::{Parked, delay_after};
use runtime::window::Window;
use store::actions::file_usage::count_again;
use store::actions::files_upkeep::{
    Ended, claim_ended, end_expired, end_let_go, forget, postpone_ended, record_files, waiting,
};
use store::actions::retention::Run;

use crate::Janitor;
use crate::rounds::{
    batch, begin, check_clock, count, each_batch, finish, removing_batch, tell_runs,
};

/// Uploads claimed at once: no more than can be removed while the claim lasts.
const CLAIMED_MAX: i64 = 20;

/// Uploads that cannot be worked on.
struct Failing {
    expired: Window,
    let_go: Window,
    claims: Window,
    usage: Window,
    /// Uploads whose objects the store fails to delete, or whose rows cannot be removed.
    objects: Parked<UploadId>,
}

pub(crate) async fn run(janitor: Janitor, objects: Objects) -> anyhow::Result<()> {
    let mut failing = Failing {
        expired: Window::new("files_expired", janitor.config.batch),
        let_go: Window::new("files_let_go", janitor.config.batch),
        claims: Window::new("files_ended", CLAIMED_MAX),
        usage: Window::new("file_usage", 1),
        objects: Parked::new("files_objects"),
    };
    while !janitor.life.is_draining() {
        let round = round(&janitor, &objects, &mut failing).await;
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

async fn round(janitor: &Janitor, objects: &Objects, failing: &mut Failing) -> Result<(), Failure> {
    each_batch(janitor, &mut failing.expired, |claim| expired(janitor, claim)).await?;
    each_batch(janitor, &mut failing.let_go, |claim| let_go(janitor, claim)).await?;
    each_batch(janitor, &mut failing.usage, |claim| recount(janitor, claim)).await?;
    let mut runs = HashMap::new();
    let mut removed = Ok(true);
    failing.claims.begin(janitor.clock.now());
    while !janitor.life.is_draining() && matches!(removed, Ok(true)) {
        removed = remove(janitor, objects, failing, &mut runs).await;
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

async fn expired(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    check_clock(janitor).await?;
    let mut tx = begin(janitor).await?;
    let found = end_expired(&mut tx, claim, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(found)
}

async fn let_go(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    check_clock(janitor).await?;
    let mut tx = begin(janitor).await?;
    let found = end_let_go(&mut tx, claim, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(found)
}

async fn recount(janitor: &Janitor, claim: Claim) -> store::Result<u64> {
    let mut tx = begin(janitor).await?;
    let found = count_again(&mut tx, claim, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(found)
}

/// What this round removed of each organization.
type Runs = HashMap<OrgId, Run>;

/// Removes a batch that has ended. Returns whether there may be more.
async fn remove(
    janitor: &Janitor,
    objects: &Objects,
    failing: &mut Failing,
    runs: &mut Runs,
) -> Result<bool, Failure> {
    let now = janitor.clock.now();
    let claimed = match removing_batch(janitor, claim(janitor, failing.claims.claim())).await {
        Ok(claimed) => claimed,
        Err(error) if janitor.store.blames_work(&error).await => {
            tracing::warn!(error = %error, "uploads cannot be claimed, retrying fewer: {error}");
            return Ok(failing.claims.failed(now));
        }
        Err(error) => return Err(error.into()),
    };
    failing.claims.succeeded(claimed.len() as u64);
    let mut gone: Vec<UploadId> = Vec::with_capacity(claimed.len());
    let (mut failed, mut away) = (Vec::new(), None);
    for ended in &claimed {
        match delete_all(objects, &ended.keys).await {
            Ok(()) => gone.push(ended.id),
            Err(error) if objects.ensure_bucket().await.is_ok() => failed.push((ended.id, error)),
            // The others wait for the end of the claim.
            Err(error) => {
                away = Some(error);
                break;
            }
        }
    }
    put_off(janitor, &mut failing.objects, &failed, now).await?;
    if !gone.is_empty() {
        forget_each(janitor, &gone, failing, runs, now).await?;
    }
    match away {
        Some(error) => Err(Failure::Objects(error)),
        None => Ok(!claimed.is_empty()),
    }
}

/// Parks uploads whose objects the store, which answers, does not remove.
async fn put_off(
    janitor: &Janitor,
    parked: &mut Parked<UploadId>,
    failed: &[(UploadId, objects::Error)],
    now: Timestamp,
) -> store::Result<()> {
    for (upload, error) in failed {
        let times = parked.failed(*upload, now);
        tracing::warn!(upload.id = %upload, error = %error, times,
            "the objects of upload {upload} cannot be removed, retrying later: {error}");
        let postponing = async {
            let mut tx = begin(janitor).await?;
            postpone_ended(&mut tx, &[*upload], now + delay_after(times)).await?;
            let _nothing_to_publish = tx.commit().await?;
            Ok(())
        };
        batch(janitor, postponing).await?;
    }
    Ok(())
}

/// Removes the rows of uploads whose objects are gone: together, and one by one where that fails.
async fn forget_each(
    janitor: &Janitor,
    uploads: &[UploadId],
    failing: &mut Failing,
    runs: &mut Runs,
    now: Timestamp,
) -> Result<(), Failure> {
    let Err(error) = batch(janitor, forget_all(janitor, uploads, runs, now)).await else {
        for &upload in uploads {
            failing.objects.succeeded(upload);
        }
        return Ok(());
    };
    if !janitor.store.blames_work(&error).await {
        return Err(error.into());
    }
    for &upload in uploads {
        match batch(janitor, forget_all(janitor, &[upload], runs, now)).await {
            Ok(()) => failing.objects.succeeded(upload),
            Err(error) => {
                // It is claimed again when its claim ends.
                let times = failing.objects.failed(upload, now);
                tracing::warn!(upload.id = %upload, error = %error, times,
                    "upload {upload} cannot be removed, retrying later: {error}");
            }
        }
    }
    Ok(())
}

async fn claim(janitor: &Janitor, claim: Claim) -> store::Result<Vec<Ended>> {
    let mut tx = begin(janitor).await?;
    let claimed = claim_ended(&mut tx, claim, janitor.clock.now()).await?;
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
    now: Timestamp,
) -> store::Result<()> {
    let mut tx = begin(janitor).await?;
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
