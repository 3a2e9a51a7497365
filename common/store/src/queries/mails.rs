//! Mails that are due, and how long the oldest thing has waited to be mailed.

use domain::mail::{DueMail, MailKind};
use domain::{MailId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;

/// Due mails among which organizations take turns.
const TURNS_MAX: i64 = 10_000;

/// How much waits to be mailed.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailBacklog {
    /// Mails that are due or put off, counted up to 10,000.
    pub mails: i64,
    /// Age of the oldest of them, or how long the oldest notification is overdue, in seconds.
    pub oldest_seconds: f64,
}

struct DueRow {
    id: MailId,
    kind: String,
    user: Option<UserId>,
    due_at: Timestamp,
    attempts: i32,
    created_at: Timestamp,
}

impl DueRow {
    /// `None` for a kind that this version does not know; a later version mails it.
    fn into_due(self) -> Option<DueMail> {
        Some(DueMail {
            id: self.id,
            kind: MailKind::parse(&self.kind)?,
            user: self.user,
            due_at: self.due_at,
            attempts: self.attempts,
            created_at: self.created_at,
        })
    }
}

/// The mails to hand over next: mails whose link somebody is waiting for come first, then
/// organizations take turns. Considers the [`TURNS_MAX`] that have been due longest.
pub async fn due_mails(
    conn: &mut PgConnection,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<DueMail>> {
    let rows = sqlx::query_as!(
        DueRow,
        r#"with due as (
               select id, kind, user_id, next_attempt_at, attempts, created_at, data
               from mails where next_attempt_at <= $1 and kind = any($3)
               order by next_attempt_at limit $4
           ), tenants as (
               select d.*, d.kind in ('password_reset', 'verify_email') as is_awaited,
                      coalesce((d.data->>'org')::bigint, i.org_id, (n.data->>'org')::bigint, 0) as org_id
               from due d
               left join lateral (
                   select org_id from organization_invites
                   where id = (d.data->>'invite')::bigint limit 1
               ) i on true
               left join lateral (
                   select data from notifications where mail_id = d.id limit 1
               ) n on true
           )
           select id as "id!: MailId", kind as "kind!", user_id as "user: UserId",
                  next_attempt_at as "due_at!: Timestamp", attempts as "attempts!",
                  created_at as "created_at!: Timestamp"
           from (select *, row_number() over (
                     partition by is_awaited, org_id order by next_attempt_at) as turn
                 from tenants) t
           order by not is_awaited, turn, next_attempt_at limit $2"#,
        now as Timestamp,
        limit,
        &MailKind::ALL.map(|kind| kind.as_str().to_owned()),
        TURNS_MAX,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(DueRow::into_due).collect())
}

/// A mail, if it is due.
pub async fn due_mail(
    conn: &mut PgConnection,
    id: MailId,
    now: Timestamp,
) -> Result<Option<DueMail>> {
    let row = sqlx::query_as!(
        DueRow,
        r#"select id as "id: MailId", kind, user_id as "user: UserId",
                  next_attempt_at as "due_at!: Timestamp", attempts,
                  created_at as "created_at: Timestamp"
           from mails where id = $1 and next_attempt_at <= $2"#,
        id.0,
        now as Timestamp,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(DueRow::into_due))
}

/// How much waits.
pub async fn mail_backlog(conn: &mut PgConnection, now: Timestamp) -> Result<MailBacklog> {
    let row = sqlx::query!(
        r#"select m.mails as "mails!",
                  coalesce(extract(epoch from $1 - least(m.oldest, n.oldest)), 0)::float8
                      as "oldest!"
           from (select count(*) as mails, min(created_at) as oldest
                 from (select created_at from mails where next_attempt_at is not null
                       order by next_attempt_at limit 10000) due) m,
                (select min(email_due_at) as oldest from notifications
                 where email_due_at is not null) n"#,
        now as Timestamp,
    )
    .fetch_one(conn)
    .await?;
    Ok(MailBacklog { mails: row.mails, oldest_seconds: row.oldest.max(0.0) })
}
