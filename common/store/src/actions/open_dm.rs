//! Direct messages: one room for each set of people of an organization.

use std::collections::BTreeSet;

use domain::limits::DM_OTHERS;
use domain::{Caller, Refusal, RoomId, Timestamp, UserId};

use crate::access::OrgAccess;
use crate::actions::create_room::Opened;
use crate::actions::membership::{join, join_quietly};
use crate::log::lock_rooms;
use crate::queries::rooms::find_room;
use crate::{Error, Result, Tx};

/// Opens the direct message of the caller and `others`: the one that this set of people has, into
/// which it puts back who had left the organization, or a new one. The organization is locked
/// ([`crate::access::org_for_changing`]), so two calls never make two.
///
/// Refuses with `ValidationFailed` (`user_ids`) when that leaves nobody, too many, or someone who
/// is not in the organization.
pub async fn open_dm(
    tx: &mut Tx,
    org: OrgAccess,
    caller: Caller,
    others: &[UserId],
    now: Timestamp,
) -> Result<Opened> {
    let others: BTreeSet<UserId> =
        others.iter().copied().filter(|&other| other != caller.user).collect();
    if !DM_OTHERS.contains(&others.len()) {
        let fault = format!("must name {} to {} other people", DM_OTHERS.start(), DM_OTHERS.end());
        return Err(Refusal::invalid("user_ids", fault).into());
    }
    let people: BTreeSet<UserId> = others.iter().copied().chain([caller.user]).collect();
    let people: Vec<UserId> = people.into_iter().collect();
    check_members(tx, org, &people).await?;
    let key = people.iter().map(UserId::to_string).collect::<Vec<_>>().join(",");
    let found = sqlx::query_scalar!(
        r#"select id as "id: RoomId" from rooms where org_id = $1 and dm_key = $2"#,
        org.org().0,
        key,
    )
    .fetch_optional(tx.conn())
    .await?;
    let (id, added) = if let Some(id) = found {
        let mut room = lock_rooms(tx, &[id]).await?.pop().ok_or(Refusal::NotFound)?;
        (id, join(tx, &mut room, &people, now).await?)
    } else {
        let id = insert(tx, org, (caller, &key), now).await?;
        let room = lock_rooms(tx, &[id]).await?.pop().ok_or(Refusal::NotFound)?;
        (id, join_quietly(tx, &room, &people, now).await?)
    };
    let room = find_room(tx.conn(), id, Some(caller.user), now)
        .await?
        .ok_or_else(|| Error::Bug(format!("room {id} is gone as it is opened")))?;
    let added = added.into_iter().filter(|&person| person != caller.user).collect();
    Ok(Opened { room, is_new: found.is_none(), added })
}

async fn check_members(tx: &mut Tx, org: OrgAccess, people: &[UserId]) -> Result<()> {
    let strangers = sqlx::query_scalar!(
        r#"select t.id as "id!" from unnest($2::bigint[]) as t (id)
           where not exists (
               select from organization_members o where o.org_id = $1 and o.user_id = t.id)
           order by t.id"#,
        org.org().0,
        people as &[UserId],
    )
    .fetch_all(tx.conn())
    .await?;
    if strangers.is_empty() {
        return Ok(());
    }
    let ids = strangers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let fault = format!("not in the organization: {ids}");
    Err(Refusal::invalid("user_ids", fault).into())
}

async fn insert(
    tx: &mut Tx,
    org: OrgAccess,
    (caller, key): (Caller, &str),
    now: Timestamp,
) -> Result<RoomId> {
    Ok(sqlx::query_scalar!(
        r#"insert into rooms (org_id, name, dm_key, access_level, created_by, created_at)
           values ($1, '', $2, 'PRIVATE', $3, $4)
           returning id as "id: RoomId""#,
        org.org().0,
        key,
        caller.user.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?)
}
