//! Small pictures of uploaded images, and the images' sizes.
//!
//! The row names the picture's place in the store before the picture is there, and a janitor that
//! dies in between has tried: nothing is orphaned, nothing is tried for ever. One image is decoded
//! at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::UploadId;
use objects::Objects;
use runtime::meter::{Counter, label};
use runtime::workers::Workers;
use store::actions::files_upkeep::{
    DuePreview, PreviewOutcome, claim_preview, fail_hopeless_previews, fail_preview,
    give_preview_back, note_preview,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::Janitor;
use crate::files::Failure;
use crate::picture::{self, Picture};
use crate::rounds::{batch, begin, removing_batch};

/// Bytes of an image of which there is a preview.
const IMAGE_BYTES_MAX: usize = 50 * 1024 * 1024;
/// How long decoding may take.
const DECODING_TIMEOUT: Duration = Duration::from_secs(30);
/// When an image is looked at again for which the store was away.
const AWAY_PAUSE: Duration = Duration::from_secs(30);
/// How long a picture may still take once the process drains.
const DRAIN_GRACE: Duration = Duration::from_secs(5);
/// How often noting a preview is tried while messages with the image are sent to more rooms.
const NOTE_TRIES_MAX: usize = 3;
/// The pause after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);

pub(crate) async fn run(janitor: Janitor, objects: Objects) -> anyhow::Result<()> {
    let decoder = Decoder {
        slot: Arc::new(Semaphore::new(1)),
        workers: Workers::start("previews", 1, 1).context("no thread for previews")?,
    };
    while !janitor.life.is_draining() {
        let made = next(&janitor, &objects, &decoder).await;
        if let Err(error) = &made {
            Counter::JanitorFailures.add(1);
            tracing::warn!(error = %error, "a preview could not be made and is put off: {error}");
        }
        let pause = match made {
            Ok(true) => Duration::ZERO,
            Ok(false) => janitor.config.previews_every,
            Err(_) => FAILURE_PAUSE,
        };
        janitor.life.pause(pause).await;
    }
    Ok(())
}

/// Makes the next preview. Whether there was one to make.
async fn next(janitor: &Janitor, objects: &Objects, decoder: &Decoder) -> Result<bool, Failure> {
    // One that is stuck is waited for before the next is claimed.
    let Ok(slot) = Arc::clone(&decoder.slot).acquire_owned().await else { return Ok(false) };
    let Some(due) = removing_batch(janitor, claim(janitor)).await? else { return Ok(false) };
    let work = Decoding { workers: &decoder.workers, slot };
    // A janitor that stops does not wait for a picture: another makes it.
    let making = Box::pin(make(janitor, objects, work, &due));
    let made = janitor.life.unless_drained(DRAIN_GRACE, making).await;
    let outcome = made.unwrap_or(Ok("late"));
    if matches!(outcome, Err(Failure::Objects(_))) {
        batch(janitor, give_back(janitor, due.id)).await?;
    }
    let name = outcome.as_ref().copied().unwrap_or("late");
    Counter::Previews.add_with(1, vec![label("outcome", name)]);
    outcome.map(|_| true)
}

/// Makes a claimed preview. Returns what came of it, in a word.
async fn make(
    janitor: &Janitor,
    objects: &Objects,
    decoding: Decoding<'_>,
    due: &DuePreview,
) -> Result<&'static str, Failure> {
    if due.file_size > i64::try_from(IMAGE_BYTES_MAX).unwrap_or(i64::MAX) {
        return fail(janitor, due).await;
    }
    let bytes = objects.get(&due.object_key, IMAGE_BYTES_MAX).await.map_err(Failure::Objects)?;
    match decoding.run(bytes).await {
        Some(Ok(picture)) => put(janitor, objects, due, picture).await,
        Some(Err(reason)) => {
            tracing::debug!("there is no preview of {}: {reason}", due.id);
            fail(janitor, due).await
        }
        None => Ok("late"),
    }
}

async fn claim(janitor: &Janitor) -> store::Result<Option<DuePreview>> {
    let now = janitor.clock.now();
    let hopeless = fail_hopeless(janitor).await;
    let mut tx = begin(janitor).await?;
    let key = format!("previews/{}", Uuid::new_v4().simple());
    let due = claim_preview(&mut tx, key, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    match hopeless {
        Ok(0) => {}
        Ok(failed) => Counter::Previews.add_with(failed, vec![label("outcome", "failed")]),
        // They are not tried again, and the others do not wait for them.
        Err(error) => tracing::warn!(error = %error, "previews cannot be given up: {error}"),
    }
    Ok(due)
}

async fn fail_hopeless(janitor: &Janitor) -> store::Result<u64> {
    let mut tx = begin(janitor).await?;
    let failed = fail_hopeless_previews(&mut tx, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(failed)
}

/// The one thread that decodes.
struct Decoder {
    /// Held by the thread while it decodes, which cannot be interrupted: no second image is claimed
    /// before it is free.
    slot: Arc<Semaphore>,
    workers: Workers,
}

/// The right to decode one image.
struct Decoding<'a> {
    workers: &'a Workers,
    slot: OwnedSemaphorePermit,
}

impl Decoding<'_> {
    /// Decodes an image; `None` when that takes too long, or panics.
    async fn run(
        self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Option<Result<Picture, String>> {
        let slot = self.slot;
        let decoded = self.workers.run(move || {
            let _slot = slot;
            picture::shrink(bytes.as_ref())
        });
        tokio::time::timeout(DECODING_TIMEOUT, decoded).await.ok()?.ok()
    }
}

async fn put(
    janitor: &Janitor,
    objects: &Objects,
    due: &DuePreview,
    picture: Picture,
) -> Result<&'static str, Failure> {
    let put = objects.put(&due.preview_key, picture.content_type, picture.bytes.into()).await;
    put.map_err(Failure::Objects)?;
    let signed = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let size = (signed(picture.size.0), signed(picture.size.1));
    for _ in 0..NOTE_TRIES_MAX {
        match batch(janitor, note(janitor, due.id, size)).await? {
            PreviewOutcome::Recorded => return Ok("made"),
            PreviewOutcome::UploadRemoved => {
                objects.delete(&due.preview_key).await.map_err(Failure::Objects)?;
                return Ok("made");
            }
            PreviewOutcome::RoomsChanged => {}
        }
    }
    // The claim ends, and another try finds out where it is.
    Ok("late")
}

async fn note(janitor: &Janitor, id: UploadId, size: (i32, i32)) -> store::Result<PreviewOutcome> {
    let mut tx = begin(janitor).await?;
    let noted = note_preview(&mut tx, id, size, janitor.clock.now()).await?;
    if noted != PreviewOutcome::RoomsChanged {
        // No janitor speaks to NATS: edges find it when they compare heads.
        let _unpublished = tx.commit().await?;
    }
    Ok(noted)
}

async fn give_back(janitor: &Janitor, id: UploadId) -> store::Result<()> {
    let mut tx = janitor.store.begin().await?;
    give_preview_back(&mut tx, id, AWAY_PAUSE, janitor.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

async fn fail(janitor: &Janitor, due: &DuePreview) -> Result<&'static str, Failure> {
    let failing = async {
        let mut tx = janitor.store.begin().await?;
        fail_preview(&mut tx, due.id).await?;
        let _nothing_to_publish = tx.commit().await?;
        Ok(())
    };
    batch(janitor, failing).await?;
    Ok("failed")
}
