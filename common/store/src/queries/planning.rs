//! What is known of events before they are planned: read while no transaction is open.

use std::collections::HashMap;

use domain::{OrgId, RoomId, Seq, mentions};
use sqlx::PgConnection;

use crate::Result;
use crate::queries::outbox::LogPlace;

/// What is known of an event that waits to be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// The organization.
    pub org: OrgId,
    /// How often planning failed with it.
    pub failures: u32,
    /// Whether it is a message, or an edit of one, that mentions who is online.
    pub mentions_here: bool,
    /// How many people it concerns because it mentions everyone in its room, or who is online there.
    pub audience: i64,
    /// Whether planning it has begun, and some of these people were not planned yet.
    pub is_open: bool,
}

/// What is known of events; those that do not wait any more are left out.
///
/// Mentions are stored with a message. Where an older version stored only some of them, its text is
/// read here.
pub async fn prospects(
    conn: &mut PgConnection,
    places: &[LogPlace],
) -> Result<HashMap<LogPlace, Prospect>> {
    let mut known = of_rooms(&mut *conn, places).await?;
    known.extend(of_orgs(conn, places).await?);
    Ok(known)
}

/// Row by row, each by its index: see `post_messages::check`.
async fn of_rooms(
    conn: &mut PgConnection,
    places: &[LogPlace],
) -> Result<HashMap<LogPlace, Prospect>> {
    let (mut rooms, mut seqs) = (Vec::new(), Vec::new());
    for place in places {
        if let LogPlace::Room(room, seq) = place {
            rooms.push(room.0);
            seqs.push(seq.0);
        }
    }
    let rows = sqlx::query!(
        r#"select t.room_id as "room!: RoomId", t.seq as "seq!: Seq", o.failures as "failures!",
                  o.planned_to is not null as "is_open!",
                  r.org_id as "org?: OrgId", r.members_count as "members_count?",
                  coalesce(m.mentions_room and coalesce(m.room_said_seq = t.seq, true), false)
                      as "mentions_room!",
                  m.mentions_here and coalesce(m.here_said_seq = t.seq, true) as "mentions_here?",
                  m.unread_body as "unread_body?"
           from unnest($1::bigint[], $2::bigint[]) as t (room_id, seq)
           cross join lateral (
               select failures, planned_to from outbox
               where room_id = t.room_id and seq = t.seq limit 1
           ) o
           left join lateral (select org_id, members_count from rooms where id = t.room_id limit 1) r on true
           left join lateral (
               (select e.id
                from (
                    select id, room_id, seq from messages
                    where (room_id, seq) >= (t.room_id, t.seq) order by room_id, seq limit 1
                ) e where e.room_id = t.room_id and e.seq = t.seq)
               union all
               (select message_id from room_events
                where room_id = t.room_id and seq = t.seq and kind = 'message.updated'
                    and not is_reaction)
               limit 1
           ) l on true
           left join lateral (
               select mentions_room, mentions_here, room_said_seq, here_said_seq, case when mentions_here is null then body end as unread_body
               from messages where id = l.id limit 1
           ) m on true"#,
        &rooms,
        &seqs,
    )
    .fetch_all(conn)
    .await?;
    let known = rows.into_iter().map(|row| {
        let mentions_here = row
            .mentions_here
            .unwrap_or_else(|| row.unread_body.is_some_and(|body| mentions::find(&body).here));
        let concerns_all = row.mentions_room || mentions_here;
        let prospect = Prospect {
            org: row.org.unwrap_or(OrgId::NOWHERE),
            failures: u32::try_from(row.failures).unwrap_or_default(),
            mentions_here,
            audience: row.members_count.filter(|_| concerns_all).unwrap_or_default(),
            is_open: row.is_open,
        };
        (LogPlace::Room(row.room, row.seq), prospect)
    });
    Ok(known.collect())
}

async fn of_orgs(
    conn: &mut PgConnection,
    places: &[LogPlace],
) -> Result<HashMap<LogPlace, Prospect>> {
    let (mut orgs, mut seqs) = (Vec::new(), Vec::new());
    for place in places {
        if let LogPlace::Org(org, seq) = place {
            orgs.push(org.0);
            seqs.push(seq.0);
        }
    }
    if orgs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select t.org_id as "org!: OrgId", t.seq as "seq!: Seq", o.failures as "failures!"
           from unnest($1::bigint[], $2::bigint[]) as t (org_id, seq)
           cross join lateral (
               select failures from outbox where org_id = t.org_id and seq = t.seq limit 1
           ) o"#,
        &orgs,
        &seqs,
    )
    .fetch_all(conn)
    .await?;
    let known = rows.into_iter().map(|row| {
        let failures = u32::try_from(row.failures).unwrap_or_default();
        let prospect =
            Prospect { org: row.org, failures, mentions_here: false, audience: 0, is_open: false };
        (LogPlace::Org(row.org, row.seq), prospect)
    });
    Ok(known.collect())
}
