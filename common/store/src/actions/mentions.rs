//! Resolving mentions: which members of a room a text names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::limits::MENTIONS_MAX;
use domain::mentions::{Mentions, name_key};
use domain::{Email, MessageId, RoomId, UserId};
use sqlx::PgConnection;

use super::mails::display_name;

use crate::{Result, Tx};

/// Mentions whose people are looked up for one mail.
const SHOWN_MAX: i64 = 1_000;

/// The room members whom each text mentions by name, found by one statement for all texts: for each
/// mention, everyone with the longest of its readings that anyone in the room has. At most
/// [`MENTIONS_MAX`] people per text.
pub(crate) async fn resolve_mentions(
    tx: &mut Tx,
    texts: &[(RoomId, &Mentions)],
) -> Result<Vec<Vec<UserId>>> {
    let keys: BTreeSet<(RoomId, &str)> = texts
        .iter()
        .flat_map(|(room, mentions)| {
            mentions.names.iter().flatten().map(|reading| (*room, reading.as_str()))
        })
        .collect();
    let bearers = bearers(tx, &keys).await?;
    Ok(texts.iter().map(|(room, mentions)| meant(*room, mentions, &bearers)).collect())
}

/// People whom messages name, as texts are to show them: for each message, their names by the keys
/// that mention them. Of [`SHOWN_MAX`] mentions; further ones stay as they were written.
pub(super) async fn names_in(
    conn: &mut PgConnection,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, BTreeMap<String, String>>> {
    let rows = sqlx::query!(
        r#"select m.message_id as "message: MessageId", u.email, u.first_name, u.last_name
           from message_mentions m join users u on u.id = m.user_id
           where m.message_id = any($1) and m.is_current
           order by m.message_id limit $2"#,
        messages as &[MessageId],
        SHOWN_MAX,
    )
    .fetch_all(conn)
    .await?;
    let mut names: HashMap<_, BTreeMap<_, _>> = HashMap::new();
    for row in rows {
        let shown = display_name(&row.first_name, &row.last_name, &row.email);
        let of_message = names.entry(row.message).or_default();
        if let Ok(email) = Email::parse(&row.email) {
            of_message.insert(email.key(), shown.clone());
        }
        of_message.insert(name_key(&row.first_name, &row.last_name), shown);
    }
    Ok(names)
}

type Bearers = HashMap<RoomId, HashMap<String, Vec<UserId>>>;

/// Members by key, through the indexes of the keys: a room's whole membership is never read.
/// Accounts without valid keys, which an older version wrote, are found by their names in lower
/// case; they are looked through once for all keys, since after an upgrade they are many.
async fn bearers(tx: &mut Tx, keys: &BTreeSet<(RoomId, &str)>) -> Result<Bearers> {
    let mut bearers = Bearers::new();
    if keys.is_empty() {
        return Ok(bearers);
    }
    let rooms: Vec<i64> = keys.iter().map(|(room, _)| room.0).collect();
    let readings: Vec<String> = keys.iter().map(|(_, key)| (*key).to_owned()).collect();
    let rows = sqlx::query!(
        r#"with unkeyed as materialized (
               select id, lower(first_name || '.' || last_name) as key from users
               where keyed_names is distinct from first_name || E'\n' || last_name
                   and lower(first_name || '.' || last_name) = any($2)
           )
           select t.room_id as "room!: RoomId", t.key as "key!", u.id as "id!: UserId"
           from unnest($1::bigint[], $2::text[]) as t (room_id, key)
           cross join lateral (
               select id from users where lower(email) = t.key and verify_email_by is null
               union
               select id from users
               where mention_key = t.key and keyed_names = first_name || E'\n' || last_name
               union
               select id from unkeyed where unkeyed.key = t.key
           ) u
           join room_members m on m.room_id = t.room_id and m.user_id = u.id"#,
        &rooms,
        &readings,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in rows {
        bearers.entry(row.room).or_default().entry(row.key).or_default().push(row.id);
    }
    Ok(bearers)
}

fn meant(room: RoomId, mentions: &Mentions, bearers: &Bearers) -> Vec<UserId> {
    let Some(bearers) = bearers.get(&room) else { return Vec::new() };
    let meant: BTreeSet<UserId> = mentions
        .names
        .iter()
        .filter_map(|readings| readings.iter().find_map(|name| bearers.get(name)))
        .flatten()
        .copied()
        .collect();
    meant.into_iter().take(MENTIONS_MAX).collect()
}
