//! Many people at once.

use crate::board::Board;
use crate::person::Person;

impl Board {
    /// Makes so many people with accounts, members of an organization, each with a token.
    pub async fn crowd(&self, org: i64, people: usize) -> Vec<Person> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "with people as (
                 insert into users (email, password_hash, created_at)
                 select 'crowd.' || $1 || '.' || number || '@chat.test', '', now()
                 from generate_series(1, $2) as number
                 returning id, email
             ), members as (
                 insert into organization_members (org_id, user_id, role, joined_at)
                 select $1, id, 'MEMBER', now() from people
             ), signed_in as (
                 insert into logins (user_id, user_agent, created_at, last_seen_at)
                 select id, 'testkit', now(), now() from people
                 returning id, user_id
             )
             select people.id, people.email, signed_in.id
             from people join signed_in on signed_in.user_id = people.id
             order by people.id",
        )
        .bind(org)
        .bind(i32::try_from(people).expect("a crowd of sane size"))
        .fetch_all(self.store.pool())
        .await
        .expect("the record takes a crowd");
        assert_eq!(rows.len(), people);
        rows.into_iter()
            .map(|(id, email, login)| Person::with_login(&self.reach, id, &email, login))
            .collect()
    }

    /// Fills a room with so many messages by one person, in the record alone: for volume.
    pub async fn fill_room(&self, room: i64, sender: i64, messages: i64) {
        let filled: i64 = sqlx::query_scalar(
            "with head as (
                 update rooms set last_seq = last_seq + $3, last_message_at = now()
                 where id = $1 returning org_id, last_seq - $3 as seq
             ), made as (
                 insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at)
                 select head.org_id, $1, head.seq + number, $2, 'message ' || number, '', now()
                 from head, generate_series(1, $3) as number
                 order by number
                 returning id
             )
             select count(*) from made",
        )
        .bind(room)
        .bind(sender)
        .bind(messages)
        .fetch_one(self.store.pool())
        .await
        .expect("the record takes messages");
        assert_eq!(filled, messages);
    }

    /// Makes so many rooms with one person in them, in the record alone: for volume.
    pub async fn rooms_in_bulk(&self, org: i64, member: i64, rooms: i32) -> Vec<i64> {
        sqlx::query_scalar(
            "with made as (
                 insert into rooms (org_id, name, access_level, created_by, created_at, members_count)
                 select $1, 'room ' || number, 'PUBLIC', $2, now(), 1
                 from generate_series(1, $3) as number
                 returning id
             ), entered as (
                 insert into room_members (room_id, user_id, last_read_seq, joined_at)
                 select id, $2, 0, now() from made
                 returning room_id
             )
             select room_id from entered order by room_id",
        )
        .bind(org)
        .bind(member)
        .bind(rooms)
        .fetch_all(self.store.pool())
        .await
        .expect("the record takes rooms")
    }
}
