//! Password resets. Of a token only the SHA-256 is kept, and while its mail waits, the token.

use domain::limits::{PASSWORD_RESET_LIFETIME, PASSWORD_RESETS_OPEN_MAX};
use domain::mail::MailKind;
use domain::{LoginId, Refusal, Timestamp, UserId};
use serde_json::json;
use sqlx::PgConnection;

use super::known_clients::{Client, remember};
use super::mails::{MailSecret, NewMail, enqueue, token_hash, withdraw};
use super::{email_verification, logins};
use crate::{Result, Tx};

/// Makes a reset for the account of an address, with its mail. For an address that nobody has, or
/// whose account is disabled or has 5 open links already, the same statements are made and nothing
/// is left: who asks cannot tell by the time it takes.
pub async fn request_reset(
    tx: &mut Tx,
    email_key: &str,
    token: &str,
    now: Timestamp,
) -> Result<()> {
    let account = sqlx::query!(
        r#"select id as "id: UserId", email from users u
           where lower(email) = $1 and deleted_at is null and disabled_at is null
             and (select count(*) from password_resets r
                  where r.user_id = u.id and r.used_at is null and r.expires_at > $2) < $3"#,
        email_key,
        now as Timestamp,
        PASSWORD_RESETS_OPEN_MAX,
    )
    .fetch_optional(tx.conn())
    .await?;
    let expires_at = now + PASSWORD_RESET_LIFETIME;
    let secret = Some(MailSecret { token, expires_at });
    let kind = MailKind::PasswordReset;
    if let Some(account) = account {
        let reset = sqlx::query_scalar!(
            "insert into password_resets (user_id, token_hash, created_at, expires_at)
             values ($1, $2, $3, $4) returning id",
            account.id.0,
            token_hash(token),
            now as Timestamp,
            expires_at as Timestamp,
        )
        .fetch_one(tx.conn())
        .await?;
        let (user, data) = (Some(account.id), json!({"reset": reset}));
        let mail = NewMail { kind, user, to_email: &account.email, data, secret };
        let mail = enqueue(tx, mail, now).await?;
        sqlx::query!("update password_resets set mail_id = $2 where id = $1", reset, mail.0)
            .execute(tx.conn())
            .await?;
    } else {
        let data = json!({"reset": 0});
        let mail = NewMail { kind, user: None, to_email: email_key, data, secret };
        let id = enqueue(tx, mail, now).await?;
        sqlx::query!("delete from mails where id = $1", id.0).execute(tx.conn()).await?;
    }
    Ok(())
}

/// Ends every open reset link of an account, mailed or waiting to be: after any change of its
/// credentials.
pub(super) async fn end_all(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    let mails = sqlx::query_scalar!(
        "update password_resets set used_at = $2 where user_id = $1 and used_at is null
         returning mail_id",
        user.0,
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    withdraw(tx, &mails.into_iter().flatten().collect::<Vec<_>>()).await
}

/// The account that a reset link is for.
#[derive(Clone, Debug)]
pub struct ResetAccount {
    /// Its address as shown.
    pub email: String,
    /// First name, may be empty.
    pub first_name: String,
    /// Last name, may be empty.
    pub last_name: String,
}

/// The account that a token resets, if it is good: not used, not expired.
pub async fn find_reset(
    conn: &mut PgConnection,
    token: &str,
    now: Timestamp,
) -> Result<Option<ResetAccount>> {
    Ok(sqlx::query_as!(
        ResetAccount,
        "select u.email, u.first_name, u.last_name from password_resets r join users u on u.id = r.user_id
         where r.token_hash = $1 and r.used_at is null and r.expires_at > $2",
        token_hash(token),
        now as Timestamp,
    )
    .fetch_optional(conn)
    .await?)
}

/// A new password that a reset link sets.
#[derive(Debug)]
pub struct Reset<'a> {
    /// The new password's Argon2id hash, in PHC form.
    pub password_hash: &'a str,
    /// Where the link was used: an address of the account from now on.
    pub client: Client<'a>,
}

/// Sets a new password by a mailed token: that proves the account's address too, ends all its reset
/// links and revokes all its logins. Returns these.
///
/// Refuses with `ValidationFailed` (`token`) one that is unknown, used or expired.
pub async fn confirm_reset(
    tx: &mut Tx,
    token: &str,
    reset: Reset<'_>,
    now: Timestamp,
) -> Result<Vec<LoginId>> {
    let Reset { password_hash, client } = reset;
    let user = sqlx::query_scalar!(
        r#"select user_id as "user: UserId" from password_resets
           where token_hash = $1 and used_at is null and expires_at > $2"#,
        token_hash(token),
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(bad_token)?;
    // Of two who come at once, the second finds the token used.
    let changed = sqlx::query!(
        "with used as (
             update password_resets set used_at = $3
             where token_hash = $2 and user_id = $1 and used_at is null
             returning user_id
         )
         update users set password_hash = $4 from used
         where users.id = used.user_id and users.disabled_at is null",
        user.0,
        token_hash(token),
        now as Timestamp,
        password_hash,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(bad_token().into());
    }
    end_all(tx, user, now).await?;
    email_verification::mark_verified(tx, user, now).await?;
    remember(tx, user, client, now).await?;
    logins::revoke_all(tx, user, now).await
}

/// The refusal of a token that is no good.
pub fn bad_token() -> Refusal {
    Refusal::invalid("token", "is unknown, used or expired")
}
