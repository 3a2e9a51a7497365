//! Organizations as their members see them, and their open invites.

use domain::org::{Invite, Org};
use domain::{InviteId, OrgId, Refusal, Role, Timestamp, UserId};
use sqlx::PgConnection;

use crate::access::{OrgAccess, parse_role};
use crate::page::Slice;
use crate::{Error, Result};

/// A stretch of a user's organizations.
pub async fn orgs(conn: &mut PgConnection, user: UserId, slice: Slice) -> Result<Vec<Org>> {
    sqlx::query!(
        r#"select o.id as "id: OrgId", o.name, o.created_at as "created_at: Timestamp", m.role
           from organization_members m join organizations o on o.id = m.org_id
           where m.user_id = $1 and m.org_id > $2 and m.org_id < $3
           order by case when $4 then -m.org_id else m.org_id end limit $5"#,
        user.0,
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| {
        let role = parse_role(&row.role)?;
        Ok(Org { id: row.id, name: row.name, created_at: row.created_at, role })
    })
    .collect()
}

/// One organization.
///
/// # Errors
/// `NotFound` when it was deleted since the proof was made.
pub async fn org(conn: &mut PgConnection, access: OrgAccess) -> Result<Org> {
    let row = sqlx::query!(
        r#"select name, created_at as "created_at: Timestamp" from organizations where id = $1"#,
        access.org().0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(Refusal::NotFound)?;
    Ok(Org { id: access.org(), name: row.name, created_at: row.created_at, role: access.role() })
}

/// A stretch of an organization's open invites. Their tokens are kept as hashes, and never shown.
pub async fn open_invites(
    conn: &mut PgConnection,
    access: OrgAccess,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Invite>> {
    sqlx::query!(
        r#"select id as "id: InviteId", email, role, created_at as "created_at: Timestamp",
                  expires_at as "expires_at: Timestamp"
           from organization_invites
           where org_id = $1 and id > $2 and id < $3 and accepted_at is null and expires_at > $6
           order by case when $4 then -id else id end limit $5"#,
        access.org().0,
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Invite {
            id: row.id,
            email: row.email,
            role: Role::parse(&row.role)
                .ok_or_else(|| Error::corrupt("organization_invites", "role", &row.role))?,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    })
    .collect()
}
