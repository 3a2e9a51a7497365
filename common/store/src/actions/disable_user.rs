//! What an operator decides about an account: disabling it, enabling it again, vouching for its
//! address. What it wrote stays.

use domain::{LoginId, Refusal, Timestamp, UserId};

use super::{email_verification, invites, logins, password_resets};
use crate::access::lock_org;
use crate::{Error, Result, Tx};

/// An account that an operator asks about.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// Its address.
    pub email: String,
    /// First name, may be empty.
    pub first_name: String,
    /// Last name, may be empty.
    pub last_name: String,
    /// Whether the address has been proven.
    pub email_verified: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// The last sign-in.
    pub last_login: Option<Timestamp>,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
    /// Logins that are not revoked.
    pub open_logins: i64,
    /// Organizations that would be without an enabled ADMIN but for this one.
    pub only_admin_of: Vec<String>,
}

/// What disabling an account did.
#[derive(Clone, Debug, Default)]
pub struct Disabled {
    /// Its logins, which are revoked now.
    pub logins: Vec<LoginId>,
    /// Its open invites, which are withdrawn now.
    pub invites_withdrawn: u64,
}

/// Finds an account by address, without case, or by id.
pub async fn find_account(tx: &mut Tx, user: &str) -> Result<Option<Account>> {
    Ok(sqlx::query_as!(
        Account,
        r#"select id as "id: UserId", email, first_name, last_name, email_verified,
                  created_at as "created_at: Timestamp", last_login as "last_login: Timestamp",
                  disabled_at as "disabled_at: Timestamp",
                  (select count(*) from logins l where l.user_id = u.id and l.revoked_at is null)
                      as "open_logins!",
                  array(select o.name from organization_members m
                        join organizations o on o.id = m.org_id
                        where m.user_id = u.id and m.role = 'ADMIN' and not exists (
                            select from organization_members others
                            join users a on a.id = others.user_id
                            where others.org_id = m.org_id and others.role = 'ADMIN'
                              and others.user_id <> u.id and a.disabled_at is null)
                        order by o.id limit 100) as "only_admin_of!"
           from users u
           where deleted_at is null and (lower(email) = lower($1) or id = $2)"#,
        user,
        user.parse::<i64>().ok(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Disables an account: it cannot sign in, every login and every open link of it ends, its open
/// invites are withdrawn, and no mail goes to it. Again changes nothing but what came in between.
pub async fn disable(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<Disabled> {
    let mut disabled = Disabled::default();
    for org in super::delete_user::orgs_of(tx, user).await? {
        match lock_org(tx, org).await {
            // Deleted at this moment, with its invites.
            Err(Error::Refused(Refusal::NotFound)) => continue,
            locked => locked?,
        }
        disabled.invites_withdrawn += invites::withdraw_by(tx, (org, user), None).await?;
    }
    // Who signs in at this moment updates this row too, and finds it disabled or is revoked.
    sqlx::query!(
        "update users set disabled_at = coalesce(disabled_at, $2) where id = $1",
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    disabled.logins = logins::revoke_all(tx, user, now).await?;
    password_resets::end_all(tx, user, now).await?;
    email_verification::end_links(tx, user, now).await?;
    Ok(disabled)
}

/// Enables an account again: it signs in with its password. Returns whether it was disabled.
pub async fn enable(tx: &mut Tx, user: UserId) -> Result<bool> {
    let enabled = sqlx::query!(
        "update users set disabled_at = null where id = $1 and disabled_at is not null",
        user.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(enabled.rows_affected() > 0)
}

/// Takes an account's address for proven, on an operator's word. Returns whether it was not.
pub async fn verify_address(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<bool> {
    email_verification::mark_verified(tx, user, now).await
}
