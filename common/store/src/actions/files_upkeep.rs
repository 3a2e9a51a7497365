//! The end of uploads, and their small pictures.
//!
//! An upload ends in three steps, so that a janitor may die at any line. Its row is marked
//! `removing` ([`end_expired`], [`end_let_go`]): from that commit on nobody is shown it. Whoever
//! claims it ([`claim_ended`]) has it for a while, removes its objects from the store while no
//! transaction is open, and says so ([`forget`]): then the row goes, or waits. It waits for the end
//! of the address under which the object could be put, and then of what was begun under it; at the
//! end of each the objects are removed once more. **Invariant:** an object of ours is in the store only while its
//! row is here. Meanwhile `expires_at` of a row that is `removing` says when to look at it again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::{Claim, MessageId, OrgId, RoomId, Timestamp, UploadId, UserId, What};

use super::file_usage::{self, Owner};
use super::retention::Run;
use crate::log::{Note, append_noted, lock_rooms};
use crate::queries::messages::find_messages;
use crate::{Result, Tx};

/// How long whoever claims what ended has it for itself.
const CLAIM_LIFETIME: Duration = Duration::from_secs(60);
/// How long bytes may be on their way that were begun to be put in time: a store takes them for as
/// long as something trickles.
const PUT_GRACE: Duration = Duration::from_secs(24 * 3600);
/// How long whoever makes a preview has it for itself: longer than that takes.
const PREVIEW_LIFETIME: Duration = Duration::from_secs(300);
/// How often a preview is tried.
const PREVIEW_TRIES_MAX: i32 = 3;
/// Messages with an image that are told of its size and its preview.
const UPDATED_MESSAGES_MAX: i64 = 100;

/// Ends claimed uploads that were not completed, or not posted, in time.
pub async fn end_expired(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let ended = sqlx::query!(
        "update file_uploads set status = 'removing', preview_state = 'none', expires_at = $1
         where id = any(array(
             select id from file_uploads
             where expires_at <= $1 and status in ('pending', 'completed')
             order by expires_at limit $2 offset $3 for update skip locked))",
        now as Timestamp,
        claim.limit,
        claim.passed_over,
    )
    .execute(tx.conn())
    .await?;
    Ok(ended.rows_affected())
}

/// Checks claimed uploads that were removed from a message. Ends the uploads that no other message contains.
/// Returns the number of uploads checked.
pub async fn end_let_go(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let let_go = sqlx::query_scalar!(
        r#"select id as "id: UploadId" from file_uploads
           where is_let_go order by number limit $1 offset $2 for update skip locked"#,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    // Whoever posts holds the row, so now that it is ours a fresh look sees every message there is.
    sqlx::query!(
        "with carried as (
             select distinct upload_id from messages where upload_id = any($1)
         )
         update file_uploads f
         set is_let_go = false,
             status = case when c.upload_id is null then 'removing' else f.status end,
             preview_state = case when c.upload_id is null then 'none' else f.preview_state end,
             expires_at = case when c.upload_id is null then $2 else f.expires_at end
         from unnest($1) as t (id) left join carried c on c.upload_id = t.id
         where f.id = t.id",
        &let_go as &[UploadId],
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(let_go.len() as u64)
}

/// An upload that has ended, and its objects.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which.
    pub id: UploadId,
    /// Where its objects are, or were, in the store.
    pub keys: Vec<String>,
}

/// Claims uploads that have ended and that nobody else is removing.
pub async fn claim_ended(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<Vec<Ended>> {
    let rows = sqlx::query!(
        r#"update file_uploads set expires_at = $2
           where id = any(array(
               select id from file_uploads
               where status = 'removing' and expires_at <= $1
               order by expires_at limit $3 offset $4 for update skip locked))
           returning id as "id: UploadId", object_key, preview_key"#,
        now as Timestamp,
        (now + CLAIM_LIFETIME) as Timestamp,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    let ended = rows.into_iter().map(|row| {
        let keys = [Some(row.object_key), row.preview_key];
        Ended { id: row.id, keys: keys.into_iter().flatten().collect() }
    });
    Ok(ended.collect())
}

/// Looks at uploads again at `until` that have ended and whose objects could not be removed.
pub async fn postpone_ended(tx: &mut Tx, uploads: &[UploadId], until: Timestamp) -> Result<()> {
    sqlx::query!(
        "update file_uploads set expires_at = $2 where id = any($1) and status = 'removing'",
        uploads as &[UploadId],
        until as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes the rows of claimed uploads whose objects are gone from the store and cannot come back;
/// the rest waits. `now` is a time before they were removed. Returns which organization each removed one was posted in, if any.
pub async fn forget(
    tx: &mut Tx,
    uploads: &[UploadId],
    now: Timestamp,
) -> Result<Vec<Option<OrgId>>> {
    uncount(tx, uploads, now).await?;
    let gone = sqlx::query_scalar!(
        r#"delete from file_uploads
           where id = any(array(
                   select id from file_uploads where id = any($1) order by id for update))
               and status = 'removing' and put_until <= $2
               and coalesce(preview_until <= $3, true)
           returning org_id as "org: OrgId""#,
        uploads as &[UploadId],
        (now - PUT_GRACE) as Timestamp,
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    sqlx::query!(
        "update file_uploads
         set expires_at = greatest(
             case when put_until > $3 then put_until
                  else put_until + make_interval(secs => $2) end,
             preview_until)
         where id = any($1) and status = 'removing'",
        uploads as &[UploadId],
        PUT_GRACE.as_secs_f64(),
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(gone)
}

/// Takes uploads off their owners' counts whose bytes cannot be put any more.
async fn uncount(tx: &mut Tx, uploads: &[UploadId], now: Timestamp) -> Result<()> {
    let rows = sqlx::query!(
        r#"update file_uploads set is_counted = false
           where id = any(array(
                   select id from file_uploads where id = any($1) order by id for update))
               and is_counted and status = 'removing' and put_until <= $2
           returning user_id as "user: UserId", org_id as "org: OrgId", file_size"#,
        uploads as &[UploadId],
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut less = HashMap::new();
    for row in rows {
        let org = row.org.map(Owner::Organization);
        for owner in org.into_iter().chain([Owner::User(row.user)]) {
            *less.entry(owner).or_insert(0) -= row.file_size;
        }
    }
    file_usage::add(tx, &less).await
}

/// Adds removed files to the record of an organization.
pub async fn record_files(tx: &mut Tx, run: &Run, files: i64, now: Timestamp) -> Result<Run> {
    run.record(tx, &[("files", files)], now).await
}

/// An image of which a small picture is to be made.
#[derive(Clone, Debug)]
pub struct DuePreview {
    /// Which upload.
    pub id: UploadId,
    /// Where the image is in the store.
    pub object_key: String,
    /// Its bytes.
    pub file_size: i64,
    /// Where the picture goes.
    pub preview_key: String,
}

/// Claims the next preview that nobody else makes; `key` is where it goes unless an earlier try
/// has named a place.
pub async fn claim_preview(tx: &mut Tx, key: String, now: Timestamp) -> Result<Option<DuePreview>> {
    let row = sqlx::query!(
        r#"update file_uploads
           set preview_until = $2, preview_tries = preview_tries + 1,
               preview_key = coalesce(preview_key, $3)
           where id = (
               select id from file_uploads
               where preview_state = 'due' and coalesce(preview_until <= $1, true)
                   and preview_tries < $4
               order by number limit 1 for update skip locked)
           returning id as "id: UploadId", object_key, file_size,
                     preview_key as "preview_key!""#,
        now as Timestamp,
        (now + PREVIEW_LIFETIME) as Timestamp,
        key,
        PREVIEW_TRIES_MAX,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| DuePreview {
        id: row.id,
        object_key: row.object_key,
        file_size: row.file_size,
        preview_key: row.preview_key,
    }))
}

/// Gives a claimed preview back, as if it had not been tried: the store was away.
pub async fn give_preview_back(
    tx: &mut Tx,
    id: UploadId,
    again: Duration,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "update file_uploads set preview_tries = preview_tries - 1, preview_until = $2
         where id = $1 and preview_state = 'due' and preview_tries > 0",
        id as UploadId,
        (now + again) as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What became of a preview that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewOutcome {
    /// It is shown, and the messages that carry the image have been changed.
    Recorded,
    /// The upload has ended meanwhile: the picture is nobody's.
    UploadRemoved,
    /// A message in another room came to carry the image meanwhile: nothing was changed. To be tried
    /// again, in another transaction.
    RoomsChanged,
}

/// Records a claimed preview that is in the store, and the image's size in pixels. Appends an update
/// to the log for each of the newest [`UPDATED_MESSAGES_MAX`] messages that contain the image.
///
/// Lock order: rooms, then the upload, as for sending. A transaction that sends a message with this
/// upload holds the upload's row until it commits, so all such messages are visible once this
/// transaction has that row.
pub async fn note_preview(
    tx: &mut Tx,
    id: UploadId,
    (width, height): (i32, i32),
    now: Timestamp,
) -> Result<PreviewOutcome> {
    let rooms: BTreeSet<_> = carriers(tx, id).await?.into_iter().map(|(_, room)| room).collect();
    let rooms: Vec<_> = rooms.into_iter().collect();
    let mut locked = lock_rooms(tx, &rooms).await?;
    let state = sqlx::query_scalar!(
        "select preview_state from file_uploads
         where id = $1 and preview_state in ('due', 'made') for no key update",
        id as UploadId,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(state) = state else { return Ok(PreviewOutcome::UploadRemoved) };
    let carriers = carriers(tx, id).await?;
    if carriers.iter().any(|(_, room)| !rooms.contains(room)) {
        return Ok(PreviewOutcome::RoomsChanged);
    }
    sqlx::query!(
        "update file_uploads
         set preview_state = 'made', preview_until = null, width = $2, height = $3
         where id = $1",
        id as UploadId,
        width,
        height,
    )
    .execute(tx.conn())
    .await?;
    // A janitor whose claim ended has recorded what another recorded before it.
    if state == "made" {
        return Ok(PreviewOutcome::Recorded);
    }
    let ids: Vec<_> = carriers.iter().map(|(message, _)| message.0).collect();
    let mut messages: Vec<_> = find_messages(tx.conn(), &ids, now).await?.into_values().collect();
    messages.sort_unstable_by_key(|message| message.id);
    for room in &mut locked {
        let events = messages
            .extract_if(.., |message| message.room == room.id())
            .map(|message| (message.sender, What::MessageUpdated(Box::new(message))))
            .collect();
        append_noted(tx, room, events, Note::NoEdit).await?;
    }
    Ok(PreviewOutcome::Recorded)
}

/// The newest messages that carry an upload, with their rooms.
async fn carriers(tx: &mut Tx, id: UploadId) -> Result<Vec<(MessageId, RoomId)>> {
    let rows = sqlx::query!(
        r#"select id as "id: MessageId", room_id as "room: RoomId" from messages
           where upload_id = $1 and not is_deleted order by id desc limit $2"#,
        id as UploadId,
        UPDATED_MESSAGES_MAX,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.room)).collect())
}

/// Notes that there is no preview, and never will be.
pub async fn fail_preview(tx: &mut Tx, id: UploadId) -> Result<()> {
    sqlx::query!(
        "update file_uploads set preview_state = 'failed', preview_until = null
         where id = $1 and preview_state = 'due'",
        id as UploadId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives up previews that were tried often enough: whoever tried last may have died of it.
pub async fn fail_hopeless_previews(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    let failed = sqlx::query!(
        "update file_uploads set preview_state = 'failed', preview_until = null
         where id = any(array(
             select id from file_uploads
             where preview_state = 'due' and preview_tries >= $2
                 and coalesce(preview_until <= $1, true)
             order by number limit 100 for update skip locked))",
        now as Timestamp,
        PREVIEW_TRIES_MAX,
    )
    .execute(tx.conn())
    .await?;
    Ok(failed.rows_affected())
}

/// How many uploads wait to be removed, and how many previews to be made, each counted up to
/// 10,000.
pub async fn waiting(tx: &mut Tx, now: Timestamp) -> Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"select (select count(*) from (
                      select from file_uploads where status = 'removing' and expires_at <= $1
                      limit 10000) removing) as "removing!",
                  (select count(*) from (
                      select from file_uploads where preview_state = 'due'
                      limit 10000) due) as "due!""#,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.removing, row.due))
}
