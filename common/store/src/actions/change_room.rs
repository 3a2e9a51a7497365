//! Changing and deleting a room, and taking people out of it.

use domain::room::{Room, RoomChange};
use domain::{AccessLevel, Caller, Refusal, RoomId, Timestamp, UserId, What};

use crate::access;
use crate::actions::membership::{join_quietly, leave};
use crate::actions::removals::note_rooms;
use crate::actions::room_names::check_name;
use crate::log::{LockedRoom, append};
use crate::queries::rooms::{admitted_by, find_room, members_not_admitted};
use crate::{Result, Tx};

/// A locked room that the caller may change.
#[derive(Debug)]
pub struct RoomForChanging {
    room: LockedRoom,
    caller: Caller,
}

/// What a change came to.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The room as it is now.
    pub room: Room,
    /// Who came, by `auto_join`.
    pub added: Vec<UserId>,
    /// Whom the level no longer admits.
    pub removed: Vec<UserId>,
}

/// The room, if the caller may change it, under a share lock of its organization: roles stay what
/// they are while the room is fitted to them.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn room_for_changing(tx: &mut Tx, caller: Caller, id: RoomId) -> Result<RoomForChanging> {
    let (room, access) = access::lock_org_and_room(tx, caller.user, id).await?;
    if !access.standing().may_change() {
        return Err(Refusal::Forbidden.into());
    }
    Ok(RoomForChanging { room, caller })
}

/// Changes a room: one event, whatever it changes; what the room already is takes none. Who is
/// no longer admitted leaves, with an event each; who comes by `auto_join` does so without.
///
/// Refuses with `ValidationFailed` (`auto_join`) when the room would be PRIVATE with `auto_join`, with
/// `NameTaken` when another room that the caller sees has the new name.
pub async fn change_room(
    tx: &mut Tx,
    target: RoomForChanging,
    change: RoomChange,
    now: Timestamp,
) -> Result<Changed> {
    let RoomForChanging { room: mut locked, caller } = target;
    let room =
        find_room(tx.conn(), locked.id, Some(caller.user), now).await?.ok_or(Refusal::NotFound)?;
    let change = change.against(&room);
    let level = change.access_level.unwrap_or(room.access_level);
    let auto_join = change.auto_join.unwrap_or(room.auto_join);
    if auto_join && level == AccessLevel::Private {
        return Err(Refusal::invalid("auto_join", "must be false for a PRIVATE room").into());
    }
    if change.is_empty() {
        return Ok(Changed { room, added: Vec::new(), removed: Vec::new() });
    }
    if let Some(name) = &change.name {
        check_name(tx, (room.org, Some(room.id)), caller.user, name).await?;
    }
    sqlx::query!(
        "update rooms set name = coalesce($2, name), topic = coalesce($3, topic),
                          access_level = $4, auto_join = $5
         where id = $1",
        room.id.0,
        change.name,
        change.topic,
        level.as_str(),
        auto_join,
    )
    .execute(tx.conn())
    .await?;
    locked.access_level = level;
    let has_new_level = change.access_level.is_some();
    append(tx, &mut locked, vec![(caller.user, What::RoomUpdated(change))]).await?;
    let mut removed = Vec::new();
    if has_new_level {
        let people = members_not_admitted(tx, &locked, level).await?;
        removed = leave(tx, &mut locked, &people).await?;
    }
    let mut added = Vec::new();
    if auto_join {
        // Set already, it brings only those who were not admitted before: who left stays away.
        let before = room.auto_join.then_some(room.access_level);
        let people = admitted_by(tx, room.org, (before, level)).await?;
        added = join_quietly(tx, &locked, &people, now).await?;
    }
    let room =
        find_room(tx.conn(), room.id, Some(caller.user), now).await?.ok_or(Refusal::NotFound)?;
    Ok(Changed { room, added, removed })
}

/// Deletes a room: nobody finds anything of it any more, and its rows go in batches. What its log
/// still had waiting in the outbox can no longer be told, and goes too.
///
/// Refuses with `LegalHold` while its organization has one.
pub async fn delete_room(tx: &mut Tx, target: RoomForChanging, now: Timestamp) -> Result<()> {
    let room = target.room;
    let is_held =
        sqlx::query_scalar!("select legal_hold from organizations where id = $1", room.org.0)
            .fetch_one(tx.conn())
            .await?;
    if is_held {
        return Err(Refusal::LegalHold.into());
    }
    sqlx::query!("delete from outbox where room_id = $1", room.id.0).execute(tx.conn()).await?;
    sqlx::query!("delete from room_members where room_id = $1", room.id.0)
        .execute(tx.conn())
        .await?;
    note_rooms(tx, room.org, &[room.id], now).await?;
    sqlx::query!("delete from rooms where id = $1", room.id.0).execute(tx.conn()).await?;
    Ok(())
}

/// Takes someone out of a room.
///
/// Refuses with `NotFound` who is not in it.
pub async fn remove_from_room(tx: &mut Tx, target: RoomForChanging, user: UserId) -> Result<()> {
    let RoomForChanging { mut room, .. } = target;
    let left = leave(tx, &mut room, &[user]).await?;
    if left.is_empty() { Err(Refusal::NotFound.into()) } else { Ok(()) }
}
