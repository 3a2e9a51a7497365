//! What was deleted and still has rows: rooms, organizations, accounts.
//!
//! Deleting takes away the one row that all others are reached by, and leaves a row of `removals`
//! in the same transaction. What is left is found by nobody but the janitor, which takes it in
//! batches: no statement grows with what is deleted.

use domain::{OrgId, RoomId, Timestamp, UserId};

use super::retention::{Run, remove_about};
use super::uploads;
use crate::{Error, Result, Tx};

/// Notes that rooms were deleted.
pub(super) async fn note_rooms(
    tx: &mut Tx,
    org: OrgId,
    rooms: &[RoomId],
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into removals (kind, id, org_id, deleted_at)
         select 'room', id, $1, $3 from unnest($2::bigint[]) as t (id)",
        org.0,
        rooms as &[RoomId],
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that an organization was deleted.
pub(super) async fn note_org(tx: &mut Tx, org: OrgId, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "insert into removals (kind, id, org_id, deleted_at) values ('org', $1, $1, $2)",
        org.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that an account was deleted.
pub(super) async fn note_user(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "insert into removals (kind, id, deleted_at) values ('user', $1, $2)",
        user.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// A room.
    Room(RoomId),
    /// An organization.
    Org(OrgId),
    /// An account.
    User(UserId),
}

impl Deleted {
    /// Its key in `removals`.
    fn key(self) -> (&'static str, i64) {
        match self {
            Self::Room(room) => ("room", room.0),
            Self::Org(org) => ("org", org.0),
            Self::User(user) => ("user", user.0),
        }
    }
}

/// Something deleted that nobody else is removing.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// What it is.
    pub what: Deleted,
    /// Whose record says how much it was.
    pub org: Option<OrgId>,
}

/// Claims what was deleted first, of all that is not `parked`.
pub async fn claim_removal(tx: &mut Tx, parked: &[Deleted]) -> Result<Option<Removal>> {
    let (kinds, ids): (Vec<String>, Vec<i64>) =
        parked.iter().map(|deleted| deleted.key()).map(|(kind, id)| (kind.to_owned(), id)).unzip();
    // What a later version has noted, and this one does not know, is that one's.
    let row = sqlx::query!(
        r#"select kind, id, org_id as "org: OrgId" from removals r
           where kind in ('room', 'org', 'user') and not exists (
               select from unnest($1::text[], $2::bigint[]) as p (kind, id)
               where p.kind = r.kind and p.id = r.id)
           order by deleted_at limit 1 for update skip locked"#,
        &kinds,
        &ids,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let what = match row.kind.as_str() {
        "room" => Deleted::Room(row.id.into()),
        "org" => Deleted::Org(row.id.into()),
        "user" => Deleted::User(row.id.into()),
        other => return Err(Error::corrupt("removals", "kind", other)),
    };
    Ok(Some(Removal { what, org: row.org }))
}

/// Removes the next batch of a claimed removal: at most `limit` rows of one kind. Once nothing is
/// left, the removal itself goes.
pub async fn remove_batch(
    tx: &mut Tx,
    removal: Removal,
    (run, limit): (&Run, i64),
    now: Timestamp,
) -> Result<Run> {
    let counts = match removal.what {
        Deleted::Room(room) => of_room(tx, room, limit).await?,
        Deleted::Org(org) => of_org(tx, org, limit).await?,
        Deleted::User(user) => of_user(tx, user, limit).await?,
    };
    if counts.iter().all(|(_, count)| *count == 0) {
        let (kind, id) = removal.what.key();
        sqlx::query!("delete from removals where kind = $1 and id = $2", kind, id)
            .execute(tx.conn())
            .await?;
    }
    if removal.org.is_none() {
        return Ok(run.clone());
    }
    run.record(tx, &counts, now).await
}

type Counts = Vec<(&'static str, i64)>;

async fn of_room(tx: &mut Tx, room: RoomId, limit: i64) -> Result<Counts> {
    let messages = sqlx::query_scalar!(
        "select id from messages where room_id = $1 order by id limit $2",
        room.0,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    if !messages.is_empty() {
        let about = remove_about(tx, &messages).await?;
        uploads::let_go_of(tx, &messages).await?;
        let gone = sqlx::query!("delete from messages where id = any($1)", &messages)
            .execute(tx.conn())
            .await?;
        return Ok([&[("messages", signed(gone.rows_affected()))][..], &about].concat());
    }
    // A few of each are left: who joined and left, who was told of it.
    let row = sqlx::query!(
        r#"with events as (
               delete from room_events where ctid = any(array(
                   select ctid from room_events where room_id = $1 limit $2)) returning 1
           ), members as (
               delete from room_members where id = any(array(
                   select id from room_members where room_id = $1 limit $2)) returning 1
           ), notified as (
               delete from notifications where id = any(array(
                   select id from notifications where room_id = $1 limit $2)) returning 1
           ), trims as (
               delete from log_trims where room_id = $1 returning 1
           )
           select (select count(*) from events) as "events!",
                  (select count(*) from members) as "members!",
                  (select count(*) from notified) as "notifications!",
                  (select count(*) from trims) as "trims!""#,
        room.0,
        limit,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(vec![
        ("events", row.events),
        ("members", row.members),
        ("notifications", row.notifications),
        ("trims", row.trims),
    ])
}

async fn of_org(tx: &mut Tx, org: OrgId, limit: i64) -> Result<Counts> {
    let payloads = sqlx::query!(
        "delete from webhook_payloads where event_id = any(array(
             select event_id from webhook_payloads where org_id = $1 limit $2))",
        org.0,
        limit,
    )
    .execute(tx.conn())
    .await?;
    if payloads.rows_affected() > 0 {
        return Ok(vec![("webhook_payloads", signed(payloads.rows_affected()))]);
    }
    let webhooks =
        sqlx::query!("delete from webhooks where org_id = $1", org.0).execute(tx.conn()).await?;
    Ok(vec![("webhooks", signed(webhooks.rows_affected()))])
}

/// Titles of notifications lose the name as `plan_notifications::texts` has written it.
async fn of_user(tx: &mut Tx, user: UserId, limit: i64) -> Result<Counts> {
    let row = sqlx::query!(
        r#"with notified as (
               delete from notifications where id = any(array(
                   select id from notifications where user_id = $1 limit $2)) returning 1
           ), decisions as (
               delete from notification_decisions where ctid = any(array(
                   select ctid from notification_decisions where user_id = $1 limit $2)) returning 1
           ), mailed as (
               delete from mails where id = any(array(
                   select id from mails where user_id = $1 and status <> 'handing' limit $2))
               returning 1
           ), resets as (
               delete from password_resets where user_id = $1 returning 1
           ), verifications as (
               delete from email_verifications where user_id = $1
           ), named as (
               select n.id, t.title, t.message
               from notifications n
               cross join lateral (select
                   case n.notification_type
                       when 'mention' then regexp_replace(n.title, '^.* mentioned you in ',
                                                          'Deleted user mentioned you in ')
                       when 'dm' then 'Direct message from Deleted user'
                       when 'room_invite' then regexp_replace(n.title, '^.* added you to ',
                                                              'Deleted user added you to ')
                       when 'org_invite' then regexp_replace(n.title, '^.* invited you to ',
                                                             'Deleted user invited you to ')
                       else n.title end as title,
                   case n.notification_type when 'role_change' then 'Changed by Deleted user.'
                       else n.message end as message) t
               where (n.data ->> 'by')::bigint = $1 and n.user_id <> $1
                   and (n.title <> t.title or n.message is distinct from t.message)
               limit $2
           ), unnamed as (
               update notifications n set title = named.title, message = named.message
               from named where n.id = named.id returning 1
           ), told as (
               update webhook_payloads set user_id = null, body =
                   jsonb_set(jsonb_set(body::jsonb, '{data,email}', 'null', false),
                             '{data,user,email}', 'null', false)::text
               where event_id = any(array(
                   select event_id from webhook_payloads where user_id = $1 limit $2)) returning 1
           )
           select (select count(*) from notified) as "notifications!",
                  (select count(*) from decisions) as "decisions!",
                  (select count(*) from mailed) as "mails!",
                  (select count(*) from resets) as "password_resets!",
                  (select count(*) from unnamed) as "titles!",
                  (select count(*) from told) as "payloads!""#,
        user.0,
        limit,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(vec![
        ("notifications", row.notifications),
        ("decisions", row.decisions),
        ("mails", row.mails),
        ("password_resets", row.password_resets),
        ("names", row.titles + row.payloads),
    ])
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
