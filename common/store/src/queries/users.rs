//! Accounts.

use domain::limits::{DEVICE_TOKEN_LIFETIME, KNOWN_ADDRESS_LIFETIME};
use domain::user::{EmailNotifications, User};
use domain::{Timestamp, UserId};
use sqlx::PgConnection;

use crate::actions::known_clients::Client;
use crate::actions::mails::token_hash;
use crate::{Error, Result};

/// What a password is verified against.
#[derive(Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// The address as shown.
    pub email: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user)
    }
}

struct UserRow {
    id: UserId,
    email: String,
    email_verified: bool,
    first_name: String,
    last_name: String,
    avatar_url: Option<String>,
    email_notifications: String,
    created_at: Timestamp,
    last_login: Option<Timestamp>,
}

impl UserRow {
    fn into_user(self) -> Result<User> {
        let email_notifications =
            EmailNotifications::parse(&self.email_notifications).ok_or_else(|| {
                Error::corrupt("users", "email_notifications", &self.email_notifications)
            })?;
        Ok(User {
            id: self.id,
            email: self.email,
            email_verified: self.email_verified,
            first_name: self.first_name,
            last_name: self.last_name,
            avatar_url: self.avatar_url,
            email_notifications,
            created_at: self.created_at,
            last_login: self.last_login,
        })
    }
}

/// An account, as its owner may see it.
pub async fn user(conn: &mut PgConnection, id: UserId) -> Result<Option<User>> {
    sqlx::query_as!(
        UserRow,
        r#"select id as "id: UserId", email, email_verified, first_name, last_name, avatar_url,
                  email_notifications, created_at as "created_at: Timestamp",
                  last_login as "last_login: Timestamp"
           from users where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await?
    .map(UserRow::into_user)
    .transpose()
}

/// Another's account, if `viewer` may know it: their own; that of anyone who is or was in an
/// organization which they are in, since they see what was written there; and of those who were
/// with them in one that they have left.
pub async fn user_seen_by(
    conn: &mut PgConnection,
    viewer: UserId,
    id: UserId,
) -> Result<Option<User>> {
    let is_visible = sqlx::query_scalar!(
        r#"select $1::bigint = $2::bigint or exists (
               select from organization_members me
               where me.user_id = $1
                 and (exists (select from organization_members them
                              where them.org_id = me.org_id and them.user_id = $2)
                      or exists (select from organization_former_members them
                                 where them.org_id = me.org_id and them.user_id = $2))
           ) or exists (
               select from organization_former_members me
               where me.user_id = $1
                 and (exists (select from organization_members them
                              where them.org_id = me.org_id and them.user_id = $2
                                and them.joined_at < me.left_at)
                      or exists (select from organization_former_members them
                                 where them.org_id = me.org_id and them.user_id = $2
                                   and them.joined_at < me.left_at
                                   and me.joined_at < them.left_at))
           ) as "is_visible!""#,
        viewer.0,
        id.0,
    )
    .fetch_one(&mut *conn)
    .await?;
    if is_visible { user(conn, id).await } else { Ok(None) }
}

/// What the account with this address is verified against, unless it is disabled; `email_key` is
/// [`domain::Email::key`].
pub async fn credentials_by_email(
    conn: &mut PgConnection,
    email_key: &str,
) -> Result<Option<Credentials>> {
    Ok(sqlx::query_as!(
        Credentials,
        r#"select id as "user: UserId", email, password_hash
           from users where lower(email) = $1 and deleted_at is null and disabled_at is null"#,
        email_key,
    )
    .fetch_optional(conn)
    .await?)
}

/// An account, and whether the client that signs in is known to it.
#[derive(Clone, Debug)]
pub struct SignInAccount {
    /// What the password is verified against.
    pub credentials: Credentials,
    /// Whether the account signed in from this address within [`KNOWN_ADDRESS_LIFETIME`].
    pub is_known_address: bool,
    /// Whether the device token belongs to the account.
    pub is_known_device: bool,
}

/// The account of an e-mail ([`domain::Email::key`]) that a client signs in to, unless it is
/// disabled: one statement, whether there is such an account or not.
pub async fn sign_in_account(
    conn: &mut PgConnection,
    email_key: &str,
    client: Client<'_>,
    now: Timestamp,
) -> Result<Option<SignInAccount>> {
    let found = sqlx::query!(
        r#"select u.id as "user: UserId", u.email, u.password_hash,
                  exists (select from known_addresses a
                          where a.user_id = u.id and a.prefix = $2 and a.last_seen_at > $4)
                      as "is_known_address!",
                  exists (select from device_tokens d
                          where d.token_hash = $3 and d.user_id = u.id and d.last_seen_at > $5)
                      as "is_known_device!"
           from users u where lower(u.email) = $1 and u.deleted_at is null and u.disabled_at is null"#,
        email_key,
        client.prefix,
        client.device_token.map(|token| token_hash(token.0)),
        (now - KNOWN_ADDRESS_LIFETIME) as Timestamp,
        (now - DEVICE_TOKEN_LIFETIME) as Timestamp,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|row| SignInAccount {
        credentials: Credentials {
            user: row.user,
            email: row.email,
            password_hash: row.password_hash,
        },
        is_known_address: row.is_known_address,
        is_known_device: row.is_known_device,
    }))
}

/// What a user is verified against.
pub async fn credentials(conn: &mut PgConnection, id: UserId) -> Result<Option<Credentials>> {
    Ok(sqlx::query_as!(
        Credentials,
        r#"select id as "user: UserId", email, password_hash
           from users where id = $1 and deleted_at is null and disabled_at is null"#,
        id.0,
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether there is any account.
pub async fn is_anyone_there(conn: &mut PgConnection) -> Result<bool> {
    let is_anyone = sqlx::query_scalar!(r#"select exists (select from users) as "is_anyone!""#)
        .fetch_one(conn)
        .await?;
    Ok(is_anyone)
}
