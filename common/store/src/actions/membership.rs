//! Coming into rooms and leaving them: rows of `room_members`, the rooms' counts, and the events
//! in their logs. Rooms are locked before, in ascending order.
//!
//! **Invariant:** who puts someone into a room, or changes whom a room admits or takes in (its
//! level, its auto-join), holds the lock of the organization's row
//! ([`crate::access::org_for_changing`]) or a share of it
//! ([`crate::access::lock_org_and_room`]), taken before any room's. So nobody who is leaving the
//! organization at that moment, or being demoted, stays behind in a room, and nobody who is
//! coming is forgotten. Leaving a room needs the room's lock alone.

use domain::{OrgId, Person, Role, RoomId, Timestamp, UserId, What};

use crate::log::{LockedRoom, Note, append, append_noted, lock_rooms};
use crate::rows::people;
use crate::{Result, Tx};

/// Rooms that someone came into and went out of, by what was done to their role or membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// They are in these now.
    pub added: Vec<RoomId>,
    /// They are no longer in these.
    pub removed: Vec<RoomId>,
}

/// Puts people into a room, each with a `member.joined`. Who is in it already stays as they are.
/// Returns those who came.
pub async fn join(
    tx: &mut Tx,
    room: &mut LockedRoom,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<UserId>> {
    enter(tx, room, (users, Note::None), now).await
}

/// Like [`join`], at the wish of a member, who is noted.
pub(crate) async fn bring(
    tx: &mut Tx,
    room: &mut LockedRoom,
    (user, by): (UserId, UserId),
    now: Timestamp,
) -> Result<Vec<UserId>> {
    enter(tx, room, (&[user], Note::BroughtBy(by)), now).await
}

async fn enter(
    tx: &mut Tx,
    room: &mut LockedRoom,
    (users, note): (&[UserId], Note),
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let newcomers = newcomers(tx, room.id(), users).await?;
    if newcomers.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<UserId> = newcomers.iter().map(|person| person.id).collect();
    let events =
        newcomers.into_iter().map(|person| (person.id, What::MemberJoined(person))).collect();
    append_noted(tx, room, events, note).await?;
    insert(tx, room, &ids, now).await?;
    Ok(ids)
}

/// Puts people into a room without an event: its first members, and those whom one `room.updated`
/// tells of. Returns those who came.
pub async fn join_quietly(
    tx: &mut Tx,
    room: &LockedRoom,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let newcomers = newcomers(tx, room.id(), users).await?;
    let ids: Vec<UserId> = newcomers.iter().map(|person| person.id).collect();
    insert(tx, room, &ids, now).await?;
    Ok(ids)
}

/// Takes people out of a room, each with a `member.left`. Returns those who went.
pub async fn leave(tx: &mut Tx, room: &mut LockedRoom, users: &[UserId]) -> Result<Vec<UserId>> {
    let mut gone = sqlx::query_scalar!(
        r#"delete from room_members where room_id = $1 and user_id = any($2)
           returning user_id as "user: UserId""#,
        room.id().0,
        users as &[UserId],
    )
    .fetch_all(tx.conn())
    .await?;
    if gone.is_empty() {
        return Ok(gone);
    }
    gone.sort_unstable();
    count(tx, room.id(), -signed(gone.len())).await?;
    let mut people = people(tx.conn(), &gone).await?;
    let events = gone
        .iter()
        .filter_map(|id| people.remove(id))
        .map(|person| (person.id, What::MemberLeft(person)))
        .collect();
    append(tx, room, events).await?;
    Ok(gone)
}

/// Puts a person into rooms. Returns those that they were not in.
pub async fn join_rooms(
    tx: &mut Tx,
    user: UserId,
    rooms: &mut [LockedRoom],
    now: Timestamp,
) -> Result<Vec<RoomId>> {
    let mut joined = Vec::new();
    for room in rooms {
        if !join(tx, room, &[user], now).await?.is_empty() {
            joined.push(room.id());
        }
    }
    Ok(joined)
}

/// Takes a person out of rooms. Returns those that they were in.
pub async fn leave_rooms(
    tx: &mut Tx,
    user: UserId,
    rooms: &mut [LockedRoom],
) -> Result<Vec<RoomId>> {
    let mut left = Vec::new();
    for room in rooms {
        if !leave(tx, room, &[user]).await?.is_empty() {
            left.push(room.id());
        }
    }
    Ok(left)
}

/// Puts someone who came into the organization, or rose in it, into the rooms that everyone is
/// put into whom their level admits: those that admit `role` and did not admit `before`. The
/// organization is locked. Returns the rooms that they were not in.
pub(crate) async fn join_for_role(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    (before, role): (Option<Role>, Role),
    now: Timestamp,
) -> Result<Vec<RoomId>> {
    // Who was admitted before may have left, and is not put back.
    let levels: Vec<String> = [domain::AccessLevel::Public, domain::AccessLevel::ManagerOnly]
        .into_iter()
        .filter(|level| level.may_join(role) && !before.is_some_and(|role| level.may_join(role)))
        .map(|level| level.as_str().to_owned())
        .collect();
    if levels.is_empty() {
        return Ok(Vec::new());
    }
    let rooms = sqlx::query_scalar!(
        r#"select id as "id: RoomId" from rooms
           where org_id = $1 and auto_join and access_level = any($2) order by id"#,
        org.0,
        &levels,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut rooms = lock_rooms(tx, &rooms).await?;
    join_rooms(tx, user, &mut rooms, now).await
}

/// Takes someone whose role was lowered out of the rooms that do not admit `role`. The
/// organization is locked. Returns the rooms that they were in.
pub(crate) async fn leave_for_role(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
    role: Role,
) -> Result<Vec<RoomId>> {
    if domain::AccessLevel::ManagerOnly.admits(role) {
        return Ok(Vec::new());
    }
    let mut rooms = lock_rooms_of(tx, org, user).await?;
    rooms.retain(|room| !room.access_level.admits(role));
    leave_rooms(tx, user, &mut rooms).await
}

/// Takes someone who leaves the organization out of all its rooms, direct messages included.
/// Returns the rooms that they were in.
pub(crate) async fn leave_org_rooms(
    tx: &mut Tx,
    (org, user): (OrgId, UserId),
) -> Result<Vec<RoomId>> {
    let mut rooms = lock_rooms_of(tx, org, user).await?;
    leave_rooms(tx, user, &mut rooms).await
}

async fn lock_rooms_of(tx: &mut Tx, org: OrgId, user: UserId) -> Result<Vec<LockedRoom>> {
    let rooms = sqlx::query_scalar!(
        r#"select r.id as "id: RoomId"
           from room_members m join rooms r on r.id = m.room_id
           where m.user_id = $2 and r.org_id = $1"#,
        org.0,
        user.0,
    )
    .fetch_all(tx.conn())
    .await?;
    lock_rooms(tx, &rooms).await
}

/// Those who exist and are not in the room, by ascending id. The room is locked, so nobody comes
/// meanwhile.
async fn newcomers(tx: &mut Tx, room: RoomId, users: &[UserId]) -> Result<Vec<Person>> {
    Ok(sqlx::query_as!(
        Person,
        r#"select u.id as "id: UserId", u.email, u.first_name, u.last_name
           from users u
           where u.id = any($2)
             and not exists (select from room_members m where m.room_id = $1 and m.user_id = u.id)
           order by u.id"#,
        room.0,
        users as &[UserId],
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The marker of who comes stands at the head: they have nothing unread.
async fn insert(tx: &mut Tx, room: &LockedRoom, users: &[UserId], now: Timestamp) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into room_members (room_id, user_id, last_read_seq, joined_at)
         select $1, user_id, $3, $4 from unnest($2::bigint[]) as t (user_id)",
        room.id().0,
        users as &[UserId],
        room.last_seq().0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    count(tx, room.id(), signed(users.len())).await
}

async fn count(tx: &mut Tx, room: RoomId, by: i64) -> Result<()> {
    sqlx::query!("update rooms set members_count = members_count + $2 where id = $1", room.0, by)
        .execute(tx.conn())
        .await?;
    Ok(())
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
