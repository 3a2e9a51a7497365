//! Invites into an organization. Of an invite's token only the SHA-256 is kept, and while its mail
//! waits, the token.

use domain::limits::INVITE_LIFETIME;
use domain::mail::MailKind;
use domain::org::{Invite, NewInvite};
use domain::{Caller, InviteId, OrgId, Refusal, Role, Timestamp, UserId};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::mails::{NewMail, enqueue};
use super::membership::Moved;
use super::org_members;
use crate::access::{self, OrgAccess};
use crate::error::OnConstraint;
use crate::log::append_org;
use crate::{Error, Result, Tx};

/// What came of an accepted invite.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The organization.
    pub org: OrgId,
    /// The caller's role in it now.
    pub role: Role,
    /// The rooms that they were put into.
    pub moved: Moved,
}

struct Found {
    id: InviteId,
    org: OrgId,
    email: String,
    role: Role,
    is_accepted: bool,
    is_expired: bool,
}

/// Invites an address. The organization is locked.
///
/// Refuses with `Forbidden` below MANAGER and above the caller's own role, `AlreadyMember`,
/// `InviteExists`.
pub async fn create_invite(
    tx: &mut Tx,
    (caller, access): (Caller, OrgAccess),
    new: NewInvite,
    token: &str,
    now: Timestamp,
) -> Result<Invite> {
    let access = access.at_least(Role::Manager)?.at_least(new.role)?;
    let org = access.org();
    let invited = account_of(tx, org, &new.email.key()).await?;
    if invited.is_some_and(|(_, is_member)| is_member) {
        return Err(Refusal::AlreadyMember.into());
    }
    sqlx::query!(
        "delete from organization_invites
         where org_id = $1 and lower(email) = $2 and accepted_at is null and expires_at <= $3",
        org.0,
        new.email.key(),
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    let expires_at = now + INVITE_LIFETIME;
    let id = sqlx::query_scalar!(
        r#"insert into organization_invites
               (org_id, email, token_hash, role, created_by, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7) returning id as "id: InviteId""#,
        org.0,
        new.email.as_str(),
        hash(token),
        new.role.as_str(),
        caller.user.0,
        now as Timestamp,
        expires_at as Timestamp,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("organization_invites_open_key", Refusal::InviteExists)?;
    let user = invited.map(|(user, _)| json!({"id": user, "email": new.email.as_str()}));
    let payload = json!({
        "scope": "org", "user": user, "email": new.email.as_str(), "role": new.role.as_str(),
        "invite_id": id,
    });
    append_org(tx, org, ("member.invited", caller.user, payload), now).await?;
    let mail = NewMail {
        kind: MailKind::OrgInvite,
        user: invited.map(|(user, _)| user),
        to_email: new.email.as_str(),
        data: json!({"invite": id}),
        secret: Some(token),
    };
    enqueue(tx, mail, now).await?;
    Ok(Invite {
        id,
        email: new.email.as_str().to_owned(),
        role: new.role,
        created_at: now,
        expires_at,
    })
}

/// Withdraws an invite. The organization is locked.
///
/// Refuses with `Forbidden` below MANAGER, `NotFound` what is no open invite of it.
pub async fn delete_invite(tx: &mut Tx, access: OrgAccess, invite: InviteId) -> Result<()> {
    let access = access.at_least(Role::Manager)?;
    let deleted = sqlx::query!(
        "delete from organization_invites where id = $1 and org_id = $2 and accepted_at is null",
        invite.0,
        access.org().0,
    )
    .execute(tx.conn())
    .await?;
    if deleted.rows_affected() == 0 { Err(Refusal::NotFound.into()) } else { Ok(()) }
}

/// Accepts an invite for the caller. Who became a member by another way keeps the higher role.
///
/// Refuses, in this order, with `NotFound`, `InviteEmailMismatch`, `AlreadyAccepted`,
/// `InviteExpired`.
pub async fn accept_invite(
    tx: &mut Tx,
    caller: Caller,
    token: &str,
    now: Timestamp,
) -> Result<Accepted> {
    let hash = hash(token);
    let org = sqlx::query_scalar!(
        r#"select org_id as "org: OrgId" from organization_invites where token_hash = $1"#,
        hash,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    access::lock_org(tx, org).await?;
    // Read again under the lock: it may have been withdrawn or used meanwhile.
    let invite = find(tx, &hash, now).await?.ok_or(Refusal::NotFound)?;
    let email = sqlx::query_scalar!("select email from users where id = $1", caller.user.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Refusal::Unauthenticated)?;
    if !email.eq_ignore_ascii_case(&invite.email) {
        return Err(Refusal::InviteEmailMismatch.into());
    }
    if invite.is_accepted {
        return Err(Refusal::AlreadyAccepted.into());
    }
    if invite.is_expired {
        return Err(Refusal::InviteExpired.into());
    }
    sqlx::query!(
        "update organization_invites set accepted_at = $2 where id = $1",
        invite.id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    let (role, moved) =
        org_members::take_in(tx, (invite.org, caller.user), invite.role, now).await?;
    Ok(Accepted { org: invite.org, role, moved })
}

async fn find(tx: &mut Tx, hash: &[u8], now: Timestamp) -> Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select id as "id: InviteId", org_id as "org: OrgId", email, role,
                  accepted_at is not null as "is_accepted!", expires_at <= $2 as "is_expired!"
           from organization_invites where token_hash = $1"#,
        hash,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let role = Role::parse(&row.role)
            .ok_or_else(|| Error::corrupt("organization_invites", "role", &row.role))?;
        Ok(Found {
            id: row.id,
            org: row.org,
            email: row.email,
            role,
            is_accepted: row.is_accepted,
            is_expired: row.is_expired,
        })
    })
    .transpose()
}

/// Whose account an address is, and whether they are in the organization.
async fn account_of(tx: &mut Tx, org: OrgId, email_key: &str) -> Result<Option<(UserId, bool)>> {
    let row = sqlx::query!(
        r#"select id as "id: UserId", exists (
               select from organization_members m where m.org_id = $1 and m.user_id = users.id
           ) as "is_member!"
           from users where lower(email) = $2"#,
        org.0,
        email_key,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.id, row.is_member)))
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
