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
}
