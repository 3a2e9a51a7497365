//! A room begins.

use domain::limits::ORG_ROOMS_MAX;
use domain::room::{NewRoom, Room};
use domain::{Caller, Refusal, Role, RoomId, Timestamp, UserId};
use serde_json::json;

use crate::access::{self, OrgAccess};
use crate::actions::membership::join_quietly;
use crate::actions::room_names::check_name;
use crate::caps::within_cap;
use crate::log::{append_org, lock_rooms};
use crate::queries::rooms::{admitted_by, find_room};
use crate::{Error, Result, Tx};

/// A room that came to be, or was found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The room.
    pub room: Room,
    /// Whether it is new.
    pub is_new: bool,
    /// Who, besides the caller, was put into it.
    pub added: Vec<UserId>,
}

/// The organization, locked, if the caller may make rooms in it: its members stay who they are
/// until the room has those whom it is to have.
///
/// # Errors
/// `NotFound` for strangers, `Forbidden` below MANAGER.
pub async fn org_for_rooms(tx: &mut Tx, caller: Caller, org: domain::OrgId) -> Result<OrgAccess> {
    access::org_for_changing(tx, caller, org).await?.at_least(Role::Manager)
}

/// Makes a room. The caller is its first member; `auto_join` brings everyone whom the level
/// admits, and none of them takes a place in the log. The organization is locked.
///
/// Refuses with `ValidationFailed` (`org`) when it has as many as it may, with `NameTaken` when a room
/// that the caller sees has the name.
pub async fn create_room(
    tx: &mut Tx,
    org: OrgAccess,
    caller: Caller,
    new: NewRoom,
    now: Timestamp,
) -> Result<Opened> {
    // The proof, not the body, says where the room comes to be.
    let org = org.at_least(Role::Manager)?.org();
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from rooms where org_id = $1 and dm_key is null"#,
        org.0,
    )
    .fetch_one(tx.conn())
    .await?;
    within_cap("org", "rooms", count, ORG_ROOMS_MAX)?;
    check_name(tx, (org, None), caller.user, &new.name).await?;
    let id = sqlx::query_scalar!(
        r#"with room as (
               insert into rooms (org_id, name, topic, access_level, auto_join, created_by,
                                  created_at, members_count)
               values ($1, $2, $3, $4, $5, $6, $7, 1)
               returning id
           )
           insert into room_members (room_id, user_id, last_read_seq, joined_at)
           select id, $6, 0, $7 from room returning room_id as "room_id: RoomId""#,
        org.0,
        new.name,
        new.topic,
        new.access_level.as_str(),
        new.auto_join,
        caller.user.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    let mut added = Vec::new();
    if new.auto_join {
        let room = lock_rooms(tx, &[id]).await?.pop().ok_or(Refusal::NotFound)?;
        let people = admitted_by(tx, org, (None, new.access_level)).await?;
        added = join_quietly(tx, &room, &people, now).await?;
    }
    let data = json!({
        "room": id, "name": new.name, "topic": new.topic,
        "access_level": new.access_level.as_str(), "auto_join": new.auto_join,
    });
    append_org(tx, org, ("room.created", caller.user, data)).await?;
    let room = find_room(tx.conn(), id, Some(caller.user), now)
        .await?
        .ok_or_else(|| Error::Bug(format!("room {id} is gone as it is made")))?;
    Ok(Opened { room, is_new: true, added })
}
