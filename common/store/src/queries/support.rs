//! What support needs to answer for a user. Not for clients: it asks for no proof.

use domain::{MessageId, UserId};
use sqlx::PgConnection;

use crate::Result;

/// A user and a message.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The user, if there is one.
    pub user: Option<UserId>,
    /// Whether the message is there.
    pub message_exists: bool,
    /// Whether the user is in its room.
    pub is_member: bool,
    /// Whether an event about the message waits to be planned.
    pub is_waiting: bool,
}

/// Finds a user, by id or by e-mail address without case, and a message.
pub async fn find_case(conn: &mut PgConnection, user: &str, message: MessageId) -> Result<Case> {
    let user = sqlx::query_scalar!(
        r#"select id as "id: UserId" from users where lower(email) = lower($1) or id = $2"#,
        user,
        user.parse::<i64>().ok(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"select exists (
                      select from room_members r where r.room_id = m.room_id and r.user_id = $2
                  ) as "is_member!",
                  exists (
                      select from outbox o where o.room_id = m.room_id and o.seq = m.seq
                  ) as "is_waiting!"
           from messages m where m.id = $1"#,
        message.0,
        user.map(|user| user.0),
    )
    .fetch_optional(conn)
    .await?;
    Ok(Case {
        user,
        message_exists: row.is_some(),
        is_member: row.as_ref().is_some_and(|row| row.is_member),
        is_waiting: row.is_some_and(|row| row.is_waiting),
    })
}
