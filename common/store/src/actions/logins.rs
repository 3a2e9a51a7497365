//! Logins and their refresh tokens.
//!
//! **Invariant:** of a login's chain of refresh tokens only the last two matter: the newest, and
//! the one it succeeded, whose holder may have lost the answer. Once the newest has been
//! presented, presenting an older one means that somebody else holds it too: the login is revoked.

use std::time::Duration;

use domain::{Caller, LoginId, Refusal, Timestamp, UserId};

use super::known_clients::{Client, remember};
use crate::queries::users::Credentials;
use crate::refresh_token::{RefreshToken, Salt};
use crate::{Result, Store, Tx};

/// A refresh token to be issued.
#[derive(Clone, Copy, Debug)]
pub struct Issue {
    /// What its successor will be derived with: random.
    pub salt: Salt,
    /// How long it lives.
    pub lifetime: Duration,
}

/// What became of a presented refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// It was good: this is whose it is, and the token that follows it.
    Renewed(Caller, RefreshToken),
    /// Its successor had been presented before: the login is revoked.
    Reused(LoginId),
}

/// A sign-in whose password has just been verified.
#[derive(Debug)]
pub struct SignIn<'a> {
    /// What it was verified against.
    pub verified: &'a Credentials,
    /// The new hash of the password, where the verified one is of an older form.
    pub rehashed: Option<&'a str>,
    /// What signs in.
    pub user_agent: &'a str,
    /// The client that it comes from.
    pub client: Client<'a>,
    /// The login's first refresh token.
    pub token: &'a RefreshToken,
    /// How the next is made.
    pub issue: Issue,
}

/// Signs a user in, and records the client as known to the account.
///
/// Refuses with `InvalidCredentials` when the password was changed, or the account disabled,
/// meanwhile.
pub async fn sign_in(tx: &mut Tx, sign_in: SignIn<'_>, now: Timestamp) -> Result<Caller> {
    let SignIn { verified, rehashed, user_agent, client, token, issue } = sign_in;
    let signed_in = sqlx::query!(
        "update users set last_login = $3, password_hash = coalesce($4, password_hash)
         where id = $1 and password_hash = $2 and disabled_at is null",
        verified.user.0,
        verified.password_hash,
        now as Timestamp,
        rehashed,
    )
    .execute(tx.conn())
    .await?;
    if signed_in.rows_affected() == 0 {
        return Err(Refusal::InvalidCredentials.into());
    }
    let login = sqlx::query_scalar!(
        r#"insert into logins (user_id, user_agent, created_at, last_seen_at)
           values ($1, $2, $3, $3) returning id as "id: LoginId""#,
        verified.user.0,
        user_agent,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    insert_token(tx, login, (token, None), issue, now).await?;
    remember(tx, verified.user, client, now).await?;
    Ok(Caller { user: verified.user, login })
}

/// Exchanges a refresh token for its successor: the same one again, until that is presented.
///
/// Refuses with `Unauthenticated` what is unknown, expired, or of a revoked login.
pub async fn refresh(
    tx: &mut Tx,
    presented: &RefreshToken,
    issue: Issue,
    now: Timestamp,
) -> Result<Refreshed> {
    let hash = presented.hash();
    if let Some(renewed) = renewed_before(tx, presented, now).await? {
        return Ok(renewed);
    }
    // Locked first and read afterwards, so that of parallel presentations the later ones see
    // what the first has done.
    let login = sqlx::query!(
        r#"select id as "id: LoginId", user_id as "user: UserId", revoked_at is not null as "gone!"
           from logins where id = (select login_id from refresh_tokens where hash = $1)
           for no key update"#,
        hash,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::Unauthenticated)?;
    let token = sqlx::query!(
        r#"select salt, predecessor, successor_presented_at is not null as "is_spent!",
                  expires_at <= $2 as "is_expired!"
           from refresh_tokens where hash = $1"#,
        hash,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::Unauthenticated)?;
    if token.is_spent {
        revoke(tx, &[login.id], now).await?;
        return Ok(Refreshed::Reused(login.id));
    }
    if login.gone || token.is_expired {
        return Err(Refusal::Unauthenticated.into());
    }
    if let Some(predecessor) = token.predecessor {
        sqlx::query!(
            "update refresh_tokens set successor_presented_at = $2
             where hash = $1 and successor_presented_at is null",
            predecessor,
            now as Timestamp,
        )
        .execute(tx.conn())
        .await?;
    }
    let successor = presented.successor(&token.salt)?;
    insert_token(tx, login.id, (&successor, Some(&hash)), issue, now).await?;
    sqlx::query!(
        "update logins set last_seen_at = greatest(last_seen_at, $2) where id = $1",
        login.id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(Refreshed::Renewed(Caller { user: login.user, login: login.id }, successor))
}

/// What an earlier presentation was answered, as long as its successor has not been presented:
/// nothing changes, so nothing is locked, however many ask at once.
async fn renewed_before(
    tx: &mut Tx,
    presented: &RefreshToken,
    now: Timestamp,
) -> Result<Option<Refreshed>> {
    let found = sqlx::query!(
        r#"select t.salt, l.id as "id: LoginId", l.user_id as "user: UserId"
           from refresh_tokens t join logins l on l.id = t.login_id
           where t.hash = $1 and t.successor_presented_at is null and t.expires_at > $2
             and l.revoked_at is null"#,
        presented.hash(),
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(found) = found else { return Ok(None) };
    let successor = presented.successor(&found.salt)?;
    let is_made = sqlx::query_scalar!(
        r#"select exists (select from refresh_tokens where hash = $1) as "exists!""#,
        successor.hash(),
    )
    .fetch_one(tx.conn())
    .await?;
    let caller = Caller { user: found.user, login: found.id };
    Ok(is_made.then_some(Refreshed::Renewed(caller, successor)))
}

/// Keeps a token, once; and forgets those of its login that have expired.
async fn insert_token(
    tx: &mut Tx,
    login: LoginId,
    (token, predecessor): (&RefreshToken, Option<&[u8]>),
    issue: Issue,
    now: Timestamp,
) -> Result<()> {
    let hash = token.hash();
    sqlx::query!(
        "insert into refresh_tokens (hash, login_id, salt, predecessor, expires_at)
         values ($1, $2, $3, $4, $5) on conflict (hash) do nothing",
        hash,
        login.0,
        &issue.salt[..],
        predecessor,
        (now + issue.lifetime) as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from refresh_tokens where login_id = $1 and expires_at <= $2 and hash <> $3",
        login.0,
        now as Timestamp,
        hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Revokes the login of a refresh token, however old. `None` when there is none.
pub async fn sign_out(
    tx: &mut Tx,
    presented: &RefreshToken,
    now: Timestamp,
) -> Result<Option<LoginId>> {
    let login = sqlx::query_scalar!(
        r#"select login_id as "login: LoginId" from refresh_tokens where hash = $1"#,
        presented.hash(),
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(login) = login {
        revoke(tx, &[login], now).await?;
    }
    Ok(login)
}

/// Revokes one login of the caller.
///
/// Refuses with `NotFound` one that is not theirs, or is revoked already.
pub async fn revoke_login(
    tx: &mut Tx,
    caller: Caller,
    login: LoginId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query_scalar!(
        "select id from logins where id = $1 and user_id = $2 and revoked_at is null
         for no key update",
        login.0,
        caller.user.0,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    revoke(tx, &[login], now).await
}

/// Revokes every login of the caller but the one they ask with. Returns them.
pub(super) async fn revoke_others(
    tx: &mut Tx,
    caller: Caller,
    now: Timestamp,
) -> Result<Vec<LoginId>> {
    let others = sqlx::query_scalar!(
        r#"select id as "id: LoginId" from logins
           where user_id = $1 and id <> $2 and revoked_at is null
           order by id for no key update"#,
        caller.user.0,
        caller.login.0,
    )
    .fetch_all(tx.conn())
    .await?;
    revoke(tx, &others, now).await?;
    Ok(others)
}

/// Revokes every login of a user. Returns them.
pub(super) async fn revoke_all(
    tx: &mut Tx,
    user: domain::UserId,
    now: Timestamp,
) -> Result<Vec<LoginId>> {
    let logins = sqlx::query_scalar!(
        r#"select id as "id: LoginId" from logins
           where user_id = $1 and revoked_at is null order by id for no key update"#,
        user.0,
    )
    .fetch_all(tx.conn())
    .await?;
    revoke(tx, &logins, now).await?;
    Ok(logins)
}

/// Refresh tokens of a revoked login are dead by that alone; their rows stay until they expire,
/// so that one that is presented again is still known as reused.
async fn revoke(tx: &mut Tx, logins: &[LoginId], now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update logins set revoked_at = $2 where id = any($1) and revoked_at is null",
        logins as &[LoginId],
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes when logins were last used. Those that someone else holds at the moment are left out:
/// it is no more than a hint to their owner.
pub async fn note_seen(store: &Store, seen: &[(LoginId, Timestamp)]) -> Result<()> {
    let (logins, times): (Vec<LoginId>, Vec<Timestamp>) = seen.iter().copied().unzip();
    sqlx::query!(
        "update logins set last_seen_at = greatest(last_seen_at, t.seen_at)
         from (select l.id, s.seen_at
               from unnest($1::bigint[], $2::timestamptz[]) as s (id, seen_at)
               join logins l on l.id = s.id
               order by l.id for no key update of l skip locked) t
         where logins.id = t.id",
        &logins as &[LoginId],
        &times as &[Timestamp],
    )
    .execute(&mut *store.read().await?)
    .await?;
    Ok(())
}
