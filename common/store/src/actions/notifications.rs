//! What a user does with their own notifications.

use domain::notification::Notification;
use domain::{NotificationId, Refusal, Timestamp, UserId};

use crate::queries::notifications::find_notification;
use crate::{Result, Tx};

/// Marks a notification as read or unread. The same again changes nothing.
///
/// Refuses with `NotFound` what is not the user's.
pub async fn set_read(
    tx: &mut Tx,
    user: UserId,
    id: NotificationId,
    is_read: Option<bool>,
    now: Timestamp,
) -> Result<Notification> {
    if let Some(is_read) = is_read {
        sqlx::query!(
            "update notifications
             set is_read = $3, read_at = case when $3 then $4::timestamptz end
             where id = $1 and user_id = $2 and is_read <> $3",
            id.0,
            user.0,
            is_read,
            now as Timestamp,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(find_notification(tx.conn(), user, id, now).await?.ok_or(Refusal::NotFound)?)
}

/// Marks all of a user's notifications as read. Returns how many were not.
pub async fn mark_all_read(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<u64> {
    let updated = sqlx::query!(
        "update notifications set is_read = true, read_at = $2
         where user_id = $1 and not is_read
             and (message_id is null or exists (
                 select from messages m
                 where m.id = message_id and m.created_at > kept_since(m.org_id, $2)))
             and (room_id is null or exists (
                 select from room_members rm
                 where rm.room_id = notifications.room_id and rm.user_id = $1))",
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(updated.rows_affected())
}
