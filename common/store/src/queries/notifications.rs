//! A user's notifications, and why they were, or were not, told.

use domain::notification::{Decision, Notification, Pointer, excerpt};
use domain::{InviteId, MessageId, NotificationId, OrgId, RoomId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;
use crate::page::Slice;

struct Row {
    id: NotificationId,
    title: String,
    text: Option<String>,
    kind: String,
    is_read: bool,
    created_at: Timestamp,
    read_at: Option<Timestamp>,
    room: Option<RoomId>,
    message: Option<MessageId>,
    org: OrgId,
    invite: Option<InviteId>,
    by: UserId,
    body: Option<String>,
    is_deleted: Option<bool>,
}

/// Rows of `notifications n` as [`Row`], those that are there at `$1`: the message that one is about
/// may have gone, and the reader may have left its room. The tail goes on after `where`.
macro_rules! select_notifications {
    ($tail:literal, $now:expr, $($arg:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select n.id as "id: NotificationId", n.title, n.message as text,
                      n.notification_type as kind, n.is_read,
                      n.created_at as "created_at: Timestamp", n.read_at as "read_at: Timestamp",
                      n.room_id as "room: RoomId", n.message_id as "message: MessageId",
                      (n.data ->> 'org')::bigint as "org!: OrgId",
                      (n.data ->> 'invite_id')::bigint as "invite: InviteId",
                      (n.data ->> 'by')::bigint as "by!: UserId",
                      m.body as "body?",
                      m.is_deleted as "is_deleted?"
               from notifications n
               left join messages m on m.id = n.message_id
               left join room_members rm on rm.room_id = n.room_id and rm.user_id = n.user_id
               where (n.message_id is null or m.created_at > kept_since(m.org_id, $1))
                   and (n.room_id is null or rm.id is not null)
                   and "# + $tail,
            $now as Timestamp,
            $($arg),*
        )
    };
}

impl From<Row> for Notification {
    fn from(row: Row) -> Self {
        let of_message = match (row.message, &row.body) {
            (Some(_), Some(body)) if row.is_deleted == Some(false) => Some(excerpt(body)),
            (Some(_), _) => Some(String::new()),
            (None, _) => None,
        };
        Self {
            id: row.id,
            title: row.title,
            message: of_message.or(row.text).unwrap_or_default(),
            kind: row.kind,
            is_read: row.is_read,
            created_at: row.created_at,
            read_at: row.read_at,
            data: Pointer {
                org: row.org,
                room: row.room,
                message: row.message,
                invite: row.invite,
                by: row.by,
            },
        }
    }
}

/// A page of a user's notifications, all of them or those that were read or not.
pub async fn notifications(
    conn: &mut PgConnection,
    user: UserId,
    is_read: Option<bool>,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Notification>> {
    // Two statements, so that each can follow the index.
    let rows = if slice.descending {
        select_notifications!(
            "n.user_id = $2 and ($3::boolean is null or n.is_read = $3)
                 and n.id > $4 and n.id < $5 order by n.id desc limit $6",
            now,
            user.0,
            is_read,
            slice.after,
            slice.before,
            slice.limit,
        )
        .fetch_all(conn)
        .await?
    } else {
        select_notifications!(
            "n.user_id = $2 and ($3::boolean is null or n.is_read = $3)
                 and n.id > $4 and n.id < $5 order by n.id limit $6",
            now,
            user.0,
            is_read,
            slice.after,
            slice.before,
            slice.limit,
        )
        .fetch_all(conn)
        .await?
    };
    Ok(rows.into_iter().map(Notification::from).collect())
}

/// One of a user's notifications.
pub async fn find_notification(
    conn: &mut PgConnection,
    user: UserId,
    id: NotificationId,
    now: Timestamp,
) -> Result<Option<Notification>> {
    let row = select_notifications!("n.id = $2 and n.user_id = $3", now, id.0, user.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Notification::from))
}

/// How many of a user's notifications are unread.
pub async fn unread_notifications(
    conn: &mut PgConnection,
    user: UserId,
    now: Timestamp,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from notifications n
           left join messages m on m.id = n.message_id
           where n.user_id = $1 and not n.is_read
               and (n.message_id is null or m.created_at > kept_since(m.org_id, $2))
               and (n.room_id is null or exists (
                   select from room_members rm
                   where rm.room_id = n.room_id and rm.user_id = n.user_id))"#,
        user.0,
        now as Timestamp,
    )
    .fetch_one(conn)
    .await?)
}

/// What was decided for a user about a message, oldest first.
pub async fn decisions(
    conn: &mut PgConnection,
    user: UserId,
    message: MessageId,
) -> Result<Vec<Decision>> {
    Ok(sqlx::query_as!(
        Decision,
        r#"select event_id as event, channel, outcome, reason, message_id as "message: MessageId",
                  decided_at as "decided_at: Timestamp"
           from notification_decisions where message_id = $2 and user_id = $1
           order by decided_at, event_id, channel"#,
        user.0,
        message.0,
    )
    .fetch_all(conn)
    .await?)
}
