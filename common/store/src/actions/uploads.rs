//! Uploads: announced, completed, carried by messages, let go of.
//!
//! **Invariants:** the row is there before anyone can put the object, and whoever makes a message
//! carry an upload holds its row: what the janitor found to be carried by nothing stays so.

use std::collections::{BTreeSet, HashMap};

use domain::limits::{
    PENDING_UPLOAD_LIFETIME, UNPOSTED_UPLOAD_LIFETIME, UPLOAD_URL_LIFETIME,
    USER_PENDING_UPLOADS_MAX,
};
use domain::media_type::is_image;
use domain::message::NOT_YOUR_UPLOAD;
use domain::upload::{Attached, NewUpload};
use domain::{Caller, Message, OrgId, Refusal, Timestamp, UploadId, UserId};

use super::file_usage::{self, Owner};
use crate::caps::within_cap;
use crate::queries::uploads::find_own;
use crate::{Result, Tx};

/// An upload that was announced.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its id.
    pub id: UploadId,
    /// Where its object will be in the store.
    pub object_key: String,
    /// Until when the object may be put.
    pub put_until: Timestamp,
}

/// Announces an upload. What its owner has, and has announced, may hold `quota` bytes together; 0
/// is no limit. What was removed counts until its address has ended: its bytes can be put again.
///
/// Refuses with `ValidationFailed` (`file_size`) what is over the quota, and more than
/// [`USER_PENDING_UPLOADS_MAX`] that are not completed.
pub async fn announce(
    tx: &mut Tx,
    caller: Caller,
    (new, object_key): (&NewUpload, String),
    quota: i64,
    now: Timestamp,
) -> Result<Announced> {
    // One at a time, or two could both be the last that fits.
    sqlx::query_scalar!("select id from users where id = $1 for no key update", caller.user.0)
        .fetch_optional(tx.conn())
        .await?;
    let pending = sqlx::query_scalar!(
        r#"select count(*) as "count!" from file_uploads
           where user_id = $1 and status = 'pending' and expires_at > $2"#,
        caller.user.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    within_cap("file_size", "incomplete uploads", pending, USER_PENDING_UPLOADS_MAX)?;
    let owner = Owner::User(caller.user);
    let held = file_usage::lock(tx, &BTreeSet::from([owner]), now).await?;
    if quota > 0 {
        let held = held.get(&owner).copied().unwrap_or(0);
        let left = quota.saturating_sub(held).max(0);
        if new.file_size() > left {
            let fault = format!("is more than the {left} bytes that you have left");
            return Err(Refusal::invalid("file_size", fault).into());
        }
    }
    let (id, put_until) = (UploadId::random(), now + UPLOAD_URL_LIFETIME);
    sqlx::query!(
        "insert into file_uploads (id, user_id, filename, content_type, file_size, object_key,
                                   status, created_at, expires_at, put_until)
         values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9)",
        id as UploadId,
        caller.user.0,
        new.filename(),
        new.content_type(),
        new.file_size(),
        object_key,
        now as Timestamp,
        (now + PENDING_UPLOAD_LIFETIME) as Timestamp,
        put_until as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    file_usage::add(tx, &HashMap::from([(owner, new.file_size())])).await?;
    Ok(Announced { id, object_key, put_until })
}

/// Records that an upload's object is stored, and its verified type. Again changes nothing.
///
/// Refuses with `NotFound` whoever does not own it.
pub async fn complete(
    tx: &mut Tx,
    caller: Caller,
    id: UploadId,
    content_type: &str,
    now: Timestamp,
) -> Result<domain::Upload> {
    sqlx::query!(
        "update file_uploads
         set status = 'completed', uploaded_at = $2, expires_at = $3, preview_state = $4,
             content_type = $5
         where id = $1 and status = 'pending' and user_id = $6",
        id as UploadId,
        now as Timestamp,
        (now + UNPOSTED_UPLOAD_LIFETIME) as Timestamp,
        if is_image(content_type) { "due" } else { "none" },
        content_type,
        caller.user.0,
    )
    .execute(tx.conn())
    .await?;
    find_own(tx.conn(), caller, id, now).await
}

/// What is known of the uploads that a batch of messages is to carry.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    found: HashMap<UploadId, Attachable>,
    /// Bytes that each organization has left; those of which nothing stands here have no limit.
    left: HashMap<OrgId, i64>,
    /// Bytes that the messages of this transaction take.
    taken: HashMap<Owner, i64>,
}

#[derive(Debug)]
struct Attachable {
    attached: Attached,
    owner: UserId,
    is_complete: bool,
    /// Whether no message has carried it yet: then it takes room.
    is_new: bool,
}

impl Uploads {
    /// What a message tells of an upload.
    pub(super) fn attached(&self, id: UploadId) -> Option<Attached> {
        self.found.get(&id).map(|upload| upload.attached.clone())
    }

    /// Why a message of the caller may not carry the upload, if it may not.
    pub(super) fn refused(
        &self,
        caller: Caller,
        upload: Option<UploadId>,
        org: Option<OrgId>,
    ) -> Option<Refusal> {
        let id = upload?;
        let Some(upload) = self.found.get(&id).filter(|upload| upload.owner == caller.user) else {
            return Some(Refusal::invalid("upload_id", NOT_YOUR_UPLOAD));
        };
        if !upload.is_complete {
            return Some(Refusal::UploadIncomplete);
        }
        let left = org.and_then(|org| self.left.get(&org)).filter(|_| upload.is_new);
        let fits = left.is_none_or(|left| upload.attached.file_size <= *left);
        let fault = "is more than the organization has left for files";
        (!fits).then(|| Refusal::invalid("upload_id", fault))
    }

    /// Takes the room of an upload that a message will carry.
    pub(super) fn take(&mut self, upload: Option<UploadId>, org: Option<OrgId>) {
        let Some(upload) = upload.and_then(|id| self.found.get_mut(&id)) else { return };
        let Some(org) = org.filter(|_| std::mem::take(&mut upload.is_new)) else { return };
        *self.taken.entry(Owner::Organization(org)).or_insert(0) += upload.attached.file_size;
        if let Some(left) = self.left.get_mut(&org) {
            *left -= upload.attached.file_size;
        }
    }
}

/// Locks the uploads that messages of these organizations are to carry, in ascending order, as all
/// must. Those that are gone, or past their time, are left out. An organization's files are posted
/// by one transaction after the other.
pub(super) async fn lock(
    tx: &mut Tx,
    wanted: &[(UploadId, OrgId)],
    org_quota: i64,
    now: Timestamp,
) -> Result<Uploads> {
    if wanted.is_empty() {
        return Ok(Uploads::default());
    }
    let ids: Vec<UploadId> = wanted.iter().map(|(id, _)| *id).collect();
    let rows = sqlx::query!(
        r#"select id as "id: UploadId", user_id as "owner: UserId", filename, content_type,
                  file_size, width, height, preview_state = 'made' as "has_preview!", status,
                  org_id as "org: OrgId"
           from file_uploads f
           where id = any($1) and status <> 'removing' and coalesce(expires_at > $2, true)
               and (posted_at is null or exists (
                   select from messages c where c.upload_id = f.id and not c.is_deleted
                       and c.seq >= log_floor(c.room_id, $2) offset 0))
           order by id for no key update"#,
        &ids as &[UploadId],
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    let orgs: BTreeSet<OrgId> = wanted.iter().map(|(_, org)| *org).collect();
    let owners = orgs.into_iter().map(Owner::Organization).collect();
    let held = file_usage::lock(tx, &owners, now).await?;
    let left = held.into_iter().filter_map(|(owner, held)| match owner {
        Owner::Organization(org) if org_quota > 0 => Some((org, org_quota.saturating_sub(held))),
        Owner::Organization(_) | Owner::User(_) => None,
    });
    let found = rows.into_iter().map(|row| {
        let attached = Attached {
            id: row.id,
            filename: row.filename,
            content_type: row.content_type,
            file_size: row.file_size,
            width: row.width,
            height: row.height,
            has_preview: row.has_preview,
        };
        let is_complete = row.status == "completed";
        let is_new = row.org.is_none();
        (row.id, Attachable { attached, owner: row.owner, is_complete, is_new })
    });
    Ok(Uploads { found: found.collect(), left: left.collect(), taken: HashMap::new() })
}

/// Notes which uploads messages carry now.
pub(super) async fn note_posted(
    tx: &mut Tx,
    messages: impl Iterator<Item = &Message>,
    uploads: &Uploads,
) -> Result<()> {
    let (mut ids, mut orgs, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages {
        if let Some(upload) = &message.upload {
            ids.push(upload.id);
            orgs.push(message.org);
            times.push(message.created_at);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update file_uploads f
         set posted_at = coalesce(f.posted_at, t.posted_at),
             org_id = coalesce(f.org_id, t.org_id), expires_at = null
         from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) as t (id, org_id, posted_at)
         where f.id = t.id",
        &ids as &[UploadId],
        &orgs as &[OrgId],
        &times as &[Timestamp],
    )
    .execute(tx.conn())
    .await?;
    file_usage::add(tx, &uploads.taken).await
}

/// Notes that messages which carried these uploads are gone: whether others do, the janitor asks.
pub(super) async fn let_go(tx: &mut Tx, uploads: &[UploadId]) -> Result<()> {
    sqlx::query!(
        "update file_uploads set is_let_go = true
         where id = any(array(
             select id from file_uploads where id = any($1) and not is_let_go
             order by id for no key update))",
        uploads as &[UploadId],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Lets go of all that messages carry which are about to be removed.
pub(super) async fn let_go_of(tx: &mut Tx, messages: &[i64]) -> Result<()> {
    let uploads = sqlx::query_scalar!(
        r#"select distinct upload_id as "id!: UploadId" from messages
           where id = any($1) and upload_id is not null"#,
        messages,
    )
    .fetch_all(tx.conn())
    .await?;
    if uploads.is_empty() { Ok(()) } else { let_go(tx, &uploads).await }
}

/// Ends the uploads of a person that no message carries: the janitor removes them.
pub(super) async fn forget_unposted(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update file_uploads set expires_at = $2 where user_id = $1 and expires_at > $2",
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
