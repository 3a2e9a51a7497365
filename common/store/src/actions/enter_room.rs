//! Joining, inviting, leaving.
//!
//! Who comes in does so under a share lock of the organization, then the room's lock: nobody
//! leaves the organization, or is demoted, between the check and the arrival.

use domain::{Caller, Refusal, RoomId, Timestamp, UserId};

use crate::access::{self, RoomAccess, find_role};
use crate::actions::membership::{bring, join, leave};
use crate::log::LockedRoom;
use crate::{Result, Tx};

/// A locked room that the caller is in or may join.
#[derive(Debug)]
pub struct RoomForJoining {
    room: LockedRoom,
    access: RoomAccess,
    caller: Caller,
}

impl RoomForJoining {
    /// The proof for reading the room.
    pub fn access(&self) -> RoomAccess {
        self.access
    }
}

/// The room, if the caller is in it or may join.
///
/// # Errors
/// `NotFound`; `Forbidden` for direct messages and for who only sees the room.
pub async fn room_for_joining(tx: &mut Tx, caller: Caller, id: RoomId) -> Result<RoomForJoining> {
    let (room, access) = access::lock_org_and_room(tx, caller.user, id).await?;
    let standing = access.standing();
    if standing.is_dm || !(standing.is_member || standing.may_join()) {
        return Err(Refusal::Forbidden.into());
    }
    Ok(RoomForJoining { room, access, caller })
}

/// Makes the caller a member. `false` when they were one.
pub async fn join_room(tx: &mut Tx, target: RoomForJoining, now: Timestamp) -> Result<bool> {
    let RoomForJoining { mut room, caller, .. } = target;
    Ok(!join(tx, &mut room, &[caller.user], now).await?.is_empty())
}

/// A locked room into which the caller may bring others.
#[derive(Debug)]
pub struct RoomForInviting {
    room: LockedRoom,
    access: RoomAccess,
    caller: Caller,
}

impl RoomForInviting {
    /// The proof for reading the room.
    pub fn access(&self) -> RoomAccess {
        self.access
    }
}

/// The room, if the caller may invite.
///
/// # Errors
/// `NotFound`, `NotAMember`; `Forbidden` in direct messages and for who may not.
pub async fn room_for_inviting(tx: &mut Tx, caller: Caller, id: RoomId) -> Result<RoomForInviting> {
    let (room, access) = access::lock_org_and_room(tx, caller.user, id).await?;
    let access = *access.as_member()?;
    if !access.standing().may_invite() {
        return Err(Refusal::Forbidden.into());
    }
    Ok(RoomForInviting { room, access, caller })
}

/// Makes someone a member. `false` when they were one.
///
/// Refuses with `ValidationFailed` (`user_id`) who is not in the organization, or whom the level
/// does not admit.
pub async fn invite_to_room(
    tx: &mut Tx,
    target: RoomForInviting,
    user: UserId,
    now: Timestamp,
) -> Result<bool> {
    let RoomForInviting { mut room, access, caller } = target;
    let Some(role) = find_role(tx.conn(), user, access.org()).await? else {
        return Err(Refusal::invalid("user_id", "is not in the organization").into());
    };
    if !access.standing().access_level.admits(role) {
        return Err(Refusal::invalid("user_id", "the room's level does not admit them").into());
    }
    Ok(!bring(tx, &mut room, (user, caller.user), now).await?.is_empty())
}

/// Takes the caller out of a room.
///
/// Refuses with `NotFound`, `NotAMember`; `Forbidden` in direct messages.
pub async fn leave_room(tx: &mut Tx, caller: Caller, id: RoomId) -> Result<()> {
    let (mut room, access) = access::lock_room(tx, caller.user, id).await?;
    if access.as_member()?.standing().is_dm {
        return Err(Refusal::Forbidden.into());
    }
    leave(tx, &mut room, &[caller.user]).await?;
    Ok(())
}
