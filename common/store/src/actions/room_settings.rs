//! A member's own settings of a room. They are nobody else's business: no event.

use domain::room::{Notify, RoomSettings, RoomSettingsChange};
use domain::{Refusal, UserId};
use sqlx::PgConnection;

use crate::access::MemberAccess;
use crate::{Error, Result, Tx};

/// The settings of a member.
///
/// # Errors
/// `NotAMember` for who has left meanwhile.
pub async fn room_settings(
    conn: &mut PgConnection,
    room: &MemberAccess,
    user: UserId,
) -> Result<RoomSettings> {
    let row = sqlx::query!(
        "select notify, section, starred from room_members where room_id = $1 and user_id = $2",
        room.room().0,
        user.0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotAMember)?;
    settings(&row.notify, row.section, row.starred)
}

/// Changes the settings of a member. `true` when that changed anything.
///
/// # Errors
/// `NotAMember` for who has left meanwhile.
pub async fn change_settings(
    tx: &mut Tx,
    room: &MemberAccess,
    user: UserId,
    change: RoomSettingsChange,
) -> Result<(RoomSettings, bool)> {
    let row = sqlx::query!(
        "select notify, section, starred from room_members
         where room_id = $1 and user_id = $2 for no key update",
        room.room().0,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotAMember)?;
    let before = settings(&row.notify, row.section, row.starred)?;
    let after = RoomSettings {
        notify: change.notify.unwrap_or(before.notify),
        section: change.section.unwrap_or_else(|| before.section.clone()),
        starred: change.starred.unwrap_or(before.starred),
    };
    if after == before {
        return Ok((after, false));
    }
    sqlx::query!(
        "update room_members set notify = $3, section = $4, starred = $5
         where room_id = $1 and user_id = $2",
        room.room().0,
        user.0,
        after.notify.as_str(),
        after.section.as_deref(),
        after.starred,
    )
    .execute(tx.conn())
    .await?;
    Ok((after, true))
}

/// What the columns of a member's settings say.
pub(crate) fn settings(
    notify: &str,
    section: Option<String>,
    starred: bool,
) -> Result<RoomSettings> {
    let notify =
        Notify::parse(notify).ok_or_else(|| Error::corrupt("room_members", "notify", notify))?;
    Ok(RoomSettings { notify, section, starred })
}
