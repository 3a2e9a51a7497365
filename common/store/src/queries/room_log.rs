//! A room's log from some place on: what a client that was away has missed.

use std::collections::HashMap;

use domain::event::EventKind;
use domain::{Epoch, LogEvent, Message, MessageId, Person, RoomId, Seq, Timestamp, UserId, What};
use serde_json::Value;
use sqlx::PgConnection;

use crate::log::change_from_json;
use crate::rows::{messages, people};
use crate::{Error, Result, Store};

/// A stretch of a room's log.
#[derive(Debug)]
pub struct LogPage {
    /// The history that they belong to, as far as it is known.
    pub epoch: Option<Epoch>,
    /// The first event that is kept.
    pub first_seq: Seq,
    /// The last event.
    pub last_seq: Seq,
    /// Contiguous, oldest first.
    pub events: Vec<LogEvent>,
}

struct Place {
    seq: Seq,
    kind: String,
    message: Option<MessageId>,
    user: UserId,
    data: Option<Value>,
    at: Timestamp,
}

/// At most `limit` events after `after`, oldest first, all in one snapshot; `None` when the room
/// is gone. Messages are in their present state, so a text that was deleted, or has expired, is not
/// in it.
///
/// # Errors
/// `Unavailable`.
pub async fn room_log(
    store: &Store,
    room: RoomId,
    after: Seq,
    limit: i64,
    now: Timestamp,
) -> Result<Option<LogPage>> {
    let mut tx = store.begin_snapshot().await?;
    let epoch = store.epoch();
    let ends = sqlx::query!(
        r#"select log_floor(id, $2) as "first_seq!: Seq", last_seq as "last_seq: Seq"
           from rooms where id = $1"#,
        room.0,
        now as Timestamp,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(ends) = ends else { return Ok(None) };
    let after = after.max(Seq(ends.first_seq.0 - 1));
    let places = places(&mut tx, room, after, limit).await?;
    let events = complete(&mut tx, (room, ends.first_seq), places).await?;
    tx.commit().await?;
    Ok(Some(LogPage { epoch, first_seq: ends.first_seq, last_seq: ends.last_seq, events }))
}

/// The place of a user's last `member.left` after `after` and since `since`.
///
/// # Errors
/// `Unavailable`.
pub async fn left_since(
    conn: &mut PgConnection,
    (room, user): (RoomId, UserId),
    after: Seq,
    since: Timestamp,
) -> Result<Option<Seq>> {
    Ok(sqlx::query_scalar!(
        r#"select seq as "seq: Seq" from room_events
           where room_id = $1 and seq > $2 and user_id = $3 and kind = 'member.left' and created_at > $4
           order by seq desc limit 1"#,
        room.0,
        after.0,
        user.0,
        since as Timestamp,
    )
    .fetch_optional(conn)
    .await?)
}

async fn places(
    conn: &mut PgConnection,
    room: RoomId,
    after: Seq,
    limit: i64,
) -> Result<Vec<Place>> {
    Ok(sqlx::query_as!(
        Place,
        r#"select seq as "seq!: Seq", kind as "kind!", message as "message: MessageId",
                  user_id as "user!: UserId", data, created_at as "at!: Timestamp"
           from (
               (select seq, 'message' as kind, id as message, sender_id as user_id,
                       null::jsonb as data, created_at
                from messages where room_id = $1 and seq > $2 order by seq limit $3)
               union all
               (select seq, kind, message_id, user_id, data, created_at
                from room_events where room_id = $1 and seq > $2 order by seq limit $3)
           ) log order by seq limit $3"#,
        room.0,
        after.0,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

async fn complete(
    conn: &mut PgConnection,
    (room, first_seq): (RoomId, Seq),
    places: Vec<Place>,
) -> Result<Vec<LogEvent>> {
    let ids: Vec<i64> = places.iter().filter_map(|place| place.message).map(|id| id.0).collect();
    let mut messages = messages(&mut *conn, &ids).await?;
    // What is kept may tell of a change to a message that is not.
    for message in messages.values_mut().filter(|message| message.seq < first_seq) {
        message.wipe();
    }
    let members: Vec<UserId> = places
        .iter()
        .filter(|place| place.kind.starts_with("member."))
        .map(|place| place.user)
        .collect();
    let members = people(conn, &members).await?;
    places
        .into_iter()
        .map(|place| {
            let what = what(&place, &messages, &members)?;
            Ok(LogEvent { room, seq: place.seq, at: place.at, user: place.user, what })
        })
        .collect()
}

fn what(
    place: &Place,
    messages: &HashMap<MessageId, Message>,
    members: &HashMap<UserId, Person>,
) -> Result<What> {
    let missing = || Error::corrupt("room_events", "message_id or user_id", place.seq);
    let message = || {
        let id = place.message.ok_or_else(missing)?;
        messages.get(&id).cloned().map(Box::new).ok_or_else(missing)
    };
    let member = || members.get(&place.user).cloned().ok_or_else(missing);
    let kind = EventKind::parse(&place.kind)
        .ok_or_else(|| Error::corrupt("room_events", "kind", &place.kind))?;
    Ok(match kind {
        EventKind::Message => What::Message(message()?),
        EventKind::MessageUpdated => What::MessageUpdated(message()?),
        EventKind::MessageDeleted => What::MessageDeleted(message()?),
        EventKind::MemberJoined => What::MemberJoined(member()?),
        EventKind::MemberLeft => What::MemberLeft(member()?),
        EventKind::RoomUpdated => {
            let data = place.data.as_ref().ok_or_else(missing)?;
            What::RoomUpdated(change_from_json(data))
        }
    })
}
