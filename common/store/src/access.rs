//! The only way to a room or an organization: proofs that the caller may do what comes next.
//!
//! A proof has no public constructor: code that forgot the check does not compile. Who may not
//! know that something exists is told `NotFound`.

use domain::access::Standing;
use domain::{AccessLevel, Caller, OrgId, Refusal, Role, RoomId, Seq, UserId, WebhookId};
use sqlx::PgConnection;

use crate::log::{LockedRoom, lock_rooms};
use crate::{Error, Result, Tx};

/// The caller belongs to the organization, in this role.
#[derive(Clone, Copy, Debug)]
pub struct OrgAccess {
    org: OrgId,
    role: Role,
}

impl OrgAccess {
    /// The organization.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The caller's role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Demands a role.
    ///
    /// # Errors
    /// `Forbidden` below it.
    pub fn at_least(self, role: Role) -> Result<Self> {
        if self.role >= role { Ok(self) } else { Err(Refusal::Forbidden.into()) }
    }
}

/// The caller's membership of an organization.
///
/// # Errors
/// `NotFound` for strangers.
pub async fn org(conn: &mut PgConnection, caller: Caller, org: OrgId) -> Result<OrgAccess> {
    let role = find_role(conn, caller.user, org).await?.ok_or(Refusal::NotFound)?;
    Ok(OrgAccess { org, role })
}

/// The caller's membership of an organization, whose row this locks: no member comes, goes or
/// changes role until the end of the transaction.
///
/// # Errors
/// `NotFound` for strangers.
pub async fn org_for_changing(tx: &mut Tx, caller: Caller, id: OrgId) -> Result<OrgAccess> {
    lock_org(tx, id).await?;
    org(tx.conn(), caller, id).await
}

/// Locks an organization's row until the end of the transaction.
///
/// # Errors
/// `NotFound`.
pub(crate) async fn lock_org(tx: &mut Tx, id: OrgId) -> Result<()> {
    sqlx::query_scalar!("select id from organizations where id = $1 for no key update", id.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Refusal::NotFound)?;
    Ok(())
}

/// A person's role in an organization.
pub async fn find_role(conn: &mut PgConnection, user: UserId, org: OrgId) -> Result<Option<Role>> {
    let role = sqlx::query_scalar!(
        "select role from organization_members where org_id = $1 and user_id = $2",
        org.0,
        user.0,
    )
    .fetch_optional(conn)
    .await?;
    role.map(|role| parse_role(&role)).transpose()
}

pub(crate) fn parse_role(role: &str) -> Result<Role> {
    Role::parse(role).ok_or_else(|| Error::corrupt("organization_members", "role", role))
}

/// The caller sees the room; what else they may is in [`RoomAccess::standing`].
#[derive(Clone, Copy, Debug)]
pub struct RoomAccess {
    room: RoomId,
    org: OrgId,
    last_seq: Seq,
    standing: Standing,
}

impl RoomAccess {
    /// The room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The room's organization.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The last event.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// What the caller is to the room.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Demands membership.
    ///
    /// # Errors
    /// `NotAMember`.
    pub fn as_member(self) -> Result<MemberAccess> {
        if self.standing.is_member {
            Ok(MemberAccess(self))
        } else {
            Err(Refusal::NotAMember.into())
        }
    }
}

/// The caller is a member of the room.
#[derive(Clone, Copy, Debug)]
pub struct MemberAccess(RoomAccess);

impl std::ops::Deref for MemberAccess {
    type Target = RoomAccess;

    fn deref(&self) -> &RoomAccess {
        &self.0
    }
}

/// The room, if the caller may see it.
///
/// # Errors
/// `NotFound`.
pub async fn room(conn: &mut PgConnection, user: UserId, room: RoomId) -> Result<RoomAccess> {
    let row = sqlx::query!(
        r#"select r.org_id as "org: OrgId", r.dm_key, r.access_level,
                  r.created_by as "created_by: UserId",
                  r.last_seq as "last_seq: Seq",
                  o.role as "role?", m.id is not null as "is_member!"
           from rooms r
           left join organization_members o on o.org_id = r.org_id and o.user_id = $2
           left join room_members m on m.room_id = r.id and m.user_id = $2
           where r.id = $1"#,
        room.0,
        user.0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotFound)?;
    let standing = Standing {
        role: row.role.map(|role| parse_role(&role)).transpose()?,
        is_member: row.is_member,
        is_creator: row.created_by == user,
        is_dm: row.dm_key.is_some(),
        access_level: AccessLevel::parse(&row.access_level)
            .ok_or_else(|| Error::corrupt("rooms", "access_level", &row.access_level))?,
    };
    if !standing.sees() {
        return Err(Refusal::NotFound.into());
    }
    Ok(RoomAccess { room, org: row.org, last_seq: row.last_seq, standing })
}

/// The room, if the caller is a member.
///
/// # Errors
/// `NotFound`, `NotAMember`.
pub async fn room_as_member(
    conn: &mut PgConnection,
    user: UserId,
    id: RoomId,
) -> Result<MemberAccess> {
    room(conn, user, id).await?.as_member()
}

/// The room, locked, with what the caller is to it under that lock.
///
/// # Errors
/// `NotFound`.
pub async fn lock_room(tx: &mut Tx, user: UserId, id: RoomId) -> Result<(LockedRoom, RoomAccess)> {
    let locked = lock_rooms(tx, &[id]).await?.pop().ok_or(Refusal::NotFound)?;
    let access = room(tx.conn(), user, id).await?;
    Ok((locked, access))
}

/// The room, locked, after a share lock of its organization: until the end of the transaction
/// nobody leaves the organization or changes role, so who is let in under it may stay.
///
/// # Errors
/// `NotFound`.
pub async fn lock_org_and_room(
    tx: &mut Tx,
    user: UserId,
    id: RoomId,
) -> Result<(LockedRoom, RoomAccess)> {
    sqlx::query_scalar!(
        "select o.id from organizations o join rooms r on r.org_id = o.id
         where r.id = $1 for share of o",
        id.0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    lock_room(tx, user, id).await
}

/// The webhook belongs to an organization whose ADMIN the caller is.
#[derive(Clone, Copy, Debug)]
pub struct WebhookAccess {
    id: WebhookId,
    org: OrgId,
}

impl WebhookAccess {
    /// The webhook.
    pub fn id(&self) -> WebhookId {
        self.id
    }

    /// Its organization.
    pub fn org(&self) -> OrgId {
        self.org
    }
}

/// The organization, if the caller is its ADMIN: of its webhooks nobody else may know.
///
/// # Errors
/// `NotFound` for all others.
pub async fn org_as_admin(conn: &mut PgConnection, caller: Caller, id: OrgId) -> Result<OrgAccess> {
    let access = org(conn, caller, id).await?;
    if access.role == Role::Admin { Ok(access) } else { Err(Refusal::NotFound.into()) }
}

/// The webhook, if the caller is ADMIN of its organization.
///
/// # Errors
/// `NotFound` for all others.
pub async fn webhook(
    conn: &mut PgConnection,
    caller: Caller,
    id: WebhookId,
) -> Result<WebhookAccess> {
    let org =
        sqlx::query_scalar!(r#"select org_id as "org: OrgId" from webhooks where id = $1"#, id.0,)
            .fetch_optional(&mut *conn)
            .await?
            .ok_or(Refusal::NotFound)?;
    org_as_admin(conn, caller, org).await?;
    Ok(WebhookAccess { id, org })
}

/// The webhook, as [`webhook`], its row locked.
///
/// # Errors
/// `NotFound`.
pub async fn webhook_for_changing(
    tx: &mut Tx,
    caller: Caller,
    id: WebhookId,
) -> Result<WebhookAccess> {
    sqlx::query_scalar!("select id from webhooks where id = $1 for no key update", id.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Refusal::NotFound)?;
    webhook(tx.conn(), caller, id).await
}
