//! The rows of what is decided, column by column, as one statement each takes them.

use std::collections::HashMap;
use std::time::Duration;

use domain::notification::{
    Candidate, Notification, NotificationType, Pointer, Suppression, Verdict, excerpt,
};
use domain::{NotificationId, Timestamp, UserId};
use serde_json::{Value, json};

use super::{Concern, Names, Push, Reader};
use crate::{Result, Tx};

/// The columns of what is recorded.
#[derive(Default)]
pub(super) struct Rows {
    users: Vec<i64>,
    events: Vec<String>,
    kinds: Vec<String>,
    titles: Vec<String>,
    texts: Vec<Option<String>>,
    data: Vec<Value>,
    rooms: Vec<Option<i64>>,
    messages: Vec<Option<i64>>,
    seqs: Vec<Option<i64>>,
    email_due: Vec<Option<Timestamp>>,
    made: Vec<Made>,
    decided: Decided,
}

/// A notification before it has an id.
struct Made {
    user: UserId,
    title: String,
    message: String,
    kind: NotificationType,
    data: Pointer,
}

/// The columns of decisions.
#[derive(Default)]
struct Decided {
    users: Vec<i64>,
    events: Vec<String>,
    channels: Vec<String>,
    reasons: Vec<Option<String>>,
    messages: Vec<Option<i64>>,
}

impl Decided {
    fn push(&mut self, concern: &Concern<'_>, channel: &str, reason: Option<Suppression>) {
        self.users.push(concern.user.0);
        self.events.push(concern.fact.event.to_string());
        self.channels.push(channel.to_owned());
        self.reasons.push(reason.map(|reason| reason.as_str().to_owned()));
        self.messages.push(concern.message().map(|message| message.id.0));
    }
}

impl Rows {
    /// Decides for one person.
    pub(super) fn push(
        &mut self,
        concern: &Concern<'_>,
        reader: &Reader,
        names: &Names,
        (now, mail_delay): (Timestamp, Duration),
    ) {
        let candidate = Candidate {
            kind: concern.kind,
            notify: concern.message().and(reader.notify),
            email: reader.email,
            has_read: reader.has_read,
            is_deleted: concern.message().is_some_and(|message| message.is_deleted),
        };
        let verdict = candidate.judge();
        if let Verdict::Suppressed(reason) = verdict {
            self.decided.push(concern, "app", Some(reason));
            self.decided.push(concern, "email", Some(reason));
            return;
        }
        self.decided.push(concern, "app", None);
        if let Verdict::AppAlone(Some(reason)) = verdict {
            self.decided.push(concern, "email", Some(reason));
        }
        let (title, text) = concern.texts(names);
        let data = concern.data();
        self.users.push(concern.user.0);
        self.events.push(concern.fact.event.to_string());
        self.kinds.push(concern.kind.as_str().to_owned());
        self.titles.push(title.clone());
        self.texts.push(text.clone());
        self.data.push(json!({"org": data.org, "invite_id": data.invite, "by": data.by}));
        self.rooms.push(data.room.map(|room| room.0));
        self.messages.push(data.message.map(|message| message.0));
        self.seqs.push(concern.message().map(|message| message.seq.0));
        let is_mailed = verdict == Verdict::AppAndPerhapsMail;
        self.email_due.push(is_mailed.then_some(now + mail_delay));
        let shown = concern.message().map(|message| excerpt(&message.body));
        self.made.push(Made {
            user: concern.user,
            title,
            message: shown.or(text).unwrap_or_default(),
            kind: concern.kind,
            data,
        });
    }

    /// Inserts all of it; returns what to push.
    pub(super) async fn insert(self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Push>> {
        self.decided.insert(tx, now).await?;
        if self.users.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query!(
            r#"insert into notifications (user_id, event_id, notification_type, title, message,
                   data, room_id, message_id, seq, email_due_at, created_at, once_for)
               select user_id, event_id, notification_type, title, message,
                   data, room_id, message_id, seq, email_due_at, $11, message_id
               from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[],
                           $6::jsonb[], $7::bigint[], $8::bigint[], $9::bigint[],
                           $10::timestamptz[])
                   as t (user_id, event_id, notification_type, title, message, data, room_id,
                         message_id, seq, email_due_at)
               where room_id is null or exists (
                   select from rooms r where r.id = t.room_id for key share)
               on conflict (once_for, user_id, notification_type) where once_for is not null
                   do nothing
               returning id as "id: NotificationId", user_id as "user: UserId", event_id"#,
            &self.users,
            &self.events,
            &self.kinds,
            &self.titles,
            &self.texts as &[Option<String>],
            &self.data,
            &self.rooms as &[Option<i64>],
            &self.messages as &[Option<i64>],
            &self.seqs as &[Option<i64>],
            &self.email_due as &[Option<Timestamp>],
            now as Timestamp,
        )
        .fetch_all(tx.conn())
        .await?;
        let ids: HashMap<(UserId, String), NotificationId> =
            rows.into_iter().map(|row| ((row.user, row.event_id), row.id)).collect();
        let made = self.made.into_iter().zip(self.events);
        Ok(made
            .filter_map(|(made, event)| {
                let id = *ids.get(&(made.user, event))?;
                Some(made.into_push(id, now))
            })
            .collect())
    }
}

impl Made {
    fn into_push(self, id: NotificationId, now: Timestamp) -> Push {
        Push {
            user: self.user,
            notification: Notification {
                id,
                title: self.title,
                message: self.message,
                kind: self.kind.as_str().to_owned(),
                is_read: false,
                created_at: now,
                read_at: None,
                data: self.data,
            },
        }
    }
}

impl Decided {
    async fn insert(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        sqlx::query!(
            "insert into notification_decisions
                 (user_id, event_id, channel, outcome, reason, message_id, decided_at)
             select user_id, event_id, channel,
                    case when reason is null then 'sent' else 'suppressed' end,
                    reason, message_id, $6
             from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
                 as t (user_id, event_id, channel, reason, message_id)",
            &self.users,
            &self.events,
            &self.channels,
            &self.reasons as &[Option<String>],
            &self.messages as &[Option<i64>],
            now as Timestamp,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }
}
