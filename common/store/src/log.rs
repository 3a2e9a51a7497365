//! The log of a room, and that of an organization: where every durable change takes its place.
//!
//! A place is given under the lock of the room's row, in the transaction that makes the change:
//! that is why `seq` has no gaps and rises in the order of commitment. Message creations take
//! theirs in [`crate::actions::post_messages`], everything else here.
//!
//! Its time is given with the place, by Postgres' clock: within a room `created_at` rises strictly
//! with `seq`, even while an api's clock is wrong or Postgres' is set back.

use std::time::Duration;

use domain::room::RoomChange;
use domain::{AccessLevel, LogEvent, OrgId, RoomId, Seq, Timestamp, UserId, What};
use serde_json::{Value, json};

use crate::tx::OrgEvent;
use crate::{Error, Result, Tx};

/// How long the api has to publish an event, and the relay to plan it, before the sweep
/// publishes it again.
pub const PUBLISH_GRACE: Duration = Duration::from_secs(5);

/// A room whose row this transaction has locked: the proof that [`append`] asks for.
#[derive(Clone, Debug)]
pub struct LockedRoom {
    pub(crate) id: RoomId,
    pub(crate) org: OrgId,
    pub(crate) access_level: AccessLevel,
    pub(crate) last_seq: Seq,
    /// When it was locked, by Postgres' clock.
    pub(crate) locked_at: Timestamp,
    /// When its next event happens: now, or just after the last one if that was later.
    pub(crate) next_at: Timestamp,
}

/// The least time between two events of a room: that which Postgres tells apart.
const TICK: Duration = Duration::from_micros(1);

impl LockedRoom {
    /// Whether only its members may see it.
    pub(crate) fn is_private(&self) -> bool {
        self.access_level == AccessLevel::Private
    }

    /// The place that [`Self::take_place`] gives next.
    pub(crate) fn next_seq(&self) -> Seq {
        self.last_seq.next()
    }

    /// Takes the next place of the log, and its time.
    pub(crate) fn take_place(&mut self) -> (Seq, Timestamp) {
        self.last_seq = self.last_seq.next();
        let at = self.next_at;
        self.next_at = at + TICK;
        (self.last_seq, at)
    }

    /// The room.
    pub fn id(&self) -> RoomId {
        self.id
    }

    /// The room's organization.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The last event.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }
}

/// Locks rooms, in ascending order of id whatever the order asked for, as all must. Rooms that do
/// not exist are left out.
///
/// A row that was waited for is read again, its clock included. Of a room that an older version
/// wrote last, the last event's time is looked for in the log.
pub async fn lock_rooms(tx: &mut Tx, rooms: &[RoomId]) -> Result<Vec<LockedRoom>> {
    let passed = tx.time_passed();
    let rows = sqlx::query!(
        r#"select id as "id: RoomId", org_id as "org: OrgId", access_level,
                  last_seq as "last_seq: Seq",
                  clock_timestamp() + $2::bigint * interval '1 microsecond' as "locked_at!: Timestamp",
                  greatest(
                      clock_timestamp() + $2::bigint * interval '1 microsecond',
                      last_message_at + interval '1 microsecond',
                      interval '1 microsecond' + coalesce(last_event_at, (
                          select e.created_at from room_events e
                          where e.room_id = rooms.id and e.seq = rooms.last_seq))
                  ) as "next_at!: Timestamp"
           from rooms where id = any($1) order by id for no key update"#,
        rooms as &[RoomId],
        passed,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LockedRoom {
                id: row.id,
                org: row.org,
                access_level: AccessLevel::parse(&row.access_level)
                    .ok_or_else(|| Error::corrupt("rooms", "access_level", &row.access_level))?,
                last_seq: row.last_seq,
                locked_at: row.locked_at,
                next_at: row.next_at,
            })
        })
        .collect()
}

/// Those of the rooms that another transaction holds now. To be asked in a transaction of its
/// own, which is undone.
pub async fn held_rooms(tx: &mut Tx, rooms: &[RoomId]) -> Result<Vec<RoomId>> {
    let held = sqlx::query_scalar!(
        r#"with free as materialized (
               select id from rooms where id = any($1) order by id for no key update skip locked
           )
           select id as "id: RoomId" from rooms r
           where id = any($1) and not exists (select from free where free.id = r.id)"#,
        rooms as &[RoomId],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(held)
}

/// What only effects need to know of an event; no client sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Note {
    /// Nothing.
    #[default]
    None,
    /// A `message.updated` that is no edit: reactions changed, or a picture's size became known. The
    /// column `is_reaction` says so.
    NoEdit,
    /// Who brought a member in.
    BroughtBy(UserId),
}

/// Appends events other than message creations to a locked room's log: they take the next
/// places, in order. Each comes with who did it (for a member event: who joined or left).
pub async fn append(tx: &mut Tx, room: &mut LockedRoom, events: Vec<(UserId, What)>) -> Result<()> {
    append_noted(tx, room, events, Note::None).await
}

/// Appends events of which effects must know more.
pub(crate) async fn append_noted(
    tx: &mut Tx,
    room: &mut LockedRoom,
    events: Vec<(UserId, What)>,
    note: Note,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::default();
    let mut appended = Vec::with_capacity(events.len());
    for (user, what) in events {
        let (seq, at) = room.take_place();
        let event = LogEvent { room: room.id, seq, at, user, what };
        rows.push(&event)?;
        appended.push(event);
    }
    let last_at = appended.last().map(|event| event.at);
    let epoch = tx.epoch_text();
    let brought_by = match note {
        Note::BroughtBy(user) => Some(user.0),
        Note::None | Note::NoEdit => None,
    };
    sqlx::query!(
        "with place as (
             insert into room_events (room_id, seq, kind, message_id, user_id, data, created_at,
                                      by_id, is_reaction)
             select $1, seq, kind, message_id, user_id, data, at, $10, $11
             from unnest($3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::jsonb[],
                         $13::timestamptz[])
                 as t (seq, kind, message_id, user_id, data, at)
         ), pending as (
             insert into outbox (room_id, seq, publish_after, epoch, committed_at, is_private,
                                 webhooks_version)
             select $1, seq, $8, $12, $2, $15,
                    (select version from webhook_versions where org_id = $16)
             from unnest($3::bigint[]) as t (seq)
         )
         update rooms set last_seq = $9, last_event_at = $14 where id = $1",
        room.id.0,
        room.locked_at as Timestamp,
        &rows.seqs,
        &rows.kinds,
        &rows.messages as &[Option<i64>],
        &rows.users,
        &rows.data as &[Option<Value>],
        (room.locked_at + PUBLISH_GRACE) as Timestamp,
        room.last_seq.0,
        brought_by,
        note == Note::NoEdit,
        epoch,
        &rows.times as &[Timestamp],
        last_at as Option<Timestamp>,
        room.is_private(),
        room.org.0,
    )
    .execute(tx.conn())
    .await?;
    for event in appended {
        tx.note_room_event(event);
    }
    Ok(())
}

#[derive(Default)]
struct Rows {
    seqs: Vec<i64>,
    kinds: Vec<String>,
    messages: Vec<Option<i64>>,
    users: Vec<i64>,
    data: Vec<Option<Value>>,
    times: Vec<Timestamp>,
}

impl Rows {
    fn push(&mut self, event: &LogEvent) -> Result<()> {
        let (message, data) = match &event.what {
            What::Message(message) => {
                return Err(Error::Bug(format!("message {} appended as an event", message.id)));
            }
            What::MessageUpdated(message) | What::MessageDeleted(message) => {
                (Some(message.id.0), None)
            }
            What::MemberJoined(_) | What::MemberLeft(_) => (None, None),
            What::RoomUpdated(change) => (None, Some(change_to_json(change))),
        };
        self.seqs.push(event.seq.0);
        self.kinds.push(event.kind().as_str().to_owned());
        self.messages.push(message);
        self.users.push(event.user.0);
        self.data.push(data);
        self.times.push(event.at);
        Ok(())
    }
}

/// A room's change as the log keeps it.
fn change_to_json(change: &RoomChange) -> Value {
    let mut object = serde_json::Map::new();
    if let Some(name) = &change.name {
        object.insert("name".to_owned(), json!(name));
    }
    if let Some(topic) = &change.topic {
        object.insert("topic".to_owned(), json!(topic));
    }
    if let Some(level) = change.access_level {
        object.insert("access_level".to_owned(), json!(level.as_str()));
    }
    if let Some(auto_join) = change.auto_join {
        object.insert("auto_join".to_owned(), json!(auto_join));
    }
    Value::Object(object)
}

/// A room's change as the log has it.
pub(crate) fn change_from_json(data: &Value) -> RoomChange {
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    RoomChange {
        name: text("name"),
        topic: text("topic"),
        access_level: text("access_level").as_deref().and_then(AccessLevel::parse),
        auto_join: data.get("auto_join").and_then(Value::as_bool),
    }
}

/// Appends an event to an organization's log, whose row this locks until the end of the
/// transaction: call it before rooms are locked, or when none will be.
///
/// `payload` says what happened beyond `kind` and `user` (who did it). Its time is Postgres'.
pub async fn append_org(tx: &mut Tx, org: OrgId, event: (&str, UserId, Value)) -> Result<()> {
    let (kind, user, payload) = event;
    let passed = tx.time_passed();
    let place = sqlx::query!(
        r#"update organizations set last_seq = last_seq + 1 where id = $1
           returning last_seq as "seq: Seq",
                     clock_timestamp() + $2::bigint * interval '1 microsecond' as "at!: Timestamp""#,
        org.0,
        passed,
    )
    .fetch_one(tx.conn())
    .await?;
    let payload = json!({
        "type": kind, "org": org, "by": user, "created_at": place.at, "data": payload,
    });
    let epoch = tx.epoch_text();
    sqlx::query!(
        "insert into outbox (org_id, seq, payload, publish_after, epoch, committed_at,
                             webhooks_version)
         select $1, $2, $3, $4, $5, $6, (select version from webhook_versions where org_id = $1)",
        org.0,
        place.seq.0,
        payload,
        (place.at + PUBLISH_GRACE) as Timestamp,
        epoch,
        place.at as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    tx.note_org_event(OrgEvent {
        org,
        seq: place.seq,
        at: place.at,
        kind: kind.to_owned(),
        user,
        payload,
    });
    Ok(())
}
