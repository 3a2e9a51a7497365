//! Mails: from the row that a causing action leaves to the word of the mail server.
//!
//! **Invariants:** what a mail says is read when it is handed over, never kept; the token of its
//! link is forgotten once it is sent, withdrawn or expired; `handing` is committed before the mail server is told
//! anything, so a digest whose answer was never recorded is not sent again.

use std::time::Duration;

use domain::mail::{HandedMail, Letter, MailKind, Secret};
use domain::text::is_blank;
use domain::{Claim, MailId, Role, Timestamp, UserId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::digests;
use crate::{Error, Result, Tx};

/// After so many attempts without a recorded answer a mail has failed: each of them may have delivered
/// it.
const UNANSWERED_MAX: i32 = 5;

/// A mail to be written.
#[derive(Debug)]
pub struct NewMail<'a> {
    /// Its kind.
    pub kind: MailKind,
    /// Whom it is for, if they have an account.
    pub user: Option<UserId>,
    /// Where it goes.
    pub to_email: &'a str,
    /// What its template needs.
    pub data: Value,
    /// The token of its link.
    pub secret: Option<MailSecret<'a>>,
}

/// The token of a mail's link. It is kept in plain text while the mail waits, and no longer than it
/// works.
#[derive(Clone, Copy)]
pub struct MailSecret<'a> {
    /// The token.
    pub token: &'a str,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for MailSecret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailSecret(…)")
    }
}

/// What is stored of a link's token: its SHA-256.
pub(crate) fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// What became of a mail that was to be handed over.
#[derive(Debug)]
pub enum Handing {
    /// It is ours to send, and recorded as being handed over.
    Taken(HandedMail),
    /// There is nothing left to say.
    Dropped,
    /// It is not due any more: another has it, or has sent it.
    NotDue,
}

pub(super) struct MailRow {
    pub(super) id: MailId,
    pub(super) kind: String,
    pub(super) user: Option<UserId>,
    to_email: String,
    data: Value,
    secret: Option<String>,
    attempts: i32,
    created_at: Timestamp,
}

/// Writes a mail that is due at once.
pub async fn enqueue(tx: &mut Tx, new: NewMail<'_>, now: Timestamp) -> Result<MailId> {
    let id = sqlx::query_scalar!(
        r#"insert into mails (kind, user_id, to_email, data, secret, secret_expires_at,
                              next_attempt_at, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $7) returning id as "id: MailId""#,
        new.kind.as_str(),
        new.user.map(|user| user.0),
        new.to_email,
        new.data,
        new.secret.map(|secret| secret.token),
        new.secret.map(|secret| secret.expires_at) as Option<Timestamp>,
        now as Timestamp,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(id)
}

/// Takes a mail that is due, to be sent after the commit.
pub async fn hand_over(tx: &mut Tx, id: MailId, now: Timestamp) -> Result<Handing> {
    let row = sqlx::query_as!(
        MailRow,
        r#"select id as "id: MailId", kind, user_id as "user: UserId", to_email, data, secret,
                  attempts, created_at as "created_at: Timestamp"
           from mails where id = $1 and status = 'due' and next_attempt_at <= $2
           for update skip locked"#,
        id.0,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(Handing::NotDue) };
    let kind =
        MailKind::parse(&row.kind).ok_or_else(|| Error::corrupt("mails", "kind", &row.kind))?;
    let letter = match row.user {
        Some(user) if is_disabled(tx, user).await? => None,
        _ => letter(tx, kind, &row, now).await?,
    };
    let Some(letter) = letter else {
        drop_mail(tx, id, "there was nothing left to say").await?;
        return Ok(Handing::Dropped);
    };
    sqlx::query!(
        "update mails set status = 'handing', next_attempt_at = null, handed_at = $2,
                          attempts = attempts + 1
         where id = $1",
        id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(Handing::Taken(HandedMail {
        id,
        kind,
        to_email: row.to_email,
        attempts: row.attempts + 1,
        created_at: row.created_at,
        letter,
    }))
}

/// Whether the account was disabled: no mail goes to it.
async fn is_disabled(tx: &mut Tx, user: UserId) -> Result<bool> {
    let is_disabled = sqlx::query_scalar!(
        r#"select disabled_at is not null as "is_disabled!" from users where id = $1"#,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(is_disabled.unwrap_or(true))
}

/// Drops mails that wait to be handed over, with the tokens of their links.
pub(super) async fn withdraw(tx: &mut Tx, mails: &[i64]) -> Result<()> {
    if mails.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update mails set status = 'dropped', next_attempt_at = null, secret = null,
                          last_error = 'its link was withdrawn'
         where id = any($1) and status = 'due'",
        mails,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a mail says now; `None` when that is nothing.
async fn letter(
    tx: &mut Tx,
    kind: MailKind,
    row: &MailRow,
    now: Timestamp,
) -> Result<Option<Letter>> {
    let text = |name: &str| row.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| row.data.get(name).and_then(Value::as_i64).unwrap_or_default();
    match kind {
        MailKind::Digest => Ok(digests::letter(tx, row, now).await?.map(Letter::Digest)),
        MailKind::OrgInvite => invite(tx, number("invite"), row, now).await,
        MailKind::PasswordReset => {
            let is_good = sqlx::query_scalar!(
                r#"select exists (
                       select from password_resets
                       where id = $1 and used_at is null and expires_at > $2
                   ) as "is_good!""#,
                number("reset"),
                now as Timestamp,
            )
            .fetch_one(tx.conn())
            .await?;
            let token = row.secret.clone().filter(|_| is_good).map(Secret);
            Ok(token.map(|token| Letter::PasswordReset { token }))
        }
        MailKind::VerifyEmail => {
            let is_good = sqlx::query_scalar!(
                r#"select exists (
                       select from email_verifications
                       where id = $1 and used_at is null and expires_at > $2
                   ) as "is_good!""#,
                number("verification"),
                now as Timestamp,
            )
            .fetch_one(tx.conn())
            .await?;
            let token = row.secret.clone().filter(|_| is_good).map(Secret);
            Ok(token.map(|token| Letter::VerifyEmail { token }))
        }
        MailKind::WebhookFailing | MailKind::WebhookDisabled => Ok(Some(Letter::Webhook {
            is_disabled: kind == MailKind::WebhookDisabled,
            org_name: text("org_name").to_owned(),
            url: text("url").to_owned(),
            reason: text("reason").to_owned(),
            failures: number("failures"),
        })),
    }
}

async fn invite(tx: &mut Tx, invite: i64, row: &MailRow, now: Timestamp) -> Result<Option<Letter>> {
    let found = sqlx::query!(
        r#"select o.name as org_name, u.first_name, u.last_name, u.email, i.role,
                  i.expires_at as "expires_at: Timestamp"
           from organization_invites i
           join organizations o on o.id = i.org_id
           join users u on u.id = i.created_by
           where i.id = $1 and i.accepted_at is null and i.expires_at > $2"#,
        invite,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    let (Some(found), Some(token)) = (found, row.secret.clone()) else { return Ok(None) };
    let role = Role::parse(&found.role)
        .ok_or_else(|| Error::corrupt("organization_invites", "role", &found.role))?;
    Ok(Some(Letter::OrgInvite {
        org_name: found.org_name,
        inviter: display_name(&found.first_name, &found.last_name, &found.email),
        role,
        token: Secret(token),
        expires_at: found.expires_at,
    }))
}

/// How someone is called: by name, else by address.
pub(super) fn display_name(first: &str, last: &str, email: &str) -> String {
    let name = format!("{first} {last}");
    let name = name.trim();
    if is_blank(name) { email.to_owned() } else { name.to_owned() }
}

/// Puts a mail off that was not handed over: the mail server could not be reached.
pub async fn postpone(tx: &mut Tx, id: MailId, until: Timestamp, error: &str) -> Result<()> {
    sqlx::query!(
        "update mails set next_attempt_at = $2, attempts = attempts + 1, last_error = $3
         where id = $1 and status = 'due'",
        id.0,
        until as Timestamp,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The mail server has taken it.
pub async fn record_sent(tx: &mut Tx, mail: &HandedMail, now: Timestamp) -> Result<()> {
    let sent = sqlx::query!(
        "update mails set status = 'sent', sent_at = $3, secret = null, last_error = null
         where id = $1 and status = 'handing' and attempts = $2",
        mail.id.0,
        mail.attempts,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    if sent.rows_affected() > 0 && mail.kind == MailKind::Digest {
        digests::decide_sent(tx, &[mail.id], now).await?;
    }
    Ok(())
}

/// The mail server did not take it: it is tried again.
pub async fn record_retry(
    tx: &mut Tx,
    mail: &HandedMail,
    until: Timestamp,
    error: &str,
) -> Result<()> {
    sqlx::query!(
        "update mails set status = 'due', next_attempt_at = $3, last_error = $4
         where id = $1 and status = 'handing' and attempts = $2",
        mail.id.0,
        mail.attempts,
        until as Timestamp,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The mail server will never take it.
pub async fn record_failed(tx: &mut Tx, mail: &HandedMail, error: &str) -> Result<()> {
    sqlx::query!(
        "update mails set status = 'failed', secret = null, last_error = $3
         where id = $1 and status = 'handing' and attempts = $2",
        mail.id.0,
        mail.attempts,
        error,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn drop_mail(tx: &mut Tx, id: MailId, why: &str) -> Result<()> {
    sqlx::query!(
        "update mails set status = 'dropped', next_attempt_at = null, secret = null,
                          last_error = $2
         where id = $1 and status = 'due'",
        id.0,
        why,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Settles mails whose answer was not recorded within `patience`: whoever handed them over is
/// dead. Digests count as sent, since the same news twice is worse than never; all others go out
/// again, at most [`UNANSWERED_MAX`] times. Returns how many there were.
pub async fn settle_unanswered(
    tx: &mut Tx,
    claim: Claim,
    patience: Duration,
    now: Timestamp,
) -> Result<usize> {
    let rows = sqlx::query!(
        r#"update mails set
               status = case when kind = 'digest' then 'sent'
                             when attempts >= $3 then 'failed' else 'due' end,
               sent_at = case when kind = 'digest' then handed_at end,
               secret = case when attempts >= $3 then null else secret end,
               next_attempt_at = case when kind = 'digest' or attempts >= $3 then null
                                      else $2::timestamptz end,
               last_error = 'the answer of the mail server was never recorded'
           where id = any(array(
               select id from mails where status = 'handing' and handed_at <= $1
               order by handed_at limit $4 offset $5 for update skip locked))
           returning id as "id: MailId", kind"#,
        (now - patience) as Timestamp,
        now as Timestamp,
        UNANSWERED_MAX,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    let digests: Vec<MailId> =
        rows.iter().filter(|row| row.kind == MailKind::Digest.as_str()).map(|row| row.id).collect();
    digests::decide_sent(tx, &digests, now).await?;
    Ok(rows.len())
}
