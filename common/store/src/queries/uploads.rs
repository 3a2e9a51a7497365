//! Uploads, for their owners and for those who may fetch them.

use domain::upload::UploadStatus;
use domain::{Caller, Refusal, Timestamp, Upload, UploadId, UserId};
use sqlx::PgConnection;

use crate::page::Slice;
use crate::{Error, Result};

struct Row {
    id: UploadId,
    number: i64,
    user: UserId,
    filename: String,
    content_type: String,
    file_size: i64,
    object_key: String,
    status: String,
    uploaded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    width: Option<i32>,
    height: Option<i32>,
    preview_key: Option<String>,
}

/// `select`s rows of `file_uploads f` that are there for clients, as [`Row`]; `$2` is the time.
/// What was posted is there as long as a message that carries it is. `offset 0` has that looked up
/// upload by upload: hashed, all messages would be read for it.
macro_rules! select_uploads {
    ($tail:literal, $($arg:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select f.id as "id: UploadId", f.number, f.user_id as "user: UserId", f.filename,
                      f.content_type, f.file_size, f.object_key, f.status,
                      f.uploaded_at as "uploaded_at: Timestamp",
                      f.expires_at as "expires_at: Timestamp", f.width, f.height,
                      case when f.preview_state = 'made' then f.preview_key end as preview_key
               from file_uploads f
               where f.status <> 'removing' and coalesce(f.expires_at > $2, true)
                   and (f.posted_at is null or exists (
                       select from messages c where c.upload_id = f.id and not c.is_deleted
                           and c.seq >= log_floor(c.room_id, $2) offset 0))
                   and "# + $tail,
            $($arg),*
        )
    };
}

impl TryFrom<Row> for Upload {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let status = match row.status.as_str() {
            "pending" => UploadStatus::Pending,
            "completed" => UploadStatus::Completed,
            other => return Err(Error::corrupt("file_uploads", "status", other)),
        };
        Ok(Self {
            id: row.id,
            number: row.number,
            user: row.user,
            filename: row.filename,
            content_type: row.content_type,
            file_size: row.file_size,
            object_key: row.object_key,
            status,
            uploaded_at: row.uploaded_at,
            expires_at: row.expires_at,
            width: row.width,
            height: row.height,
            preview_key: row.preview_key,
        })
    }
}

/// A stretch of the caller's uploads, by number.
pub async fn uploads(
    conn: &mut PgConnection,
    caller: Caller,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Upload>> {
    let rows = if slice.descending {
        select_uploads!(
            "f.user_id = $1 and f.number > $3 and f.number < $4 order by f.number desc limit $5",
            caller.user.0,
            now as Timestamp,
            slice.after,
            slice.before,
            slice.limit,
        )
        .fetch_all(conn)
        .await?
    } else {
        select_uploads!(
            "f.user_id = $1 and f.number > $3 and f.number < $4 order by f.number limit $5",
            caller.user.0,
            now as Timestamp,
            slice.after,
            slice.before,
            slice.limit,
        )
        .fetch_all(conn)
        .await?
    };
    rows.into_iter().map(Upload::try_from).collect()
}

/// An upload of the caller's own.
///
/// # Errors
/// `NotFound` for all others.
pub async fn find_own(
    conn: &mut PgConnection,
    caller: Caller,
    id: UploadId,
    now: Timestamp,
) -> Result<Upload> {
    let row = select_uploads!(
        "f.id = $1 and f.user_id = $3",
        id as UploadId,
        now as Timestamp,
        caller.user.0
    )
    .fetch_optional(conn)
    .await?;
    row.ok_or(Refusal::NotFound)?.try_into()
}

/// An upload that the caller may fetch: their own, or one that a message carries which they can
/// read now.
///
/// # Errors
/// `NotFound` for all others.
pub async fn find_readable(
    conn: &mut PgConnection,
    caller: Caller,
    id: UploadId,
    now: Timestamp,
) -> Result<Upload> {
    let row = select_uploads!(
        "f.id = $1 and (f.user_id = $3 or exists (
             select from messages m
             join room_members r on r.room_id = m.room_id and r.user_id = $3
             where m.upload_id = f.id and not m.is_deleted
                 and m.seq >= log_floor(m.room_id, $2)))",
        id as UploadId,
        now as Timestamp,
        caller.user.0,
    )
    .fetch_optional(conn)
    .await?;
    row.ok_or(Refusal::NotFound)?.try_into()
}
