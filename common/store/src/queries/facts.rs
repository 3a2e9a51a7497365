//! What happened, as the record has it when its effects are planned.

use std::collections::HashMap;

use domain::event::EventKind;
use domain::{
    AccessLevel, EventId, Message, MessageId, OrgId, Person, RoomId, Seq, Timestamp, UserId,
};
use serde_json::Value;
use sqlx::PgConnection;

use crate::actions::outbox::Claimed;
use crate::queries::outbox::LogPlace;
use crate::rows::{messages, people};
use crate::{Error, Result};

/// An event whose effects are to be planned.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its id.
    pub event: EventId,
    /// Where it stands.
    pub place: LogPlace,
    /// The organization.
    pub org: OrgId,
    /// The room, of a room's event.
    pub room: Option<FactRoom>,
    /// When.
    pub at: Timestamp,
    /// Who did it; for a room's member event, who joined or left.
    pub user: UserId,
    /// What.
    pub what: Happened,
    /// Whether it is the event that began to mention everyone in its room, and the message still does.
    pub mentions_room: bool,
    /// Whether an earlier event of the same message has.
    pub room_is_told: bool,
    /// The version of the organization's webhooks then; the highest there can be by a version of
    /// ChatBoard that did not record it.
    pub webhooks_version: i64,
}

/// The room of an event.
#[derive(Clone, Debug)]
pub struct FactRoom {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// Whether it is a direct message.
    pub is_dm: bool,
    /// Whether it was PRIVATE then.
    pub is_private: bool,
    /// How many are in it.
    pub members_count: i64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A message was sent; as it is now.
    Message(Box<Message>),
    /// A message was edited; as it is now.
    Edited(Box<Message>),
    /// A message was deleted.
    Deleted(Box<Message>),
    /// Someone came into a room.
    Joined {
        /// Who.
        person: Person,
        /// Their role in the organization, if they are still in it.
        role: Option<String>,
        /// Who brought them in; `None` for who came by themselves.
        by: Option<UserId>,
    },
    /// Someone left a room.
    Left {
        /// Who.
        person: Person,
        /// Their role in the organization, if they are still in it.
        role: Option<String>,
    },
    /// Something that has no effects.
    Nothing,
    /// An event of the organization itself.
    Org {
        /// Its type.
        kind: String,
        /// What is known of it.
        data: Value,
    },
}

struct Row {
    room: RoomId,
    seq: Seq,
    kind: String,
    message: Option<MessageId>,
    user: UserId,
    by: Option<UserId>,
    is_reaction: bool,
    at: Timestamp,
    first_seq: Seq,
    org: OrgId,
    name: String,
    is_dm: bool,
    access_level: String,
    members_count: i64,
    role: Option<String>,
    mentions_room: bool,
    room_said: Option<Seq>,
}

/// What happened at claimed places, in the order of the claim. Places whose room, or past, is
/// gone are left out: they have no effects.
pub async fn facts(
    conn: &mut PgConnection,
    claimed: &[Claimed],
    now: Timestamp,
) -> Result<Vec<Fact>> {
    let rows = rows(&mut *conn, claimed, now).await?;
    let ids: Vec<i64> = rows.iter().filter_map(|row| row.message).map(|id| id.0).collect();
    let messages = messages(&mut *conn, &ids).await?;
    let members: Vec<UserId> =
        rows.iter().filter(|row| row.kind.starts_with("member.")).map(|row| row.user).collect();
    let members = people(conn, &members).await?;
    let of_place: HashMap<LogPlace, &Claimed> =
        claimed.iter().map(|claimed| (claimed.place, claimed)).collect();
    let mut of_rooms = HashMap::with_capacity(rows.len());
    for row in rows {
        let place = LogPlace::Room(row.room, row.seq);
        let Some(claimed) = of_place.get(&place) else { continue };
        of_rooms.insert(place, fact(row, claimed, &messages, &members)?);
    }
    claimed
        .iter()
        .filter_map(|claimed| match claimed.place {
            LogPlace::Room(..) => of_rooms.remove(&claimed.place).map(Ok),
            LogPlace::Org(org, seq) => Some(
                org_fact(claimed, org, seq).ok_or_else(|| Error::corrupt("outbox", "payload", seq)),
            ),
        })
        .collect()
}

/// A row comparison and its order name the one index that serves: see `post_messages::check`.
async fn rows(conn: &mut PgConnection, claimed: &[Claimed], now: Timestamp) -> Result<Vec<Row>> {
    let (mut rooms, mut seqs) = (Vec::new(), Vec::new());
    for claimed in claimed {
        if let LogPlace::Room(room, seq) = claimed.place {
            rooms.push(room.0);
            seqs.push(seq.0);
        }
    }
    Ok(sqlx::query_as!(
        Row,
        r#"select t.room_id as "room!: RoomId", t.seq as "seq!: Seq", l.kind as "kind!",
                  l.message_id as "message: MessageId", l.user_id as "user!: UserId",
                  l.by_id as "by: UserId", l.is_reaction as "is_reaction!",
                  l.created_at as "at!: Timestamp", r.first_seq as "first_seq!: Seq", r.org_id as "org!: OrgId", r.name as "name!",
                  r.dm_key is not null as "is_dm!", r.access_level as "access_level!",
                  r.members_count as "members_count!", o.role as "role?",
                  coalesce(said.mentions_room, false) as "mentions_room!",
                  said.room_said_seq as "room_said: Seq"
           from unnest($1::bigint[], $2::bigint[]) as t (room_id, seq)
           cross join lateral (
               select org_id, name, dm_key, access_level, members_count,
                      log_floor(id, $3) as first_seq
               from rooms where id = t.room_id limit 1
           ) r
           cross join lateral (
               (select 'message' as kind, m.id as message_id, m.sender_id as user_id,
                       null::bigint as by_id, false as is_reaction, m.created_at
                from (
                    select id, room_id, seq, sender_id, created_at from messages
                    where (room_id, seq) >= (t.room_id, t.seq) order by room_id, seq limit 1
                ) m where m.room_id = t.room_id and m.seq = t.seq)
               union all
               (select kind, message_id, user_id, by_id, is_reaction, created_at
                from room_events where room_id = t.room_id and seq = t.seq)
               limit 1
           ) l
           left join lateral (
               select role from organization_members
               where org_id = r.org_id and user_id = l.user_id limit 1
           ) o on true
           left join lateral (
               select mentions_room, room_said_seq from messages where id = l.message_id limit 1
           ) said on true
           where t.seq >= r.first_seq"#,
        &rooms,
        &seqs,
        now as Timestamp,
    )
    .fetch_all(conn)
    .await?)
}

fn fact(
    row: Row,
    claimed: &Claimed,
    messages: &HashMap<MessageId, Message>,
    members: &HashMap<UserId, Person>,
) -> Result<Fact> {
    let missing = || Error::corrupt("room_events", "message_id or user_id", row.seq);
    let message = || {
        let id = row.message.ok_or_else(missing)?;
        messages.get(&id).cloned().map(Box::new).ok_or_else(missing)
    };
    let person = || members.get(&row.user).cloned().ok_or_else(missing);
    let kind = EventKind::parse(&row.kind)
        .ok_or_else(|| Error::corrupt("room_events", "kind", &row.kind))?;
    let what = match kind {
        EventKind::Message => Happened::Message(message()?),
        EventKind::MessageUpdated if row.is_reaction => Happened::Nothing,
        EventKind::MessageUpdated | EventKind::MessageDeleted if message()?.seq < row.first_seq => {
            // A change to what is no longer kept.
            Happened::Nothing
        }
        EventKind::MessageUpdated => Happened::Edited(message()?),
        EventKind::MessageDeleted => Happened::Deleted(message()?),
        EventKind::MemberJoined => {
            Happened::Joined { person: person()?, role: row.role.clone(), by: row.by }
        }
        EventKind::MemberLeft => Happened::Left { person: person()?, role: row.role.clone() },
        EventKind::RoomUpdated => Happened::Nothing,
    };
    let is_private = AccessLevel::parse(&row.access_level) == Some(AccessLevel::Private);
    Ok(Fact {
        event: EventId::of_room(row.room, row.seq, claimed.epoch),
        place: claimed.place,
        org: row.org,
        at: row.at,
        user: row.user,
        what,
        // Of a message by an earlier version it is not known which event began to say so.
        mentions_room: row.mentions_room && row.room_said.is_none_or(|said| said == row.seq),
        room_is_told: row.mentions_room && row.room_said.is_some_and(|said| said < row.seq),
        webhooks_version: claimed.webhooks_version.unwrap_or(i64::MAX),
        room: Some(FactRoom {
            id: row.room,
            is_private: claimed.is_private.unwrap_or(is_private),
            name: row.name,
            is_dm: row.is_dm,
            members_count: row.members_count,
        }),
    })
}

/// An organization's event, as its outbox row has it; see `log::append_org`.
fn org_fact(claimed: &Claimed, org: OrgId, seq: Seq) -> Option<Fact> {
    let payload = claimed.payload.as_ref()?;
    Some(Fact {
        event: EventId::of_org(org, seq, claimed.epoch),
        place: LogPlace::Org(org, seq),
        org,
        room: None,
        mentions_room: false,
        room_is_told: false,
        webhooks_version: claimed.webhooks_version.unwrap_or(i64::MAX),
        at: serde_json::from_value(payload.get("created_at")?.clone()).ok()?,
        user: payload.get("by")?.as_i64()?.into(),
        what: Happened::Org {
            kind: payload.get("type")?.as_str()?.to_owned(),
            data: payload.get("data")?.clone(),
        },
    })
}
