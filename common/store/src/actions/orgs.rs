//! Organizations: creating one, renaming it, deleting it.

use domain::org::Org;
use domain::{Caller, OrgId, Refusal, Role, RoomId, Timestamp};

use super::email_verification::require_verified;
use super::removals::{note_org, note_rooms};
use crate::access::OrgAccess;
use crate::log::lock_rooms;
use crate::queries::orgs::org;
use crate::{Result, Tx};

/// Creates an organization, whose first member and ADMIN is the caller. One account has created at
/// most `created_max` that are left; 0 is no limit.
///
/// Refuses with `EmailUnverified`, with `ValidationFailed` (`name`) above the limit.
pub async fn create_org(
    tx: &mut Tx,
    (caller, created_max): (Caller, u32),
    name: String,
    now: Timestamp,
) -> Result<Org> {
    // Locks the account, so that parallel requests are counted one after the other.
    require_verified(tx, caller.user).await?;
    if created_max > 0 {
        let created = sqlx::query_scalar!(
            r#"select count(*) as "created!" from organizations where created_by = $1"#,
            caller.user.0,
        )
        .fetch_one(tx.conn())
        .await?;
        if created >= i64::from(created_max) {
            let fault = format!("you have created {created_max} organizations, the most allowed");
            return Err(Refusal::invalid("name", fault).into());
        }
    }
    let id = sqlx::query_scalar!(
        r#"with made as (
               insert into organizations (name, created_at, created_by) values ($1, $2, $3)
               returning id
           ), membership as (
               insert into organization_members (org_id, user_id, role, joined_at)
               select id, $3, $4, $2 from made
           )
           select id as "id: OrgId" from made"#,
        name,
        now as Timestamp,
        caller.user.0,
        Role::Admin.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Org { id, name, created_at: now, role: Role::Admin })
}

/// Renames an organization.
///
/// Refuses with `Forbidden` who is no ADMIN.
pub async fn rename_org(tx: &mut Tx, access: OrgAccess, name: &str) -> Result<Org> {
    let access = access.at_least(Role::Admin)?;
    sqlx::query!("update organizations set name = $2 where id = $1", access.org().0, name)
        .execute(tx.conn())
        .await?;
    org(tx.conn(), access).await
}

/// Deletes an organization with everything in it. Returns the rooms that it had.
///
/// Refuses with `Forbidden` who is no ADMIN, with `LegalHold` while there is one.
pub async fn delete_org(tx: &mut Tx, access: OrgAccess, now: Timestamp) -> Result<Vec<RoomId>> {
    delete_locked_org(tx, access.at_least(Role::Admin)?.org(), now).await
}

/// What everything else is reached by goes at once; the rest in batches.
pub(super) async fn delete_locked_org(
    tx: &mut Tx,
    id: OrgId,
    now: Timestamp,
) -> Result<Vec<RoomId>> {
    // Waits for whoever is making a room in it, which the lock taken before does not.
    let is_held =
        sqlx::query_scalar!("select legal_hold from organizations where id = $1 for update", id.0,)
            .fetch_one(tx.conn())
            .await?;
    if is_held {
        return Err(Refusal::LegalHold.into());
    }
    let rooms = sqlx::query_scalar!(
        r#"select id as "id: RoomId" from rooms where org_id = $1 order by id"#,
        id.0,
    )
    .fetch_all(tx.conn())
    .await?;
    lock_rooms(tx, &rooms).await?;
    sqlx::query!(
        "insert into organization_former_members (org_id, user_id, joined_at, left_at)
         select org_id, user_id, joined_at, $2 from organization_members where org_id = $1",
        id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from outbox where room_id = any($2) or (room_id is null and org_id = $1)",
        id.0,
        &rooms as &[RoomId],
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("update webhooks set is_active = false, probe_at = null where org_id = $1", id.0,)
        .execute(tx.conn())
        .await?;
    note_rooms(tx, id, &rooms, now).await?;
    note_org(tx, id, now).await?;
    sqlx::query!("delete from rooms where id = any($1)", &rooms as &[RoomId])
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from organizations where id = $1", id.0).execute(tx.conn()).await?;
    Ok(rooms)
}
