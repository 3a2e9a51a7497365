//! Messages that somebody looks for, newest first.
//!
//! Two ways lead there, because no single one is fast for every word. The newest messages are
//! walked through first, up to a bound: a common word fills a page there at once, however many
//! thousands of messages have it. What that does not fill is asked of the index, which is quick
//! for exactly the rest, words that few messages have; the reader's rooms are asked of it too, as
//! words, so a word that is common elsewhere costs nothing.
//!
//! **Invariant:** membership, retention and deletion are looked at in the same snapshot that the
//! words are looked for in.

use domain::search::{Question, sender_word};
use domain::{Message, OrgId, RoomId, Timestamp, UserId};
use sqlx::PgConnection;

use crate::page::{Slice, fetch_page};
use crate::rows::{completed, select_messages};
use crate::{Result, Store};

/// Messages that are walked through before the index is asked.
const WALK_MAX: i64 = 4_000;
/// A reader of more rooms than that has them checked message by message: so many words would cost
/// the index more than they save.
const ROOM_WORDS_MAX: i64 = 200;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The words.
    pub question: Question,
    /// In this organization alone.
    pub org: Option<OrgId>,
    /// In this room alone.
    pub room: Option<RoomId>,
    /// By this sender alone.
    pub from: Option<UserId>,
}

/// A stretch of what `reader` finds, in the order that the slice asks for. Only in rooms that the
/// reader is in; nothing deleted, nothing expired.
///
/// # Errors
/// `Unavailable`, also when it takes longer than five seconds.
pub async fn search(
    store: &Store,
    reader: UserId,
    filter: &Filter,
    slice: Slice,
    now: Timestamp,
) -> Result<Vec<Message>> {
    let mut tx = store.begin().await?;
    let conn = tx.conn();
    sqlx::query!("set transaction isolation level repeatable read read only")
        .execute(&mut *conn)
        .await?;
    sqlx::query!("set local statement_timeout = '5s'").execute(&mut *conn).await?;
    let mut query = filter.question.query();
    if let Some(sender) = filter.from {
        query = format!("'{}' & {query}", sender_word(sender));
    }
    let wanted = Wanted { reader, org: filter.org, room: filter.room, query, slice, now };
    let found = match wanted.walk(conn).await? {
        Some(found) => found,
        None => wanted.ask_index(conn).await?,
    };
    let order = if slice.descending { -1 } else { 1 };
    let rows = select_messages!(
        "where m.id = any($1) order by m.id * $2::bigint",
        &found,
        i64::from(order)
    )
    .fetch(&mut *conn);
    let rows = fetch_page(rows, |row| row.body.len()).await?;
    completed(conn, rows).await
}

struct Wanted {
    reader: UserId,
    org: Option<OrgId>,
    room: Option<RoomId>,
    query: String,
    slice: Slice,
    now: Timestamp,
}

/// Walks through the nearest messages: all of them, or a room's. `is true` has the rooms looked up
/// by hash; a join of two lists that the planner knows nothing of goes through both for each row.
macro_rules! walk {
    ($wanted:expr, $conn:expr, $nearest:literal, $order:literal) => {{
        let row = sqlx::query!(
            r#"with mine as materialized (
                   select r.id as room_id, r.org_id
                   from room_members rm join rooms r on r.id = rm.room_id
                   where rm.user_id = $1
                     and ($2::bigint is null or r.org_id = $2)
                     and ($3::bigint is null or r.id = $3)
               ), kept as materialized (
                   select org_id, kept_since(org_id, $8) as since
                   from (select distinct org_id from mine) orgs
               ), nearest as materialized (
                   select id, room_id, org_id, created_at, search from messages where "#
                + $nearest
                + r#" limit $7
               )
               select (select count(*) from nearest) as "walked!",
                   array(
                       select n.id from nearest n join kept k on k.org_id = n.org_id
                       where n.created_at > k.since and n.search @@ $6::text::tsquery
                         and (n.room_id in (select room_id from mine)) is true
                       order by n.id "#
                + $order
                + r#" limit $9
                   ) as "found!""#,
            $wanted.reader.0,
            $wanted.org as Option<OrgId>,
            $wanted.room as Option<RoomId>,
            $wanted.slice.after,
            $wanted.slice.before,
            $wanted.query,
            WALK_MAX,
            $wanted.now as Timestamp,
            $wanted.slice.limit,
        )
        .fetch_one($conn)
        .await?;
        (row.walked, row.found)
    }};
}

impl Wanted {
    /// Looks at the nearest messages. `None` when neither the page is full nor all was seen.
    async fn walk(&self, conn: &mut PgConnection) -> Result<Option<Vec<i64>>> {
        let (walked, found) = match (self.room, self.slice.descending) {
            (None, true) => walk!(self, conn, "id > $4 and id < $5 order by id desc", "desc"),
            (None, false) => walk!(self, conn, "id > $4 and id < $5 order by id", ""),
            (Some(_), true) => walk!(
                self,
                conn,
                "room_id = $3 and id > $4 and id < $5 order by room_id desc, id desc",
                "desc"
            ),
            (Some(_), false) => {
                walk!(self, conn, "room_id = $3 and id > $4 and id < $5 order by room_id, id", "")
            }
        };
        let is_full = i64::try_from(found.len()).is_ok_and(|found| found >= self.slice.limit);
        Ok((is_full || walked < WALK_MAX).then_some(found))
    }

    /// Asks the index for everything that has the words. `id + 0` keeps the planner from walking
    /// through the messages instead.
    async fn ask_index(&self, conn: &mut PgConnection) -> Result<Vec<i64>> {
        let found = sqlx::query_scalar!(
            r#"with mine as materialized (
                   select r.id as room_id, r.org_id
                   from room_members rm join rooms r on r.id = rm.room_id
                   where rm.user_id = $1
                     and ($2::bigint is null or r.org_id = $2)
                     and ($3::bigint is null or r.id = $3)
               ), kept as materialized (
                   select org_id, kept_since(org_id, $7) as since
                   from (select distinct org_id from mine) orgs
               ), wanted as materialized (
                   select case when count(*) <= $10
                       then $6::text::tsquery
                            && string_agg('''#' || room_id || '''', '|')::tsquery
                       else $6::text::tsquery end as query
                   from mine
               ), found as materialized (
                   select id, room_id, org_id, created_at from messages
                   where search @@ (select query from wanted) and id + 0 > $4 and id + 0 < $5
               )
               select f.id as "id!" from found f join kept k on k.org_id = f.org_id
               where f.created_at > k.since
                 and (f.room_id in (select room_id from mine)) is true
               order by f.id * $8::bigint limit $9"#,
            self.reader.0,
            self.org as Option<OrgId>,
            self.room as Option<RoomId>,
            self.slice.after,
            self.slice.before,
            self.query,
            self.now as Timestamp,
            if self.slice.descending { -1 } else { 1 },
            self.slice.limit,
            ROOM_WORDS_MAX,
        )
        .fetch_all(conn)
        .await?;
        Ok(found)
    }
}
