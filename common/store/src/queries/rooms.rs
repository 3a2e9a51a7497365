//! Rooms, one or many.

use std::collections::HashMap;

use domain::room::Room;
use domain::{AccessLevel, OrgId, Person, Role, RoomId, Seq, Timestamp, UserId};
use sqlx::PgConnection;

use crate::access::RoomAccess;
use crate::actions::room_settings::settings;
use crate::log::LockedRoom;
use crate::page::Slice;
use crate::{Error, Result, Tx};

struct RoomRow {
    id: RoomId,
    org: OrgId,
    name: String,
    topic: String,
    is_dm: bool,
    access_level: String,
    auto_join: bool,
    created_by: UserId,
    created_at: Timestamp,
    members_count: i64,
    first_seq: Seq,
    last_seq: Seq,
    last_message_at: Option<Timestamp>,
    notify: Option<String>,
    section: Option<String>,
    starred: Option<bool>,
}

/// `select`s rows of `rooms r` as [`RoomRow`], as they are at `$1` for the person `$2`, whose
/// membership is `m`, if there is one; the tail begins with what follows the tables.
macro_rules! select_rooms {
    ($tail:literal, $now:expr, $user:expr, $($arg:expr),* $(,)?) => {
        sqlx::query_as!(
            RoomRow,
            r#"select r.id as "id: domain::RoomId", r.org_id as "org: domain::OrgId", r.name,
                      r.topic, r.dm_key is not null as "is_dm!", r.access_level, r.auto_join,
                      r.created_by as "created_by: domain::UserId",
                      r.created_at as "created_at: domain::Timestamp", r.members_count,
                      log_floor(r.id, $1) as "first_seq!: domain::Seq",
                      r.last_seq as "last_seq: domain::Seq",
                      r.last_message_at as "last_message_at: domain::Timestamp",
                      m.notify as "notify?", m.section as "section?", m.starred as "starred?"
               from rooms r
               left join room_members m on m.room_id = r.id and m.user_id = $2 "# + $tail,
            $now as Timestamp,
            $user,
            $($arg),*
        )
    };
}

/// The rooms that a person is in, in all organizations or one, in the order that the slice asks
/// for. Nobody is in more than some thousands, so they are sorted rather than indexed both ways.
pub async fn rooms_of(
    conn: &mut PgConnection,
    user: UserId,
    org: Option<OrgId>,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Room>> {
    let rows = select_rooms!(
        "where m.user_id = $2 and ($3::bigint is null or r.org_id = $3)
           and r.id > $4 and r.id < $5
         order by case when $6 then -r.id else r.id end limit $7",
        now,
        user.0,
        org.map(|org| org.0),
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_dm_users(conn, rows).await
}

/// The rooms that a person could join and has not, in all their organizations or one.
pub async fn joinable_rooms(
    conn: &mut PgConnection,
    user: UserId,
    org: Option<OrgId>,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Room>> {
    let rows = select_rooms!(
        "join organization_members o on o.org_id = r.org_id and o.user_id = $2
         where m.user_id is null and ($3::bigint is null or r.org_id = $3) and r.dm_key is null
           and (r.access_level = 'PUBLIC'
                or (r.access_level = 'MANAGER_ONLY' and o.role in ('MANAGER', 'ADMIN')))
           and r.id > $4 and r.id < $5
         order by case when $6 then -r.id else r.id end limit $7",
        now,
        user.0,
        org.map(|org| org.0),
        slice.after,
        slice.before,
        slice.descending,
        slice.limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_dm_users(conn, rows).await
}

/// A room that the caller sees, with the settings that `user` has in it.
///
/// # Errors
/// `NotFound` when it has gone since.
pub async fn room(
    conn: &mut PgConnection,
    access: &RoomAccess,
    user: UserId,
    now: Timestamp,
) -> Result<Room> {
    let found = find_room(conn, access.room(), Some(user), now).await?;
    found.ok_or_else(|| domain::Refusal::NotFound.into())
}

/// A room, whoever may see it, with the settings that `user` has in it.
pub async fn find_room(
    conn: &mut PgConnection,
    id: RoomId,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<Option<Room>> {
    let user = user.map(|user| user.0);
    let rows = select_rooms!("where r.id = $3", now, user, id.0).fetch_all(&mut *conn).await?;
    Ok(with_dm_users(conn, rows).await?.pop())
}

/// Everyone in the organization whom the second level admits and the first, where there is one,
/// did not.
pub(crate) async fn admitted_by(
    tx: &mut Tx,
    org: OrgId,
    (before, level): (Option<AccessLevel>, AccessLevel),
) -> Result<Vec<UserId>> {
    let mut roles = admitted_roles(level);
    roles.retain(|role| before.is_none_or(|before| !admitted_roles(before).contains(role)));
    Ok(sqlx::query_scalar!(
        r#"select user_id as "user: UserId" from organization_members
           where org_id = $1 and role = any($2)"#,
        org.0,
        &roles,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The members of a locked room whose role the level does not admit.
pub(crate) async fn members_not_admitted(
    tx: &mut Tx,
    room: &LockedRoom,
    level: AccessLevel,
) -> Result<Vec<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"select m.user_id as "user: UserId" from room_members m
           where m.room_id = $1 and not exists (
               select from organization_members o
               where o.org_id = $2 and o.user_id = m.user_id and o.role = any($3))"#,
        room.id().0,
        room.org().0,
        &admitted_roles(level),
    )
    .fetch_all(tx.conn())
    .await?)
}

fn admitted_roles(level: AccessLevel) -> Vec<String> {
    [Role::Member, Role::Manager, Role::Admin]
        .into_iter()
        .filter(|&role| level.admits(role))
        .map(|role| role.as_str().to_owned())
        .collect()
}

/// Completes rows with the people of direct messages, keeping their order.
async fn with_dm_users(conn: &mut PgConnection, rows: Vec<RoomRow>) -> Result<Vec<Room>> {
    let dms: Vec<i64> = rows.iter().filter(|row| row.is_dm).map(|row| row.id.0).collect();
    let mut people: HashMap<RoomId, Vec<Person>> = HashMap::new();
    if !dms.is_empty() {
        let found = sqlx::query!(
            r#"select m.room_id as "room: RoomId", u.id as "id: UserId", u.email, u.first_name,
                      u.last_name
               from room_members m join users u on u.id = m.user_id
               where m.room_id = any($1) order by u.id"#,
            &dms,
        )
        .fetch_all(conn)
        .await?;
        for row in found {
            people.entry(row.room).or_default().push(Person {
                id: row.id,
                email: row.email,
                first_name: row.first_name,
                last_name: row.last_name,
            });
        }
    }
    rows.into_iter()
        .map(|row| {
            let dm_users = row.is_dm.then(|| people.remove(&row.id).unwrap_or_default());
            row.into_room(dm_users)
        })
        .collect()
}

impl RoomRow {
    fn into_room(self, dm_users: Option<Vec<Person>>) -> Result<Room> {
        let access_level = AccessLevel::parse(&self.access_level)
            .ok_or_else(|| Error::corrupt("rooms", "access_level", &self.access_level))?;
        let settings = match (self.notify, self.starred) {
            (Some(notify), Some(starred)) => Some(settings(&notify, self.section, starred)?),
            _ => None,
        };
        Ok(Room {
            id: self.id,
            org: self.org,
            name: self.name,
            topic: self.topic,
            dm_users,
            access_level,
            auto_join: self.auto_join,
            created_by: self.created_by,
            created_at: self.created_at,
            members_count: self.members_count,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            last_message_at: self.last_message_at,
            settings,
        })
    }
}
