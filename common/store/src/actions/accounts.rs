//! Accounts: creating one, changing it, changing its password.

use domain::email::Email;
use domain::user::{EmailNotifications, NameKeys, NewUser, User, UserChange};
use domain::{Caller, Claim, LoginId, Refusal, Timestamp, UserId};

use crate::error::OnConstraint;
use crate::queries::users::{Credentials, user};
use crate::{Result, Tx};

/// An account to be created, with what is known about its address.
pub(super) struct NewAccount<'a> {
    pub(super) new: NewUser,
    /// Argon2id, in PHC form.
    pub(super) password_hash: &'a str,
    /// Whether the address is proven.
    pub(super) email_verified: bool,
    /// Until when it must be proven; `None`: it need not.
    pub(super) verify_email_by: Option<Timestamp>,
}

/// Creates an account whose address is believed: for demo data.
///
/// Refuses with `EmailTaken`.
pub async fn create_user(
    tx: &mut Tx,
    new: NewUser,
    password_hash: &str,
    now: Timestamp,
) -> Result<User> {
    let account = NewAccount { new, password_hash, email_verified: true, verify_email_by: None };
    create_account(tx, account, now).await
}

/// Creates an account.
///
/// Refuses with `EmailTaken`.
pub(super) async fn create_account(
    tx: &mut Tx,
    account: NewAccount<'_>,
    now: Timestamp,
) -> Result<User> {
    let NewAccount { new, password_hash, email_verified, verify_email_by } = account;
    let keys = NameKeys::of(&new.first_name, &new.last_name);
    let id = sqlx::query_scalar!(
        r#"insert into users (email, password_hash, first_name, last_name, avatar_url, created_at,
                              email_verified, verify_email_by, keyed_names, mention_key, name_key,
                              email_key)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id as "id: UserId""#,
        new.email.as_str(),
        password_hash,
        new.first_name,
        new.last_name,
        new.avatar_url,
        now as Timestamp,
        email_verified,
        verify_email_by as Option<Timestamp>,
        keys.names,
        keys.mention,
        keys.name,
        new.email.unicode_key(),
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("users_email_key", Refusal::EmailTaken)?;
    find(tx, id).await
}

/// Changes what a user says about themselves.
pub async fn change_user(tx: &mut Tx, caller: Caller, change: UserChange) -> Result<User> {
    if !change.is_empty() {
        let is_renamed = change.first_name.is_some() || change.last_name.is_some();
        let (sets_avatar, avatar) = match change.avatar_url {
            Some(avatar) => (true, avatar),
            None => (false, None),
        };
        sqlx::query!(
            "update users set first_name = coalesce($2, first_name),
                              last_name = coalesce($3, last_name),
                              avatar_url = case when $4 then $5 else avatar_url end,
                              email_notifications = coalesce($6, email_notifications)
             where id = $1",
            caller.user.0,
            change.first_name,
            change.last_name,
            sets_avatar,
            avatar,
            change.email_notifications.map(EmailNotifications::as_str),
        )
        .execute(tx.conn())
        .await?;
        if is_renamed {
            key_names(tx, &[caller.user]).await?;
        }
    }
    find(tx, caller.user).await
}

/// Computes the keys by which accounts are found from their present names.
async fn key_names(tx: &mut Tx, users: &[UserId]) -> Result<()> {
    let rows = sqlx::query!(
        r#"select id, email, first_name, last_name from users
           where id = any($1) order by id for no key update"#,
        users as &[UserId],
    )
    .fetch_all(tx.conn())
    .await?;
    let mut columns = KeyColumns::default();
    for row in rows {
        let keys = NameKeys::of(&row.first_name, &row.last_name);
        columns.ids.push(row.id);
        columns.names.push(keys.names);
        columns.mentions.push(keys.mention);
        columns.keys.push(keys.name);
        columns.emails.push(Email::parse(&row.email).ok().and_then(|email| email.unicode_key()));
    }
    sqlx::query!(
        "update users set keyed_names = t.names, mention_key = t.mention, name_key = t.key,
                          email_key = t.email
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
              as t (id, names, mention, key, email)
         where users.id = t.id",
        &columns.ids,
        &columns.names,
        &columns.mentions,
        &columns.keys,
        &columns.emails as &[Option<String>],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[derive(Default)]
struct KeyColumns {
    ids: Vec<i64>,
    names: Vec<String>,
    mentions: Vec<String>,
    keys: Vec<String>,
    emails: Vec<Option<String>>,
}

/// Computes the keys of claimed accounts whose keys are missing or are those of other names, because
/// an older version wrote them; skips accounts that another transaction holds. Returns how many it
/// found.
pub async fn key_old_names(tx: &mut Tx, claim: Claim) -> Result<u64> {
    let users = sqlx::query_scalar!(
        r#"select id as "id: UserId" from users
           where keyed_names is distinct from first_name || E'\n' || last_name
           order by id limit $1 offset $2 for no key update skip locked"#,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    key_names(tx, &users).await?;
    Ok(users.len() as u64)
}

/// Replaces the password of `verified`, which the caller has just been found to know, revokes their
/// other logins and ends the account's open reset links. Returns the revoked logins.
///
/// Refuses with `ValidationFailed` (`current_password`) when another change came first.
pub async fn change_password(
    tx: &mut Tx,
    caller: Caller,
    (verified, password_hash): (&Credentials, &str),
    now: Timestamp,
) -> Result<Vec<LoginId>> {
    let changed = sqlx::query!(
        "update users set password_hash = $3 where id = $1 and password_hash = $2",
        caller.user.0,
        verified.password_hash,
        password_hash,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Refusal::invalid("current_password", "is wrong").into());
    }
    super::password_resets::end_all(tx, caller.user, now).await?;
    super::logins::revoke_others(tx, caller, now).await
}

/// Ends all e-mail notifications of whom an unsubscribe token belongs to; without a login.
///
/// Refuses with `NotFound`.
pub async fn unsubscribe(tx: &mut Tx, token: &str) -> Result<()> {
    let changed = sqlx::query!(
        "update users set email_notifications = 'none' where unsubscribe_token = $1::text::uuid",
        token,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 { Err(Refusal::NotFound.into()) } else { Ok(()) }
}

async fn find(tx: &mut Tx, id: UserId) -> Result<User> {
    Ok(user(tx.conn(), id).await?.ok_or(Refusal::NotFound)?)
}
