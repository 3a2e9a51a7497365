//! Members of an organization.

use domain::org::OrgMember;
use domain::user::MemberSearch;
use domain::{OrgId, OrgMemberId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;
use crate::access::{OrgAccess, parse_role};
use crate::page::Slice;

struct Row {
    id: OrgMemberId,
    org: OrgId,
    user: UserId,
    email: String,
    email_verified: bool,
    first_name: String,
    last_name: String,
    role: String,
    joined_at: Timestamp,
}

/// Members of an organization that a search finds; the tail bounds and orders them.
macro_rules! select_members {
    ($tail:literal, $access:expr, $search:expr, $slice:expr) => {
        sqlx::query_as!(
            Row,
            r#"select m.id as "id: OrgMemberId", m.org_id as "org: OrgId",
                      m.user_id as "user: UserId", u.email, u.email_verified, u.first_name,
                      u.last_name, m.role,
                      m.joined_at as "joined_at: Timestamp"
               from organization_members m join users u on u.id = m.user_id
               where m.org_id = $1
                 and ($4::text is null
                      or (u.verify_email_by is null
                          and strpos(lower(u.email) || E'\n' || coalesce(u.email_key, ''), $6) > 0)
                      or strpos(case when u.keyed_names = u.first_name || E'\n' || u.last_name
                                     then u.name_key
                                     else lower(u.first_name || ' ' || u.last_name) end, $4) > 0) "#
                + $tail,
            $access.org().0,
            $slice.after,
            $slice.before,
            $search.map(|search| search.name.as_str()),
            $slice.limit,
            $search.map(|search| search.email.as_str()),
        )
    };
}

/// A stretch of an organization's members, by membership id. With `search`, those whose name or address
/// contains it, as [`MemberSearch`] compares. An address that its account must still prove is not
/// searched.
pub async fn org_members(
    conn: &mut PgConnection,
    access: OrgAccess,
    search: Option<&str>,
    slice: Slice,
) -> Result<Vec<OrgMember>> {
    let search = search.map(MemberSearch::of);
    let search = search.as_ref();
    // Two statements, so that each can follow the index.
    let rows = if slice.descending {
        select_members!(
            "and m.id > $2 and m.id < $3 order by m.id desc limit $5",
            access,
            search,
            slice
        )
        .fetch_all(conn)
        .await?
    } else {
        select_members!("and m.id > $2 and m.id < $3 order by m.id limit $5", access, search, slice)
            .fetch_all(conn)
            .await?
    };
    rows.into_iter()
        .map(|row| {
            Ok(OrgMember {
                id: row.id,
                org: row.org,
                user: row.user,
                email: row.email,
                email_verified: row.email_verified,
                first_name: row.first_name,
                last_name: row.last_name,
                role: parse_role(&row.role)?,
                joined_at: row.joined_at,
            })
        })
        .collect()
}
