//! Password resets. Of a token only the SHA-256 is kept, and while its mail waits, the token.

use domain::limits::PASSWORD_RESET_LIFETIME;
use domain::mail::MailKind;
use domain::{LoginId, Refusal, Timestamp, UserId};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::logins;
use super::mails::{NewMail, enqueue};
use crate::{Result, Tx};

/// Makes a reset for the account of an address, with its mail. For an address that nobody has,
/// the same statements are made and nothing is left: who asks cannot tell by the time it takes.
pub async fn request_reset(
    tx: &mut Tx,
    email_key: &str,
    token: &str,
    now: Timestamp,
) -> Result<()> {
    let account = sqlx::query!(
        r#"select id as "id: UserId", email from users where lower(email) = $1"#,
        email_key,
    )
    .fetch_optional(tx.conn())
    .await?;
    let hash = hash(token);
    if let Some(account) = account {
        let reset = sqlx::query_scalar!(
            "insert into password_resets (user_id, token_hash, created_at, expires_at)
             values ($1, $2, $3, $4) returning id",
            account.id.0,
            hash,
            now as Timestamp,
            (now + PASSWORD_RESET_LIFETIME) as Timestamp,
        )
        .fetch_one(tx.conn())
        .await?;
        let mail = NewMail {
            kind: MailKind::PasswordReset,
            user: Some(account.id),
            to_email: &account.email,
            data: json!({"reset": reset}),
            secret: Some(token),
        };
        enqueue(tx, mail, now).await?;
    } else {
        let mail = NewMail {
            kind: MailKind::PasswordReset,
            user: None,
            to_email: email_key,
            data: json!({"reset": 0}),
            secret: Some(token),
        };
        let id = enqueue(tx, mail, now).await?;
        sqlx::query!("delete from mails where id = $1", id.0).execute(tx.conn()).await?;
    }
    Ok(())
}

/// The address of the account that a token resets, if it is good: not used, not expired.
pub async fn find_reset(
    conn: &mut PgConnection,
    token: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select u.email from password_resets r join users u on u.id = r.user_id
         where r.token_hash = $1 and r.used_at is null and r.expires_at > $2",
        hash(token),
        now as Timestamp,
    )
    .fetch_optional(conn)
    .await?)
}

/// Sets a new password by a token, which with all others of the account is used up by that.
/// Every login of the account is revoked. Returns these.
///
/// Refuses with `ValidationFailed` (`token`) one that is unknown, used or expired.
pub async fn confirm_reset(
    tx: &mut Tx,
    token: &str,
    password_hash: &str,
    now: Timestamp,
) -> Result<Vec<LoginId>> {
    let user = sqlx::query_scalar!(
        r#"select user_id as "user: UserId" from password_resets
           where token_hash = $1 and used_at is null and expires_at > $2"#,
        hash(token),
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
         update users set password_hash = $4 from used where users.id = used.user_id",
        user.0,
        hash(token),
        now as Timestamp,
        password_hash,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(bad_token().into());
    }
    sqlx::query!(
        "update password_resets set used_at = $2 where user_id = $1 and used_at is null",
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    logins::revoke_all(tx, user, now).await
}

/// The refusal of a token that is no good.
pub fn bad_token() -> Refusal {
    Refusal::invalid("token", "is unknown, used or expired")
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
