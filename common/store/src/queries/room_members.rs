//! Who is in a room.

use domain::room::RoomMember;
use domain::user::MemberSearch;
use domain::{MessageId, Person, RoomId, RoomMemberId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::Result;
use crate::access::{MemberAccess, parse_role};
use crate::page::Slice;

/// Everyone in a room. For workers: it asks for no proof.
pub async fn members_of(conn: &mut PgConnection, room: RoomId) -> Result<Vec<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"select user_id as "user: UserId" from room_members where room_id = $1"#,
        room.0,
    )
    .fetch_all(conn)
    .await?)
}

struct Row {
    id: RoomMemberId,
    user: UserId,
    email: String,
    first_name: String,
    last_name: String,
    role: String,
    last_read_msg_id: Option<MessageId>,
    joined_at: Timestamp,
}

/// Members of a room that a search finds; the tail bounds and orders them.
macro_rules! select_members {
    ($tail:literal, $room:expr, $search:expr, $slice:expr) => {
        sqlx::query_as!(
            Row,
            r#"select m.id as "id: RoomMemberId", u.id as "user: UserId", u.email, u.first_name,
                      u.last_name, o.role, m.last_read_msg_id as "last_read_msg_id: MessageId",
                      m.joined_at as "joined_at: Timestamp"
               from room_members m
               join users u on u.id = m.user_id
               join organization_members o on o.org_id = $2 and o.user_id = m.user_id
               where m.room_id = $1
                 and ($3::text is null
                      or (u.verify_email_by is null
                          and strpos(lower(u.email) || E'\n' || coalesce(u.email_key, ''), $7) > 0)
                      or strpos(case when u.keyed_names = u.first_name || E'\n' || u.last_name
                                     then u.name_key
                                     else lower(u.first_name || ' ' || u.last_name) end, $3) > 0) "#
                + $tail,
            $room.room().0,
            $room.org().0,
            $search.map(|search| search.name.as_str()),
            $slice.after,
            $slice.before,
            $slice.limit,
            $search.map(|search| search.email.as_str()),
        )
    };
}

/// Members of a room by the id of their membership, in the order that the slice asks for.
/// `search` finds a part of the e-mail or of the name, as [`MemberSearch`] compares.
pub async fn room_members(
    conn: &mut PgConnection,
    room: &MemberAccess,
    search: Option<&str>,
    slice: Slice,
) -> Result<Vec<RoomMember>> {
    let search = search.map(MemberSearch::of);
    let search = search.as_ref();
    // Two statements, so that each can follow the index.
    let rows = if slice.descending {
        select_members!(
            "and m.id > $4 and m.id < $5 order by m.id desc limit $6",
            room,
            search,
            slice
        )
        .fetch_all(conn)
        .await?
    } else {
        select_members!("and m.id > $4 and m.id < $5 order by m.id limit $6", room, search, slice)
            .fetch_all(conn)
            .await?
    };
    rows.into_iter()
        .map(|row| {
            Ok(RoomMember {
                id: row.id,
                room: room.room(),
                person: Person {
                    id: row.user,
                    email: row.email,
                    first_name: row.first_name,
                    last_name: row.last_name,
                },
                org_role: parse_role(&row.role)?,
                last_read_msg_id: row.last_read_msg_id,
                joined_at: row.joined_at,
            })
        })
        .collect()
}
