//! Members of an organization: coming, changing role, going. The organization is locked in all
//! of these, so that its last ADMIN cannot go by two ways at once.

use domain::{Caller, OrgId, Refusal, Role, Timestamp, UserId};
use serde_json::json;

use super::invites;
use super::membership::{Moved, join_for_role, leave_for_role, leave_org_rooms};
use crate::access::{OrgAccess, find_role};
use crate::log::append_org;
use crate::{Result, Tx};

/// A member whom the caller may change or remove, in a locked organization.
#[derive(Clone, Copy, Debug)]
pub struct MemberForChanging {
    caller: Caller,
    org: OrgId,
    user: UserId,
    role: Role,
}

/// A member, to give them another role.
///
/// # Errors
/// `Forbidden` who is no ADMIN, `NotFound`.
pub async fn member_for_promoting(
    tx: &mut Tx,
    (caller, access): (Caller, OrgAccess),
    user: UserId,
) -> Result<MemberForChanging> {
    let org = access.at_least(Role::Admin)?.org();
    let role = find_role(tx.conn(), user, org).await?.ok_or(Refusal::NotFound)?;
    Ok(MemberForChanging { caller, org, user, role })
}

/// A member, to remove them: oneself, or anyone as ADMIN.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn member_for_removing(
    tx: &mut Tx,
    (caller, access): (Caller, OrgAccess),
    user: UserId,
) -> Result<MemberForChanging> {
    let access = if user == caller.user { access } else { access.at_least(Role::Admin)? };
    let role = find_role(tx.conn(), user, access.org()).await?.ok_or(Refusal::NotFound)?;
    Ok(MemberForChanging { caller, org: access.org(), user, role })
}

/// Gives a member a role, and moves them out of, or into, the rooms that follow from it. The same
/// role is no event.
///
/// Refuses with `LastAdmin`.
pub async fn change_role(
    tx: &mut Tx,
    member: MemberForChanging,
    role: Role,
    now: Timestamp,
) -> Result<Moved> {
    let MemberForChanging { caller, org, user, role: before } = member;
    if role == before {
        return Ok(Moved::default());
    }
    if before == Role::Admin {
        keep_an_admin(tx, org, user).await?;
    }
    set_role(tx, (org, user), (before, role), caller.user, now).await
}

/// Takes a member out of the organization and all its rooms.
///
/// Refuses with `LastAdmin`.
pub async fn remove_member(
    tx: &mut Tx,
    member: MemberForChanging,
    now: Timestamp,
) -> Result<Moved> {
    let MemberForChanging { caller, org, user, role } = member;
    if role == Role::Admin {
        keep_an_admin(tx, org, user).await?;
    }
    leave_org(tx, (org, user), (role, caller.user), now).await
}

/// Takes who has this role out of the organization, which is locked, and all its rooms. Their open
/// invites are withdrawn.
pub(super) async fn leave_org(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    (role, by): (Role, UserId),
    now: Timestamp,
) -> Result<Moved> {
    let payload = payload(tx, user, role).await?;
    append_org(tx, org, ("member.left", by, payload)).await?;
    let removed = leave_org_rooms(tx, (org, user)).await?;
    invites::withdraw_by(tx, (org, user), None).await?;
    sqlx::query!(
        "with gone as (
             delete from organization_members where org_id = $1 and user_id = $2
             returning org_id, user_id, joined_at
         )
         insert into organization_former_members (org_id, user_id, joined_at, left_at)
         select org_id, user_id, joined_at, $3 from gone
         on conflict (org_id, user_id, joined_at) do update set left_at = excluded.left_at",
        org.0,
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(Moved { added: Vec::new(), removed })
}

/// Makes someone a member, or raises who is one already. The organization is locked. Returns
/// their role now.
pub(super) async fn take_in(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    role: Role,
    now: Timestamp,
) -> Result<(Role, Moved)> {
    if let Some(before) = find_role(tx.conn(), user, org).await? {
        if role <= before {
            return Ok((before, Moved::default()));
        }
        let moved = set_role(tx, (org, user), (before, role), user, now).await?;
        return Ok((role, moved));
    }
    sqlx::query!(
        "insert into organization_members (org_id, user_id, role, joined_at)
         values ($1, $2, $3, $4)",
        org.0,
        user.0,
        role.as_str(),
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    let payload = payload(tx, user, role).await?;
    append_org(tx, org, ("member.joined", user, payload)).await?;
    let added = join_for_role(tx, (org, user), (None, role), now).await?;
    Ok((role, Moved { added, removed: Vec::new() }))
}

async fn set_role(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    (before, role): (Role, Role),
    by: UserId,
    now: Timestamp,
) -> Result<Moved> {
    sqlx::query!(
        "update organization_members set role = $3 where org_id = $1 and user_id = $2",
        org.0,
        user.0,
        role.as_str(),
    )
    .execute(tx.conn())
    .await?;
    invites::withdraw_by(tx, (org, user), Some(role)).await?;
    let mut payload = payload(tx, user, role).await?;
    payload["previous_role"] = json!(before.as_str());
    append_org(tx, org, ("role.changed", by, payload)).await?;
    let added = join_for_role(tx, (org, user), (Some(before), role), now).await?;
    let removed = leave_for_role(tx, (org, user), role).await?;
    Ok(Moved { added, removed })
}

/// Refuses with `LastAdmin` when no other ADMIN of the organization could act: disabled ones cannot.
async fn keep_an_admin(tx: &mut Tx, org: OrgId, user: UserId) -> Result<()> {
    let others = sqlx::query_scalar!(
        r#"select exists (
               select from organization_members m join users u on u.id = m.user_id
               where m.org_id = $1 and m.role = 'ADMIN' and m.user_id <> $2
                 and u.disabled_at is null
           ) as "others!""#,
        org.0,
        user.0,
    )
    .fetch_one(tx.conn())
    .await?;
    if others { Ok(()) } else { Err(Refusal::LastAdmin.into()) }
}

/// What an event says of a member: the fields of a webhook's `member.*`.
async fn payload(tx: &mut Tx, user: UserId, role: Role) -> Result<serde_json::Value> {
    let email = sqlx::query_scalar!("select email from users where id = $1", user.0)
        .fetch_one(tx.conn())
        .await?;
    Ok(json!({
        "scope": "org", "user": {"id": user, "email": email}, "email": email, "role": role.as_str(),
    }))
}
