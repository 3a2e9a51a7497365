//! Digests: of what is due to be mailed to someone, all of it in one mail, or the reason why not.
//!
//! **Invariants:** a notification is pending (`email_due_at`), in one mail (`mail_id`) or settled;
//! everything is judged twice, when the digest is made and when it is handed over, so a message
//! that is read, edited or deleted in between is told as it is then, or not at all; every
//! judgement that is a suppression leaves its reason behind.

use std::time::Duration;

use domain::mail::{Digest, MailKind, Missed, Secret};
use domain::mentions::with_names;
use domain::notification::{NotificationType, Suppression};
use domain::room::Notify;
use domain::user::EmailNotifications;
use domain::{Claim, MailId, MessageId, RoomId, Timestamp, UserId};
use sqlx::PgConnection;

use super::mails::{MailRow, NewMail, display_name, drop_mail, enqueue};
use super::mentions::names_in;
use crate::{Error, Result, Tx};

/// The least time between two digests to one person.
pub const DIGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long someone who is online is looked at again: later they have seen it in the app.
pub const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// When someone is looked at again whose mail is just being handed over.
const BUSY: Duration = Duration::from_secs(2);
/// Notifications in one digest; more come with the next.
const DIGEST_MAX: i64 = 200;

/// A notification as its mail needs it.
struct Row {
    id: i64,
    notification_type: String,
    title: String,
    text: Option<String>,
    is_read: bool,
    created_at: Timestamp,
    room: Option<RoomId>,
    message: Option<MessageId>,
    is_deleted: Option<bool>,
    body: Option<String>,
    author_first: Option<String>,
    author_last: Option<String>,
    author_email: Option<String>,
    room_name: Option<String>,
    org_name: Option<String>,
    is_member: bool,
    notify: Option<String>,
    has_read_past: bool,
}

/// Whom a digest is for.
struct Reader {
    user: UserId,
    email: String,
    first_name: String,
    setting: EmailNotifications,
    unsubscribe_token: String,
    last_digest_at: Option<Timestamp>,
}

/// Notifications of someone, as [`Row`]s at `$1`; the tail begins with `where`.
macro_rules! select_rows {
    ($tail:literal, $now:expr, $($arg:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"select n.id, n.notification_type, n.title, n.message as text,
                      n.is_read, n.created_at as "created_at: Timestamp", n.room_id as "room: RoomId",
                      n.message_id as "message: MessageId", 
                      m.is_deleted or m.created_at <= kept_since(m.org_id, $1) as "is_deleted?",
                      case when m.body = '' then 'A file.' else m.body end as body,
                      s.first_name as "author_first?", s.last_name as "author_last?",
                      s.email as "author_email?", r.name as "room_name?", o.name as "org_name?",
                      (n.room_id is null or (rm.id is not null and r.id is not null)) as "is_member!",
                      rm.notify as "notify?",
                      coalesce(rm.last_read_seq >= n.seq, false) as "has_read_past!"
               from notifications n
               left join messages m on m.id = n.message_id
               left join users s on s.id = m.sender_id
               left join rooms r on r.id = n.room_id
               left join organizations o on o.id = r.org_id
               left join room_members rm on rm.room_id = n.room_id and rm.user_id = n.user_id "#
                + $tail,
            $now as Timestamp,
            $($arg),*
        )
    };
}

impl Row {
    /// Why this is not mailed, if so.
    fn suppression(&self, setting: EmailNotifications) -> Option<Suppression> {
        let kind = NotificationType::parse(&self.notification_type);
        let notify = self.notify.as_deref().and_then(Notify::parse);
        let is_muted = kind.zip(notify).is_some_and(|(kind, notify)| kind.is_muted_by(notify));
        // Deleting a message also marks it as read.
        if self.is_deleted == Some(true) || !self.is_member {
            // Who has left a room may not see it any more: for them it is gone.
            Some(Suppression::Deleted)
        } else if self.is_read || self.has_read_past {
            Some(Suppression::Read)
        } else if !kind.is_some_and(|kind| kind.passes(setting)) {
            Some(Suppression::Preference)
        } else if is_muted {
            Some(Suppression::Muted)
        } else {
            None
        }
    }

    fn into_missed(self) -> Missed {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let author = match &self.author_email {
            Some(email) => display_name(&of(&self.author_first), &of(&self.author_last), email),
            None => String::new(),
        };
        Missed {
            notification_type: self.notification_type,
            title: self.title,
            text: self.body.or(self.text).unwrap_or_default(),
            author,
            room: self.room,
            room_name: self.room_name.unwrap_or_default(),
            org_name: self.org_name.unwrap_or_default(),
            message: self.message,
            at: self.created_at,
        }
    }
}

/// People with notifications that are due to be mailed, the most overdue first. What is found is
/// left alone by others for `lease`.
pub async fn claim_people(
    tx: &mut Tx,
    claim: Claim,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let mut people = sqlx::query_scalar!(
        r#"update notifications set email_due_at = $2
           where id = any(array(
               select id from notifications where email_due_at <= $1
               order by email_due_at limit $3 offset $4 for update skip locked))
           returning user_id as "user: UserId""#,
        now as Timestamp,
        (now + lease) as Timestamp,
        claim.limit,
        claim.passed_over,
    )
    .fetch_all(tx.conn())
    .await?;
    people.sort_unstable();
    people.dedup();
    Ok(people)
}

/// Judges all that is pending for someone. What is to be mailed goes into one digest: the one
/// that waits already, if there is one. `is_online`, asked beforehand, puts it off by `delay`.
pub async fn settle_person(
    tx: &mut Tx,
    (user, is_online): (UserId, bool),
    delay: Duration,
    now: Timestamp,
) -> Result<Option<MailId>> {
    if !lock_user(tx, user).await? {
        give_back(tx, user, now).await?;
        return Ok(None);
    }
    let Some(reader) = find_reader(tx, user).await? else { return Ok(None) };
    // What is not due yet goes along.
    let rows = select_rows!(
        "where n.user_id = $2 and n.email_due_at is not null
         order by n.email_due_at, n.id limit $3 for update of n",
        now,
        user.0,
        DIGEST_MAX
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = suppress(tx, &reader, rows, now).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    if is_online {
        put_off(tx, user, &rows, ("online", now + delay), now).await?;
        return Ok(None);
    }
    let mail = match find_waiting(tx, user).await? {
        Waiting::Here(mail) => mail,
        Waiting::Busy => {
            give_back(tx, user, now).await?;
            return Ok(None);
        }
        Waiting::None => {
            let pause_ends = reader.last_digest_at.map(|last| last + DIGEST_PAUSE);
            if let Some(pause_ends) = pause_ends.filter(|end| *end > now) {
                put_off(tx, user, &rows, ("rate", pause_ends), now).await?;
                return Ok(None);
            }
            let new = NewMail {
                kind: MailKind::Digest,
                user: Some(user),
                to_email: &reader.email,
                data: serde_json::json!({}),
                secret: None,
            };
            enqueue(tx, new, now).await?
        }
    };
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    sqlx::query!(
        "update notifications set mail_id = $2, email_due_at = null where id = any($1)",
        &ids,
        mail.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(mail))
}

/// Looks at someone's notifications again at `until`: they could not be judged.
pub async fn postpone_person(tx: &mut Tx, user: UserId, until: Timestamp) -> Result<()> {
    sqlx::query!(
        "update notifications set email_due_at = $2
         where user_id = $1 and email_due_at is not null",
        user.0,
        until as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Looks at someone's notifications again in a moment: another works on them just now, and would
/// be done long before the claim runs out.
async fn give_back(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update notifications set email_due_at = $2 where user_id = $1 and email_due_at > $2",
        user.0,
        (now + BUSY) as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Someone's digest that has not been handed over yet.
enum Waiting {
    None,
    Here(MailId),
    /// One is just being taken to be handed over: whoever does so is about to write down when, and
    /// waits for us. Another one would be made too soon.
    Busy,
}

async fn find_waiting(tx: &mut Tx, user: UserId) -> Result<Waiting> {
    let found = sqlx::query_scalar!(
        r#"select id as "id: MailId" from mails
           where user_id = $1 and kind = 'digest' and status = 'due'
           order by id limit 1"#,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(mail) = found else { return Ok(Waiting::None) };
    let locked = sqlx::query_scalar!(
        r#"select id as "id: MailId" from mails
           where id = $1 and status = 'due' for update skip locked"#,
        mail.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(locked.map_or(Waiting::Busy, Waiting::Here))
}

/// Locks whom a digest is for, unless another works on them.
async fn lock_user(tx: &mut Tx, user: UserId) -> Result<bool> {
    let locked = sqlx::query_scalar!(
        "select id from users where id = $1 for no key update skip locked",
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(locked.is_some())
}

async fn find_reader(tx: &mut Tx, user: UserId) -> Result<Option<Reader>> {
    let row = sqlx::query!(
        r#"select email, first_name,
                  -- Nothing is mailed to an address that its account must still prove.
                  case when verify_email_by is null then email_notifications else 'none' end
                      as "email_notifications!",
                  unsubscribe_token::text as "unsubscribe_token!",
                  last_digest_at as "last_digest_at: Timestamp"
           from users where id = $1"#,
        user.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let setting = EmailNotifications::parse(&row.email_notifications).ok_or_else(|| {
            Error::corrupt("users", "email_notifications", &row.email_notifications)
        })?;
        Ok(Reader {
            user,
            email: row.email,
            first_name: row.first_name,
            setting,
            unsubscribe_token: row.unsubscribe_token,
            last_digest_at: row.last_digest_at,
        })
    })
    .transpose()
}

/// Settles what is not to be mailed, with the reason. Returns the rest.
async fn suppress(
    tx: &mut Tx,
    reader: &Reader,
    rows: Vec<Row>,
    now: Timestamp,
) -> Result<Vec<Row>> {
    let (mut rest, mut settled, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row.suppression(reader.setting) {
            None => rest.push(row),
            Some(reason) => {
                settled.push(row.id);
                reasons.push(reason.as_str().to_owned());
            }
        }
    }
    decide(tx.conn(), &settled, &reasons, now).await?;
    sqlx::query!(
        "update notifications set email_due_at = null, mail_id = null where id = any($1)",
        &settled,
    )
    .execute(tx.conn())
    .await?;
    Ok(rest)
}

/// Looks at notifications again later, and says why. What is a day old is settled by that.
async fn put_off(
    tx: &mut Tx,
    user: UserId,
    rows: &[Row],
    (reason, until): (&str, Timestamp),
    now: Timestamp,
) -> Result<()> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let reasons = vec![reason.to_owned(); ids.len()];
    decide(tx.conn(), &ids, &reasons, now).await?;
    sqlx::query!(
        "update notifications
         set mail_id = null,
             email_due_at = case when created_at > $3 or not $5 then $4::timestamptz end
         where user_id = $1 and id = any($2)",
        user.0,
        &ids,
        (now - LOOK_AGAIN) as Timestamp,
        until as Timestamp,
        reason == "online",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records suppressions by mail; a later word overwrites an earlier one.
async fn decide(
    conn: &mut PgConnection,
    notifications: &[i64],
    reasons: &[String],
    now: Timestamp,
) -> Result<()> {
    if notifications.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into notification_decisions
             (user_id, event_id, channel, outcome, reason, message_id, decided_at)
         select n.user_id, n.event_id, 'email', 'suppressed', t.reason, n.message_id, $3
         from unnest($1::bigint[], $2::text[]) as t (id, reason)
         join notifications n on n.id = t.id
         on conflict (user_id, event_id, channel) do update
             set outcome = excluded.outcome, reason = excluded.reason,
                 decided_at = excluded.decided_at",
        notifications,
        reasons,
        now as Timestamp,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that digests have gone out.
pub(super) async fn decide_sent(tx: &mut Tx, mails: &[MailId], now: Timestamp) -> Result<()> {
    if mails.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into notification_decisions
             (user_id, event_id, channel, outcome, message_id, decided_at)
         select user_id, event_id, 'email', 'sent', message_id, $2
         from notifications where mail_id = any($1)
         on conflict (user_id, event_id, channel) do update
             set outcome = excluded.outcome, reason = null, decided_at = excluded.decided_at",
        mails as &[MailId],
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a digest says now; `None` when all of it has been seen, or is gone. The next one waits
/// from now on.
pub(super) async fn letter(tx: &mut Tx, mail: &MailRow, now: Timestamp) -> Result<Option<Digest>> {
    let Some(user) = mail.user else { return Ok(None) };
    let Some(reader) = find_reader(tx, user).await? else { return Ok(None) };
    let rows = of_mail(tx, mail.id, now).await?;
    let rows = suppress(tx, &reader, rows, now).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    sqlx::query!("update users set last_digest_at = $2 where id = $1", user.0, now as Timestamp,)
        .execute(tx.conn())
        .await?;
    let mut items: Vec<Missed> = rows.into_iter().map(Row::into_missed).collect();
    let messages: Vec<MessageId> = items.iter().filter_map(|item| item.message).collect();
    let names = names_in(tx.conn(), &messages).await?;
    for item in &mut items {
        if let Some(names) = item.message.and_then(|message| names.get(&message)) {
            item.text = with_names(&item.text, names);
        }
    }
    Ok(Some(Digest {
        user: reader.user,
        first_name: reader.first_name,
        unsubscribe_token: Secret(reader.unsubscribe_token),
        items,
    }))
}

async fn of_mail(tx: &mut Tx, mail: MailId, now: Timestamp) -> Result<Vec<Row>> {
    Ok(select_rows!(
        "where n.mail_id = $2 order by n.id limit $3 for update of n",
        now,
        mail.0,
        10 * DIGEST_MAX
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Takes a digest back whose reader has come online: what it tells of is pending again.
pub async fn take_back(
    tx: &mut Tx,
    (mail, user): (MailId, UserId),
    delay: Duration,
    now: Timestamp,
) -> Result<()> {
    let is_due = sqlx::query_scalar!(
        "select id from mails where id = $1 and status = 'due' for update skip locked",
        mail.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    if is_due.is_none() {
        return Ok(());
    }
    let rows = of_mail(tx, mail, now).await?;
    put_off(tx, user, &rows, ("online", now + delay), now).await?;
    drop_mail(tx, mail, "its reader is online").await
}
