//! Reading: a member's marker moves forward.
//!
//! The room's row is not locked: reading must never stand in the way of sending. Two readings of
//! one member meet at their own row, and the later place wins.

use domain::room::Unread;
use domain::{MessageId, Refusal, Seq, Timestamp};

use crate::access::MemberAccess;
use crate::queries::unread::find_unread;
use crate::{Result, Tx};

/// What reading came to.
#[derive(Clone, Debug)]
pub struct Marked {
    /// Where the reader stands now.
    pub unread: Unread,
    /// Whether this reading moved them.
    pub has_moved: bool,
}

/// Marks a room as read up to a message, and the notifications up to there. An earlier message than the last one changes nothing.
///
/// Joining had moved the marker to the head without naming a message: so the last read message
/// and the marker each move forward by themselves, and the first reading always names one.
///
/// Refuses with `NotFound` a message that is not of this room, or has expired; with `NotAMember` who has left
/// meanwhile.
pub async fn mark_read(
    tx: &mut Tx,
    room: &MemberAccess,
    user: domain::UserId,
    message: MessageId,
    now: Timestamp,
) -> Result<Marked> {
    let seq = sqlx::query_scalar!(
        r#"select seq as "seq: Seq" from messages
           where id = $1 and room_id = $2 and seq >= log_floor($2, $3)"#,
        message.0,
        room.room().0,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    let moved = sqlx::query!(
        "update room_members
         set last_read_msg_id = $3, last_read_seq = greatest(last_read_seq, $4)
         where room_id = $1 and user_id = $2 and coalesce(last_read_msg_id, 0) < $3",
        room.room().0,
        user.0,
        message.0,
        seq.0,
    )
    .execute(tx.conn())
    .await?;
    // After the marker: see `plan_notifications`.
    sqlx::query!(
        "update notifications set is_read = true, read_at = $4
         where user_id = $1 and room_id = $2 and seq <= $3 and not is_read",
        user.0,
        room.room().0,
        seq.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    let unread =
        find_unread(tx.conn(), user, room.room(), now).await?.ok_or(Refusal::NotAMember)?;
    Ok(Marked { unread, has_moved: moved.rows_affected() > 0 })
}
