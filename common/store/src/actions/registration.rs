//! Registration: who may create an account, and what its address is worth.

use domain::limits::EMAIL_VERIFICATION_LIFETIME;
use domain::registration::RegistrationPolicy;
use domain::user::{NewUser, User};
use domain::{Claim, LoginId, Timestamp, UserId};
use sqlx::PgConnection;

use super::accounts::{NewAccount, create_account};
use super::delete_user::erase;
use super::email_verification::mail_link;
use super::invites::find_for_registration;
use super::known_clients::{Client, remember};
use super::mail_limits::MailSource;
use crate::{Result, Tx};

/// A request to create an account.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// The account.
    pub new: NewUser,
    /// Its password's Argon2id hash, in PHC form.
    pub password_hash: &'a str,
    /// The token of an invite, if one was presented.
    pub invite_token: Option<&'a str>,
    /// The client that it comes from: known to the account, so that attempts of strangers do not
    /// block its first sign-in.
    pub client: Client<'a>,
    /// The token to mail where the address must be verified: random.
    pub verification_token: &'a str,
    /// The client that a mail counts for.
    pub source: MailSource,
}

/// A created account.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The account.
    pub user: User,
    /// Logins of an account that had to give way, which are revoked.
    pub revoked: Vec<LoginId>,
}

/// Checks that an address may register, before work is spent on it; [`register`] checks again.
///
/// # Errors
/// `RegistrationClosed`.
pub async fn check(
    conn: &mut PgConnection,
    policy: &RegistrationPolicy,
    (new, invite_token): (&NewUser, Option<&str>),
    now: Timestamp,
) -> Result<()> {
    let invite = find_for_registration(conn, invite_token, &new.email, now).await?;
    Ok(policy.admit(&new.email, invite.is_some())?)
}

/// Creates an account. A mailed invite token proves its address; otherwise, where verification is
/// required, a link that does is mailed.
///
/// Refuses with `RegistrationClosed`, `EmailTaken`, and with `RateLimited` when the link would be
/// one mail too many of its client.
pub async fn register(
    tx: &mut Tx,
    policy: &RegistrationPolicy,
    registration: Registration<'_>,
    now: Timestamp,
) -> Result<Registered> {
    let Registration { new, password_hash, invite_token, client, verification_token, source } =
        registration;
    let invite = find_for_registration(tx.conn(), invite_token, &new.email, now).await?;
    policy.admit(&new.email, invite.is_some())?;
    let is_proven = invite.is_some_and(|invite| invite.is_mailed);
    let revoked =
        if is_proven { release_address(tx, &new.email.key(), now).await? } else { Vec::new() };
    let must_verify = policy.verification.is_required() && !is_proven;
    let account = NewAccount {
        new,
        password_hash,
        email_verified: is_proven,
        verify_email_by: must_verify.then(|| now + EMAIL_VERIFICATION_LIFETIME),
    };
    let user = create_account(tx, account, now).await?;
    remember(tx, user.id, client, now).await?;
    if must_verify {
        mail_link(tx, (user.id, &user.email), (verification_token, source), now).await?;
    }
    Ok(Registered { user, revoked })
}

/// Frees an address for who has just proven that it is theirs, when somebody else registered it
/// without ever proving that, and was in no organization. Returns the logins of that account.
async fn release_address(tx: &mut Tx, email_key: &str, now: Timestamp) -> Result<Vec<LoginId>> {
    let squatter = sqlx::query_scalar!(
        r#"select id as "id: UserId" from users u
           where lower(email) = $1 and verify_email_by is not null
             and not exists (select from organization_members m where m.user_id = u.id)
             and not exists (select from organization_former_members f where f.user_id = u.id)
           for no key update"#,
        email_key,
    )
    .fetch_optional(tx.conn())
    .await?;
    match squatter {
        Some(user) => erase(tx, user, now).await,
        None => Ok(Vec::new()),
    }
}

/// Removes at most `limit` accounts that did not prove their address in time and were never in an
/// organization: their addresses become free. Returns how many there were.
pub(super) async fn remove_unverified(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let users = sqlx::query_scalar!(
        r#"select id as "id: UserId" from users u
           where verify_email_by <= $1 and deleted_at is null
             and not exists (select from organization_members m where m.user_id = u.id)
             and not exists (select from organization_former_members f where f.user_id = u.id)
           order by verify_email_by limit $2 offset $3 for no key update skip locked"#,
        now as Timestamp,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    for &user in &users {
        erase(tx, user, now).await?;
    }
    Ok(users.len() as u64)
}
