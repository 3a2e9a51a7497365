//! Invites into an organization.
//!
//! An invite has two tokens: one in its mail, which proves the address of who presents it, and one
//! in the answer to who invited, to hand over by other means, which does not. Of each only the
//! SHA-256 is kept, and of the mailed one, while its mail waits, the token. An open invite is worth
//! what its creator's role is: it is withdrawn with that ([`withdraw_by`]), and looked at again
//! when it is used.

use domain::limits::{INVITE_LIFETIME, ORG_INVITES_MAX};
use domain::mail::MailKind;
use domain::org::{Invite, NewInvite};
use domain::registration::AbuseLimits;
use domain::{Caller, Email, InviteId, MailId, OrgId, Refusal, Role, Timestamp, UserId};
use serde_json::json;
use sqlx::PgConnection;

use super::email_verification::{mark_verified, require_verified};
use super::mail_limits::{MailScope, MailSource, count_mail};
use super::mails::{MailSecret, NewMail, display_name, enqueue, token_hash, withdraw};
use super::membership::Moved;
use super::org_members;
use crate::access::{self, OrgAccess};
use crate::caps::within_cap;
use crate::error::OnConstraint;
use crate::log::append_org;
use crate::{Error, Result, Tx};

/// A request to invite an address.
#[derive(Clone, Debug)]
pub struct InviteRequest<'a> {
    /// Whom, and as what.
    pub new: NewInvite,
    /// The token that is answered: random.
    pub answered_token: &'a str,
    /// The token that is mailed: random, another one.
    pub mailed_token: &'a str,
    /// How many mails may be caused.
    pub limits: AbuseLimits,
    /// The client that asks; `None` when it is the operator.
    pub source: Option<MailSource>,
}

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

/// Details of an open invite, shown before it is accepted.
#[derive(Clone, Debug)]
pub struct InviteDetails {
    /// The organization.
    pub org: OrgId,
    /// Its name.
    pub org_name: String,
    /// Name of the inviter.
    pub invited_by: String,
    /// The invited address.
    pub email: String,
    /// The role that it gives.
    pub role: Role,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

struct Found {
    id: InviteId,
    org: OrgId,
    email: String,
    role: Role,
    /// Whether it was found by the mailed token.
    is_mailed: bool,
    state: InviteState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InviteState {
    Open,
    Accepted,
    Expired,
    /// Its creator could not invite so any more.
    Withdrawn,
}

impl InviteState {
    fn must_be_open(self) -> Result<(), Refusal> {
        match self {
            Self::Open => Ok(()),
            Self::Accepted => Err(Refusal::AlreadyAccepted),
            Self::Expired => Err(Refusal::InviteExpired),
            Self::Withdrawn => Err(Refusal::NotFound),
        }
    }
}

/// A valid invite that somebody registers with.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegistrationInvite {
    /// Whether its mailed token was presented: that proves the address.
    pub(super) is_mailed: bool,
}

/// Invites an address. The organization is locked.
///
/// Refuses with `Forbidden` below MANAGER and above the caller's own role, `EmailUnverified`,
/// `AlreadyMember`, `InviteExists`, `RateLimited`, `ValidationFailed` (`email`) when as many are open
/// as may be.
pub async fn create_invite(
    tx: &mut Tx,
    (caller, access): (Caller, OrgAccess),
    request: InviteRequest<'_>,
    now: Timestamp,
) -> Result<Invite> {
    let InviteRequest { new, answered_token, mailed_token, limits, source } = request;
    let access = access.at_least(Role::Manager)?.at_least(new.role)?;
    let org = access.org();
    require_verified(tx, caller.user).await?;
    let invited = account_of(tx, org, &new.email.key()).await?;
    if invited.as_ref().is_some_and(|account| account.is_member) {
        return Err(Refusal::AlreadyMember.into());
    }
    delete_expired(tx, (org, &new.email), now).await?;
    check_open(tx, org, now).await?;
    let expires_at = now + INVITE_LIFETIME;
    let id = sqlx::query_scalar!(
        r#"insert into organization_invites
               (org_id, email, token_hash, mail_token_hash, role, created_by, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8) returning id as "id: InviteId""#,
        org.0,
        new.email.as_str(),
        token_hash(answered_token),
        token_hash(mailed_token),
        new.role.as_str(),
        caller.user.0,
        now as Timestamp,
        expires_at as Timestamp,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("organization_invites_open_key", Refusal::InviteExists)?;
    count_mail(tx, MailScope::Account(caller.user), limits.invite_mails, now).await?;
    count_mail(tx, MailScope::Organization(org), limits.invite_mails, now).await?;
    count_mail(tx, MailScope::Address(&new.email), limits.invite_mails_per_address, now).await?;
    if let Some(source) = source {
        source.count(tx, now).await?;
    }
    let invited = invited.filter(|account| account.is_findable).map(|account| account.id);
    let user = invited.map(|user| json!({"id": user, "email": new.email.as_str()}));
    let payload = json!({
        "scope": "org", "user": user, "email": new.email.as_str(), "role": new.role.as_str(),
        "invite_id": id,
    });
    append_org(tx, org, ("member.invited", caller.user, payload)).await?;
    let secret = MailSecret { token: mailed_token, expires_at };
    mail(tx, (id, invited), (&new.email, secret), now).await?;
    Ok(Invite {
        id,
        email: new.email.as_str().to_owned(),
        role: new.role,
        created_at: now,
        expires_at,
    })
}

async fn mail(
    tx: &mut Tx,
    (invite, user): (InviteId, Option<UserId>),
    (email, secret): (&Email, MailSecret<'_>),
    now: Timestamp,
) -> Result<()> {
    let mail = NewMail {
        kind: MailKind::OrgInvite,
        user,
        to_email: email.as_str(),
        data: json!({"invite": invite}),
        secret: Some(secret),
    };
    let mail: MailId = enqueue(tx, mail, now).await?;
    sqlx::query!("update organization_invites set mail_id = $2 where id = $1", invite.0, mail.0,)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn delete_expired(tx: &mut Tx, (org, email): (OrgId, &Email), now: Timestamp) -> Result<()> {
    sqlx::query!(
        "delete from organization_invites
         where org_id = $1 and lower(email) = $2 and accepted_at is null and expires_at <= $3",
        org.0,
        email.key(),
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether an organization, which is locked, may have another open invite.
async fn check_open(tx: &mut Tx, org: OrgId, now: Timestamp) -> Result<()> {
    let open = sqlx::query_scalar!(
        r#"select count(*) as "count!" from organization_invites
           where org_id = $1 and accepted_at is null and expires_at > $2"#,
        org.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    within_cap("email", "open invites", open, ORG_INVITES_MAX)?;
    Ok(())
}

/// Withdraws an invite. The organization is locked.
///
/// Refuses with `Forbidden` below MANAGER, `NotFound` what is no open invite of it.
pub async fn delete_invite(tx: &mut Tx, access: OrgAccess, invite: InviteId) -> Result<()> {
    let access = access.at_least(Role::Manager)?;
    let mail = sqlx::query_scalar!(
        "delete from organization_invites where id = $1 and org_id = $2 and accepted_at is null
         returning mail_id",
        invite.0,
        access.org().0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    withdraw(tx, mail.as_slice()).await
}

/// Withdraws the open invites that somebody created in an organization, which is locked, and that
/// `role`, theirs from now on, does not allow; all of them without one. Returns how many.
pub(super) async fn withdraw_by(
    tx: &mut Tx,
    (org, creator): (OrgId, UserId),
    role: Option<Role>,
) -> Result<u64> {
    let allowed: Vec<String> = [Role::Member, Role::Manager, Role::Admin]
        .into_iter()
        .filter(|&invited| role.is_some_and(|role| role.may_invite(invited)))
        .map(|invited| invited.as_str().to_owned())
        .collect();
    let mails = sqlx::query_scalar!(
        "delete from organization_invites
         where org_id = $1 and created_by = $2 and accepted_at is null and role <> all($3)
         returning mail_id",
        org.0,
        creator.0,
        &allowed,
    )
    .fetch_all(tx.conn())
    .await?;
    let withdrawn = mails.len() as u64;
    withdraw(tx, &mails.into_iter().flatten().collect::<Vec<_>>()).await?;
    Ok(withdrawn)
}

/// Accepts an invite for the caller. Its mailed token proves their address. Who became a member by
/// another way keeps the higher role.
///
/// Refuses, in this order, with `NotFound` what is unknown, withdrawn or no longer backed by its
/// creator's role, `InviteEmailMismatch`, `AlreadyAccepted`, `InviteExpired`, `EmailUnverified`.
pub async fn accept_invite(
    tx: &mut Tx,
    caller: Caller,
    token: &str,
    now: Timestamp,
) -> Result<Accepted> {
    let hash = token_hash(token);
    let org = sqlx::query_scalar!(
        r#"select org_id as "org: OrgId" from organization_invites
           where token_hash = $1 or mail_token_hash = $1"#,
        hash,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    access::lock_org(tx, org).await?;
    // Read again under the lock: it may have been withdrawn or used meanwhile.
    let invite = find(tx.conn(), &hash, now).await?.ok_or(Refusal::NotFound)?;
    if invite.state == InviteState::Withdrawn {
        return Err(Refusal::NotFound.into());
    }
    let email = sqlx::query_scalar!("select email from users where id = $1", caller.user.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Refusal::Unauthenticated)?;
    if !email.eq_ignore_ascii_case(&invite.email) {
        return Err(Refusal::InviteEmailMismatch.into());
    }
    invite.state.must_be_open()?;
    if invite.is_mailed {
        mark_verified(tx, caller.user, now).await?;
    } else {
        require_verified(tx, caller.user).await?;
    }
    let mail = sqlx::query_scalar!(
        "update organization_invites set accepted_at = $2 where id = $1 returning mail_id",
        invite.id.0,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    withdraw(tx, mail.as_slice()).await?;
    let (role, moved) =
        org_members::take_in(tx, (invite.org, caller.user), invite.role, now).await?;
    Ok(Accepted { org: invite.org, role, moved })
}

/// Finds the details of an open invite by one of its tokens, which is not consumed.
///
/// # Errors
/// `NotFound` for an unknown or withdrawn one, `AlreadyAccepted`, `InviteExpired`.
pub async fn invite_details(
    conn: &mut PgConnection,
    token: &str,
    now: Timestamp,
) -> Result<InviteDetails> {
    let invite = find(&mut *conn, &token_hash(token), now).await?.ok_or(Refusal::NotFound)?;
    invite.state.must_be_open()?;
    let row = sqlx::query!(
        r#"select o.name, u.first_name, u.last_name, u.email,
                  i.expires_at as "expires_at: Timestamp"
           from organization_invites i
           join organizations o on o.id = i.org_id
           join users u on u.id = i.created_by
           where i.id = $1"#,
        invite.id.0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotFound)?;
    Ok(InviteDetails {
        org: invite.org,
        org_name: row.name,
        invited_by: display_name(&row.first_name, &row.last_name, &row.email),
        email: invite.email,
        role: invite.role,
        expires_at: row.expires_at,
    })
}

/// The open invite for an address that a token is of, to register with; `None` without a good one.
pub(super) async fn find_for_registration(
    conn: &mut PgConnection,
    token: Option<&str>,
    email: &Email,
    now: Timestamp,
) -> Result<Option<RegistrationInvite>> {
    let Some(token) = token else { return Ok(None) };
    let Some(invite) = find(conn, &token_hash(token), now).await? else { return Ok(None) };
    let is_good =
        invite.state == InviteState::Open && invite.email.eq_ignore_ascii_case(email.as_str());
    Ok(is_good.then_some(RegistrationInvite { is_mailed: invite.is_mailed }))
}

async fn find(conn: &mut PgConnection, hash: &[u8], now: Timestamp) -> Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select i.id as "id: InviteId", i.org_id as "org: OrgId", i.email, i.role,
                  i.mail_token_hash is not distinct from $1 as "is_mailed!",
                  i.accepted_at is not null as "is_accepted!", i.expires_at <= $2 as "is_expired!",
                  (select m.role from organization_members m join users u on u.id = m.user_id
                   where m.org_id = i.org_id and m.user_id = i.created_by
                     and u.disabled_at is null) as creator_role
           from organization_invites i where i.token_hash = $1 or i.mail_token_hash = $1"#,
        hash,
        now as Timestamp,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let role = Role::parse(&row.role)
            .ok_or_else(|| Error::corrupt("organization_invites", "role", &row.role))?;
        let creator = row.creator_role.as_deref().map(access::parse_role).transpose()?;
        Ok(Found {
            id: row.id,
            org: row.org,
            email: row.email,
            role,
            is_mailed: row.is_mailed,
            state: if row.is_accepted {
                InviteState::Accepted
            } else if !creator.is_some_and(|creator| creator.may_invite(role)) {
                InviteState::Withdrawn
            } else if row.is_expired {
                InviteState::Expired
            } else {
                InviteState::Open
            },
        })
    })
    .transpose()
}

/// The account that an invited address belongs to.
struct InvitedAccount {
    id: UserId,
    is_member: bool,
    /// Whether the address is taken for its owner's: others learn nothing of the account.
    is_findable: bool,
}

async fn account_of(tx: &mut Tx, org: OrgId, email_key: &str) -> Result<Option<InvitedAccount>> {
    Ok(sqlx::query_as!(
        InvitedAccount,
        r#"select id as "id: UserId", exists (
               select from organization_members m where m.org_id = $1 and m.user_id = users.id
           ) as "is_member!", verify_email_by is null as "is_findable!"
           from users where lower(email) = $2"#,
        org.0,
        email_key,
    )
    .fetch_optional(tx.conn())
    .await?)
}
