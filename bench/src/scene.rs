//! The people, rooms and memberships that a scenario needs, set up by SQL, with their tokens.
//!
//! Registering ten thousand people over REST would be a benchmark of Argon2. Nothing here takes a
//! `seq`: the rooms begin with an empty log.

use std::time::Duration;

use anyhow::Context;
use domain::{Caller, LoginId, UserId};
use rand::RngExt;
use runtime::Clock;
use runtime::tokens::SigningKeys;
use sqlx::PgPool;

/// How long the tokens live: longer than any scenario.
const TOKEN_LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// Someone.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Their access token.
    pub(crate) token: String,
}

/// A room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// Its id.
    pub(crate) id: i64,
    /// Its members: places in [`Scene::people`].
    pub(crate) people: Vec<usize>,
}

/// An organization of the bench's own.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Everyone.
    pub(crate) people: Vec<Person>,
    /// Every room.
    pub(crate) rooms: Vec<Room>,
}

/// What a scene is to be: how many people, and who is in each room.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    people: usize,
    rooms: Vec<Vec<usize>>,
}

impl Plan {
    /// Rooms that have nobody in common.
    pub(crate) fn apart(rooms: usize, people_each: usize) -> Self {
        let room = |room: usize| (room * people_each..(room + 1) * people_each).collect();
        Self { people: rooms * people_each, rooms: (0..rooms).map(room).collect() }
    }

    /// So many rooms, and for each of `readers` a person who is in that many of them, the last
    /// ones.
    pub(crate) fn of_readers(rooms: usize, readers: &[usize]) -> Self {
        let is_in = |room: usize, &reader: &usize| room + readers[reader] >= rooms;
        let people =
            |room: usize| (0..readers.len()).filter(|reader| is_in(room, reader)).collect();
        Self { people: readers.len(), rooms: (0..rooms).map(people).collect() }
    }

    /// One room of everyone and one of the first few.
    pub(crate) fn big_and_small(big: usize, small: usize) -> Self {
        Self { people: big, rooms: vec![(0..big).collect(), (0..small).collect()] }
    }
}

impl Scene {
    /// Sets a scene.
    ///
    /// # Errors
    /// When Postgres is away or has another schema.
    pub(crate) async fn set(db: &PgPool, keys: &SigningKeys, plan: Plan) -> anyhow::Result<Self> {
        let mark = format!("{:016x}", rand::rng().random::<u64>());
        let users = add_users(db, &mark, plan.people).await?;
        let people = sign_in(db, keys, &users).await?;
        let org = sqlx::query_scalar!(
            "insert into organizations (name, created_at) values ($1, now()) returning id",
            format!("bench {mark}"),
        )
        .fetch_one(db)
        .await?;
        sqlx::query!(
            "insert into organization_members (org_id, user_id, role, joined_at)
             select $1, user_id, 'MEMBER', now() from unnest($2::bigint[]) as user_id",
            org,
            &users,
        )
        .execute(db)
        .await?;
        let rooms =
            add_rooms(db, (org, *users.first().context("a scene without people")?), &plan).await?;
        add_members(db, &rooms, &users).await?;
        sqlx::query!("analyze").execute(db).await?;
        Ok(Self { people, rooms })
    }

    /// A member of a room, another one for another `turn`, and their token.
    pub(crate) fn token(&self, room: &Room, turn: usize) -> &str {
        &self.people[room.people[turn % room.people.len()]].token
    }
}

async fn add_users(db: &PgPool, mark: &str, people: usize) -> anyhow::Result<Vec<i64>> {
    let users = sqlx::query_scalar!(
        "insert into users (email, password_hash, first_name, last_name, created_at)
         select $1 || n::text || '@bench.example', '!', 'Bench', n::text, now()
         from generate_series(1, $2::bigint) as n
         returning id",
        format!("{mark}-"),
        i64::try_from(people)?,
    )
    .fetch_all(db)
    .await?;
    Ok(users)
}

async fn sign_in(db: &PgPool, keys: &SigningKeys, users: &[i64]) -> anyhow::Result<Vec<Person>> {
    let logins = sqlx::query!(
        "insert into logins (user_id, user_agent, created_at, last_seen_at)
         select user_id, 'bench', now(), now() from unnest($1::bigint[]) as user_id
         returning id, user_id",
        users,
    )
    .fetch_all(db)
    .await?;
    let now = Clock::system().now();
    let mut logins: Vec<_> = logins.into_iter().map(|login| (login.user_id, login.id)).collect();
    logins.sort_unstable();
    let mut people = Vec::with_capacity(users.len());
    for &user in users {
        let place = logins.binary_search_by_key(&user, |&(user, _)| user);
        let (_, login) = logins[place.ok().context("a user without a login")?];
        let caller = Caller { user: UserId(user), login: LoginId(login) };
        let token = keys.sign(caller, format!("bench-{login}"), now, TOKEN_LIFETIME)?;
        people.push(Person { token });
    }
    Ok(people)
}

async fn add_rooms(
    db: &PgPool,
    (org, creator): (i64, i64),
    plan: &Plan,
) -> anyhow::Result<Vec<Room>> {
    let mut counts = Vec::with_capacity(plan.rooms.len());
    for people in &plan.rooms {
        counts.push(i64::try_from(people.len())?);
    }
    let mut ids = sqlx::query_scalar!(
        "insert into rooms (org_id, name, access_level, created_by, created_at, members_count)
         select $1, 'bench ' || n::text, 'PRIVATE', $2, now(), members
         from unnest($3::bigint[]) with ordinality as room (members, n)
         order by n
         returning id",
        org,
        creator,
        &counts,
    )
    .fetch_all(db)
    .await?;
    ids.sort_unstable();
    let rooms = ids.into_iter().zip(&plan.rooms);
    Ok(rooms.map(|(id, people)| Room { id, people: people.clone() }).collect())
}

async fn add_members(db: &PgPool, rooms: &[Room], users: &[i64]) -> anyhow::Result<()> {
    let members = rooms.iter().flat_map(|room| room.people.iter().map(|&place| (room.id, place)));
    let (rooms, people): (Vec<i64>, Vec<i64>) =
        members.map(|(room, place)| (room, users[place])).unzip();
    sqlx::query!(
        "insert into room_members (room_id, user_id, last_read_seq, joined_at)
         select room_id, user_id, 0, now()
         from unnest($1::bigint[], $2::bigint[]) as member (room_id, user_id)",
        &rooms,
        &people,
    )
    .execute(db)
    .await?;
    Ok(())
}
