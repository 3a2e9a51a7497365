//! Proving that an account's address is its owner's.
//!
//! `users.verify_email_by` is set exactly while the account must prove its address and has not:
//! everything that such an account may not do asks for that column, so no other code knows
//! whether the deployment requires verification. [`apply_policy`] brings it in line with the
//! configuration. Of a token only the SHA-256 is kept, and while its mail waits, the token.

use domain::limits::{EMAIL_VERIFICATION_LIFETIME, VERIFICATION_MAILS_PER_DAY};
use domain::mail::MailKind;
use domain::registration::EmailVerification;
use domain::{Caller, Refusal, Timestamp, UserId};
use serde_json::json;

use super::mail_limits::{MailScope, MailSource, count_mail};
use super::mails::{MailSecret, NewMail, enqueue, token_hash, withdraw};
use crate::{Result, Tx};

/// Makes a link that proves the account's address, and mails it.
///
/// Refuses with `RateLimited` after 5 a day, or when its client has caused too many mails.
pub(super) async fn mail_link(
    tx: &mut Tx,
    (user, email): (UserId, &str),
    (token, source): (&str, MailSource),
    now: Timestamp,
) -> Result<()> {
    count_mail(tx, MailScope::Verification(user), VERIFICATION_MAILS_PER_DAY, now).await?;
    source.count(tx, now).await?;
    let expires_at = now + EMAIL_VERIFICATION_LIFETIME;
    let id = sqlx::query_scalar!(
        "insert into email_verifications (user_id, token_hash, created_at, expires_at)
         values ($1, $2, $3, $4) returning id",
        user.0,
        token_hash(token),
        now as Timestamp,
        expires_at as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    let mail = NewMail {
        kind: MailKind::VerifyEmail,
        user: Some(user),
        to_email: email,
        data: json!({"verification": id}),
        secret: Some(MailSecret { token, expires_at }),
    };
    let mail = enqueue(tx, mail, now).await?;
    sqlx::query!("update email_verifications set mail_id = $2 where id = $1", id, mail.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Mails another link to the caller's address; nothing when it is proven.
///
/// Refuses with `RateLimited`.
pub async fn resend(
    tx: &mut Tx,
    caller: Caller,
    (token, source): (&str, MailSource),
    now: Timestamp,
) -> Result<()> {
    let email = sqlx::query_scalar!(
        "select email from users where id = $1 and not email_verified and deleted_at is null",
        caller.user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    match email {
        Some(email) => mail_link(tx, (caller.user, &email), (token, source), now).await,
        None => Ok(()),
    }
}

/// Proves the address of the account that a token was mailed for; all of its tokens end.
///
/// Refuses with `ValidationFailed` (`token`) one that is unknown, used or expired.
pub async fn verify(tx: &mut Tx, token: &str, now: Timestamp) -> Result<()> {
    let user = sqlx::query_scalar!(
        r#"update email_verifications set used_at = $2
           where token_hash = $1 and used_at is null and expires_at > $2
           returning user_id as "user: UserId""#,
        token_hash(token),
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| Refusal::invalid("token", "is unknown, used or expired"))?;
    mark_verified(tx, user, now).await?;
    Ok(())
}

/// Records that an account's address is proven, as by a mail to it that was read; open links end.
/// Returns whether it was not proven before.
pub(super) async fn mark_verified(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<bool> {
    let changed = sqlx::query!(
        "update users set email_verified = true, verify_email_by = null
         where id = $1 and (not email_verified or verify_email_by is not null)",
        user.0,
    )
    .execute(tx.conn())
    .await?;
    end_links(tx, user, now).await?;
    Ok(changed.rows_affected() > 0)
}

/// Ends the account's open links, mailed or waiting to be.
pub(super) async fn end_links(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    let mails = sqlx::query_scalar!(
        "update email_verifications set used_at = $2 where user_id = $1 and used_at is null
         returning mail_id",
        user.0,
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    withdraw(tx, &mails.into_iter().flatten().collect::<Vec<_>>()).await
}

/// Demands that an account need not prove its address, or has. Locks the account until the end of
/// the transaction.
///
/// # Errors
/// `EmailUnverified`; `Unauthenticated` without such an account.
pub(super) async fn require_verified(tx: &mut Tx, user: UserId) -> Result<()> {
    let is_unverified = sqlx::query_scalar!(
        r#"select verify_email_by is not null as "is_unverified!" from users
           where id = $1 and deleted_at is null and disabled_at is null for no key update"#,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::Unauthenticated)?;
    if is_unverified { Err(Refusal::EmailUnverified.into()) } else { Ok(()) }
}

/// Brings at most `limit` accounts in line with the configuration: with verification required,
/// unverified accounts must prove their address (without a deadline: they were made when it was
/// not required); with it off, none must. Returns how many were changed; repeat until none is.
pub async fn apply_policy(tx: &mut Tx, policy: EmailVerification, limit: i64) -> Result<u64> {
    let changed = match policy {
        EmailVerification::Required => {
            sqlx::query!(
                "update users set verify_email_by = 'infinity' where id = any(array(
                     select id from users
                     where not email_verified and verify_email_by is null and deleted_at is null
                     order by id limit $1 for no key update))",
                limit,
            )
            .execute(tx.conn())
            .await?
        }
        EmailVerification::Off => {
            sqlx::query!(
                "update users set verify_email_by = null where id = any(array(
                     select id from users where verify_email_by is not null
                     order by id limit $1 for no key update))",
                limit,
            )
            .execute(tx.conn())
            .await?
        }
    };
    Ok(changed.rows_affected())
}
