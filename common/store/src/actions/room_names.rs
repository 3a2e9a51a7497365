//! Names of rooms, which tell the rooms of an organization apart.

use domain::access::Standing;
use domain::text::identity;
use domain::{AccessLevel, OrgId, Refusal, RoomId, UserId};

use crate::access::find_role;
use crate::{Error, Result, Tx};

/// Checks that no other room of the organization has this name, as [`identity`] compares names, among
/// the rooms that the user sees: a name must not reveal a room that they may not know of. Concurrent
/// calls for one organization run one after another, until the end of the transaction.
///
/// Reads the names of all rooms of the organization, of which there are at most
/// [`domain::limits::ORG_ROOMS_MAX`]; equal names from before this check stay.
///
/// # Errors
/// `NameTaken`.
pub(super) async fn check_name(
    tx: &mut Tx,
    (org, except): (OrgId, Option<RoomId>),
    user: UserId,
    name: &str,
) -> Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('room names of ' || $1::bigint, 0))",
        org.0,
    )
    .execute(tx.conn())
    .await?;
    let role = find_role(tx.conn(), user, org).await?;
    let rooms = sqlx::query!(
        r#"select r.id as "id: RoomId", r.name, r.access_level, m.id is not null as "is_member!"
           from rooms r left join room_members m on m.room_id = r.id and m.user_id = $2
           where r.org_id = $1 and r.dm_key is null"#,
        org.0,
        user.0,
    )
    .fetch_all(tx.conn())
    .await?;
    let wanted = identity(name);
    for room in rooms {
        if Some(room.id) == except || identity(&room.name) != wanted {
            continue;
        }
        let standing = Standing {
            role,
            is_member: room.is_member,
            is_creator: false,
            is_dm: false,
            access_level: AccessLevel::parse(&room.access_level)
                .ok_or_else(|| Error::corrupt("rooms", "access_level", &room.access_level))?,
        };
        if standing.sees() {
            return Err(Refusal::NameTaken.into());
        }
    }
    Ok(())
}
