//! Deleting an account: its words stay, by "Deleted user"; all that says who that was goes.

use domain::{Caller, LoginId, OrgId, Refusal, Role, RoomId, Timestamp, UserId};

use super::membership::Moved;
use super::org_members::leave_org;
use super::orgs::delete_locked_org;
use super::removals::note_user;
use crate::access::{lock_org, parse_role};
use crate::queries::users::Credentials;
use crate::{Result, Tx};

/// What deleting an account came to.
#[derive(Clone, Debug, Default)]
pub struct Deleted {
    /// Its logins, which are revoked.
    pub logins: Vec<LoginId>,
    /// The rooms that it has left.
    pub moved: Moved,
    /// The rooms of organizations that nobody else was in, which are gone.
    pub rooms: Vec<RoomId>,
}

/// Deletes the account of `verified`, which the caller has just been found to know the password of.
/// An organization that nobody else is in goes with it.
///
/// Refuses with `LastAdmin` who is that of an organization with other members, with `LegalHold`
/// when an organization that would go has one, with `ValidationFailed` (`password`) when the
/// password was changed meanwhile.
pub async fn delete_user(
    tx: &mut Tx,
    caller: Caller,
    verified: &Credentials,
    now: Timestamp,
) -> Result<Deleted> {
    let user = caller.user;
    let mut deleted = Deleted::default();
    for org in orgs_of(tx, user).await? {
        leave(tx, (org, user), &mut deleted, now).await?;
    }
    let was = empty(tx, user, Some(&verified.password_hash), now).await?;
    deleted.logins = forget(tx, user, &was, now).await?;
    Ok(deleted)
}

/// Erases an account that is in no organization, without its owner's word. Returns its logins,
/// which are revoked.
pub(super) async fn erase(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<Vec<LoginId>> {
    let was = empty(tx, user, None, now).await?;
    forget(tx, user, &was, now).await
}

/// The address that an account had.
struct Was {
    email: String,
    is_verified: bool,
}

/// Ends what an emptied account still has, and what says what its address was: invites that it has
/// accepted, and open ones if the address was its own. Who never proved that withdraws none from
/// the owner. Returns its logins, which are revoked.
async fn forget(tx: &mut Tx, user: UserId, was: &Was, now: Timestamp) -> Result<Vec<LoginId>> {
    let logins = super::logins::revoke_all(tx, user, now).await?;
    sqlx::query!("update logins set user_agent = '' where user_id = $1", user.0)
        .execute(tx.conn())
        .await?;
    super::known_clients::forget_all(tx, user).await?;
    super::password_resets::end_all(tx, user, now).await?;
    super::email_verification::end_links(tx, user, now).await?;
    super::uploads::forget_unposted(tx, user, now).await?;
    sqlx::query!(
        "with invited as (
             delete from organization_invites
             where lower(email) = lower($1) and (accepted_at is not null or $2)
             returning mail_id
         )
         delete from mails where status <> 'handing' and id in (select mail_id from invited)",
        was.email,
        was.is_verified,
    )
    .execute(tx.conn())
    .await?;
    // What waits to be mailed is not; the rest goes in batches.
    sqlx::query!(
        "update mails set status = 'dropped', next_attempt_at = null, secret = null
         where user_id = $1 and status = 'due'",
        user.0,
    )
    .execute(tx.conn())
    .await?;
    note_user(tx, user, now).await?;
    Ok(logins)
}

/// The organizations that an account is in, in the order in which they are locked.
pub(super) async fn orgs_of(tx: &mut Tx, user: UserId) -> Result<Vec<OrgId>> {
    Ok(sqlx::query_scalar!(
        r#"select org_id as "org: OrgId" from organization_members
           where user_id = $1 order by org_id"#,
        user.0,
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn leave(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    deleted: &mut Deleted,
    now: Timestamp,
) -> Result<()> {
    lock_org(tx, org).await?;
    let row = sqlx::query!(
        r#"select me.role,
                  not exists (select from organization_members o
                              where o.org_id = $1 and o.user_id <> $2) as "is_alone!",
                  exists (select from organization_members o
                          join users u on u.id = o.user_id
                          where o.org_id = $1 and o.user_id <> $2 and o.role = 'ADMIN'
                            and u.disabled_at is null)
                      as "has_other_admin!"
           from organization_members me where me.org_id = $1 and me.user_id = $2"#,
        org.0,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(()) };
    let role = parse_role(&row.role)?;
    if row.is_alone {
        deleted.rooms.extend(delete_locked_org(tx, org, now).await?);
        return Ok(());
    }
    if role == Role::Admin && !row.has_other_admin {
        return Err(Refusal::LastAdmin.into());
    }
    let moved = leave_org(tx, (org, user), (role, user), now).await?;
    deleted.moved.removed.extend(moved.removed);
    Ok(())
}

/// Takes away who it was: no password opens it again. With `verified_hash`, only while that is the
/// password's hash. Returns the address that it had.
async fn empty(
    tx: &mut Tx,
    user: UserId,
    verified_hash: Option<&str>,
    now: Timestamp,
) -> Result<Was> {
    let was = sqlx::query_as!(
        Was,
        "with old as (
             select id, email, email_verified as is_verified from users
             where id = $1 for no key update)
         update users u
         set email = 'deleted-' || u.id || '@deleted.invalid', password_hash = '',
             first_name = 'Deleted', last_name = 'user', avatar_url = null,
             email_notifications = 'none', unsubscribe_token = gen_random_uuid(),
             last_login = null, last_digest_at = null, deleted_at = $3,
             email_verified = false, verify_email_by = null, disabled_at = null,
             keyed_names = E'Deleted\\nuser', mention_key = null, name_key = null,
             email_key = null
         from old
         where u.id = old.id and password_hash = coalesce($2, password_hash)
         returning old.email, old.is_verified",
        user.0,
        verified_hash,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    was.ok_or_else(|| Refusal::invalid("password", "is wrong").into())
}
