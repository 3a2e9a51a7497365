//! The bytes of files that each organization and each person has. A quota check reads one row, however
//! many files there are.
//!
//! A file counts for its owner from the announcement of the upload, and for an organization from the
//! first message there. It stops counting when it is being removed and its upload address has expired.
//! **Invariant:** a transaction that changes these bytes has locked the owner's row here. These rows are
//! locked after all others, organizations before people, each by ascending id. Older versions change
//! files without updating this table, so each owner is counted again once a day.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::{Claim, OrgId, Timestamp, UserId};

use crate::{Result, Tx};

/// How long a count is believed.
const COUNTED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Whose files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// Of an organization: posted in it first.
    Organization(OrgId),
    /// Of a person: announced by them.
    User(UserId),
}

impl Owner {
    fn kind(self) -> &'static str {
        match self {
            Self::Organization(_) => "organization",
            Self::User(_) => "user",
        }
    }

    fn id(self) -> i64 {
        match self {
            Self::Organization(org) => org.0,
            Self::User(user) => user.0,
        }
    }

    fn of(kind: &str, id: i64) -> Self {
        if kind == "user" { Self::User(id.into()) } else { Self::Organization(id.into()) }
    }
}

/// The rows of some owners, in their order.
fn columns(owners: impl Iterator<Item = Owner>) -> (Vec<String>, Vec<i64>) {
    owners.map(|owner| (owner.kind().to_owned(), owner.id())).unzip()
}

/// How many bytes owners have, held until the end of the transaction. One that was never counted is
/// counted now.
pub(crate) async fn lock(
    tx: &mut Tx,
    owners: &BTreeSet<Owner>,
    now: Timestamp,
) -> Result<HashMap<Owner, i64>> {
    let mut held = look(tx, owners).await?;
    let unknown: BTreeSet<Owner> =
        owners.iter().filter(|owner| !held.contains_key(owner)).copied().collect();
    if unknown.is_empty() {
        return Ok(held);
    }
    let (kinds, ids) = columns(unknown.iter().copied());
    sqlx::query!(
        "insert into file_usage (owner_kind, owner_id, bytes, counted_at)
         select kind, id, 0, $3 from unnest($1::text[], $2::bigint[]) as t (kind, id)
         order by kind, id
         on conflict do nothing",
        &kinds,
        &ids,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    held.extend(look(tx, &unknown).await?);
    // The row is ours, so a fresh look sees all that others have changed.
    for owner in unknown {
        held.insert(owner, count(tx, owner, now).await?);
    }
    Ok(held)
}

async fn look(tx: &mut Tx, owners: &BTreeSet<Owner>) -> Result<HashMap<Owner, i64>> {
    let (kinds, ids) = columns(owners.iter().copied());
    let rows = sqlx::query!(
        "select u.owner_kind, u.owner_id, u.bytes
         from file_usage u
         join unnest($1::text[], $2::bigint[]) as t (kind, id)
             on u.owner_kind = t.kind and u.owner_id = t.id
         order by u.owner_kind, u.owner_id for no key update of u",
        &kinds,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = rows.into_iter().map(|row| (Owner::of(&row.owner_kind, row.owner_id), row.bytes));
    Ok(rows.collect())
}

/// Adds what owners, whose rows this transaction may hold already, have more now; less is negative.
/// Who was never counted is counted when it matters.
pub(crate) async fn add(tx: &mut Tx, more: &HashMap<Owner, i64>) -> Result<()> {
    let more: Vec<(Owner, i64)> = more.iter().map(|(owner, bytes)| (*owner, *bytes)).collect();
    if more.is_empty() {
        return Ok(());
    }
    let (kinds, ids) = columns(more.iter().map(|(owner, _)| *owner));
    let bytes: Vec<i64> = more.iter().map(|(_, bytes)| *bytes).collect();
    sqlx::query!(
        "with held as (
             select u.owner_kind, u.owner_id, t.bytes
             from file_usage u
             join unnest($1::text[], $2::bigint[], $3::bigint[]) as t (kind, id, bytes)
                 on u.owner_kind = t.kind and u.owner_id = t.id
             order by u.owner_kind, u.owner_id for no key update of u
         )
         update file_usage u set bytes = u.bytes + held.bytes
         from held where u.owner_kind = held.owner_kind and u.owner_id = held.owner_id",
        &kinds,
        &ids,
        &bytes,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts a claimed owner again that was last counted more than a day ago; who has nothing is
/// forgotten. Returns how many owners it found: at most one, whatever the claim's limit.
pub async fn count_again(tx: &mut Tx, claim: Claim, now: Timestamp) -> Result<u64> {
    let found = sqlx::query!(
        "select owner_kind, owner_id from file_usage where counted_at <= $1
         order by counted_at limit 1 offset $2 for no key update skip locked",
        (now - COUNTED_FOR) as Timestamp,
        claim.passed_over,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(found) = found else { return Ok(0) };
    let owner = Owner::of(&found.owner_kind, found.owner_id);
    if count(tx, owner, now).await? == 0 {
        sqlx::query!(
            "delete from file_usage where owner_kind = $1 and owner_id = $2",
            owner.kind(),
            owner.id(),
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(1)
}

/// Adds up the files of an owner whose row this transaction holds.
async fn count(tx: &mut Tx, owner: Owner, now: Timestamp) -> Result<i64> {
    let (org, user) = match owner {
        Owner::Organization(org) => (Some(org.0), None),
        Owner::User(user) => (None, Some(user.0)),
    };
    let bytes = sqlx::query_scalar!(
        r#"update file_usage
           set counted_at = $5, bytes = case
               when $3::bigint is not null then (
                   select coalesce(sum(file_size), 0) from file_uploads
                   where org_id = $3 and is_counted)
               else (
                   select coalesce(sum(file_size), 0) from file_uploads
                   where user_id = $4 and is_counted)
               end
           where owner_kind = $1 and owner_id = $2
           returning bytes"#,
        owner.kind(),
        owner.id(),
        org,
        user,
        now as Timestamp,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(bytes.unwrap_or(0))
}
