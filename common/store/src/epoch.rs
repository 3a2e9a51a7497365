//! The epoch: the history that the numbers (`seq`, `sequence`, ids) of this database belong to.
//!
//! A promoted replica and a restored backup may lack events that were acknowledged, and give their
//! numbers to others. Postgres tells of both: a restored dump lies in a cluster with another system
//! identifier, a promotion and a point-in-time recovery begin a new timeline. Each new connection
//! is asked for both before it is used, so that nothing is read from a history that this process
//! does not know of. (`pg_control_checkpoint()` names the old timeline until the first checkpoint
//! after a promotion; the name of the WAL file being written does not.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Epoch;
use sqlx::PgConnection;

use crate::error::is_schema_lacking;
use crate::{Error, Result, Store};

/// Attempts to read or add an epoch while other nodes add theirs.
const TRIES: usize = 5;

/// Why an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The database had none.
    First,
    /// The database lies in another cluster than before.
    Restored,
    /// The cluster is on another timeline than before.
    Promoted,
    /// A room's last `seq` was lower than one that clients had seen.
    HeadFell,
    /// An operator said so.
    Operator,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Restored => "restored",
            Self::Promoted => "promoted",
            Self::HeadFell => "head_fell",
            Self::Operator => "operator",
        }
    }
}

/// The epoch as this process knows it. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Known(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    epoch: Mutex<Option<Epoch>>,
    /// Whether the schema was found current in the present epoch. False while no epoch is known.
    has_schema: AtomicBool,
}

/// The newest row, and whether it was written by this cluster on this timeline.
struct Newest {
    number: i64,
    epoch: Epoch,
    reason: Option<Reason>,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { epoch: Mutex::default(), has_schema: AtomicBool::new(false) }))
    }

    pub(crate) fn get(&self) -> Option<Epoch> {
        *self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, epoch: Epoch) {
        let mut present = self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if present.replace(epoch) != Some(epoch) {
            self.0.has_schema.store(false, Ordering::Release);
        }
    }

    /// What new connections lead to is not known.
    fn forget(&self) {
        *self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.has_schema.store(false, Ordering::Release);
    }

    pub(crate) fn has_schema(&self) -> bool {
        self.0.has_schema.load(Ordering::Acquire)
    }

    pub(crate) fn set_has_schema(&self) {
        self.0.has_schema.store(true, Ordering::Release);
    }

    /// Reads the epoch over a connection, and notes it.
    pub(crate) async fn look(&self, conn: &mut PgConnection) -> Result<Epoch> {
        let epoch = present(conn).await?;
        self.set(epoch);
        Ok(epoch)
    }

    /// Asks a new connection. The schema may lack epochs, or be half restored: it is compared before
    /// it is used.
    pub(crate) async fn ask(
        &self,
        conn: &mut PgConnection,
    ) -> std::result::Result<(), sqlx::Error> {
        match self.look(conn).await {
            Ok(_) => Ok(()),
            Err(Error::Unavailable(error)) if !is_schema_lacking(&error) => Err(error),
            Err(error) => {
                self.forget();
                tracing::debug!(error = %error, "the epoch cannot be read: {error}");
                Ok(())
            }
        }
    }
}

impl Store {
    /// The epoch, as of the newest connection or check: at least as new as what any connection
    /// reads. `None` until Postgres, with a schema that has epochs, was reached once.
    pub fn epoch(&self) -> Option<Epoch> {
        self.known_epoch().get()
    }

    /// Begins a new epoch after `from`, and returns the present one: that of another node, if one
    /// was quicker, or `from` itself if `reason` is a fallen head and one was believed less than
    /// a minute ago, since an edge that lies must not make everybody reload again and again.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin_epoch(&self, from: Epoch, reason: Reason) -> Result<Epoch> {
        let mut conn = self.read().await?;
        if let Some(newest) = newest(&mut conn).await?
            && newest.epoch == from
        {
            insert(&mut conn, newest.number + 1, reason).await?;
        }
        self.known_epoch().look(&mut conn).await
    }
}

/// The present epoch; begins one where the newest row does not fit.
async fn present(conn: &mut PgConnection) -> Result<Epoch> {
    for _ in 0..TRIES {
        match newest(conn).await? {
            None => insert(conn, 1, Reason::First).await?,
            Some(Newest { epoch, reason: None, .. }) => return Ok(epoch),
            Some(Newest { number, reason: Some(reason), .. }) => {
                insert(conn, number + 1, reason).await?;
            }
        }
    }
    Err(Error::Bug(format!("no epoch after {TRIES} attempts")))
}

/// The newest recorded epoch, and why a new one must begin if it is not of this cluster and timeline.
async fn newest(conn: &mut PgConnection) -> Result<Option<Newest>> {
    let row = sqlx::query!(
        r#"select pg_is_in_recovery() as "is_standby!",
                  e.number as "number?", e.epoch as "epoch?",
                  e.system_identifier = s.system_identifier as "is_same_cluster?",
                  case when not pg_is_in_recovery() then
                      e.timeline = ('x0' || left(pg_walfile_name(pg_current_wal_lsn()), 8))
                                       ::bit(36)::bigint
                  end as "is_same_timeline?"
           from pg_control_system() s
           left join lateral (
               select number, epoch, system_identifier, timeline
               from epochs order by number desc limit 1
           ) e on true"#,
    )
    .fetch_one(conn)
    .await?;
    if row.is_standby {
        let error = sqlx::Error::Protocol("the server is a standby".to_owned());
        return Err(Error::Unavailable(error));
    }
    let (Some(number), Some(epoch)) = (row.number, row.epoch) else { return Ok(None) };
    let reason = match (row.is_same_cluster, row.is_same_timeline) {
        (Some(true), Some(true)) => None,
        (Some(true), _) => Some(Reason::Promoted),
        _ => Some(Reason::Restored),
    };
    let epoch = Epoch::parse(&epoch).ok_or_else(|| Error::corrupt("epochs", "epoch", &epoch))?;
    Ok(Some(Newest { number, epoch, reason }))
}

/// Adds an epoch, unless another node has added that number.
async fn insert(conn: &mut PgConnection, number: i64, reason: Reason) -> Result<()> {
    let added = sqlx::query_scalar!(
        r#"insert into epochs (number, epoch, system_identifier, timeline, reason, created_at)
           select $1, left(replace(gen_random_uuid()::text, '-', ''), 16), system_identifier,
                  ('x0' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(36)::bigint,
                  $2, clock_timestamp()
           from pg_control_system()
           where $2 <> 'head_fell' or not exists (
               select from epochs
               where reason = 'head_fell' and created_at > clock_timestamp() - interval '1 minute')
           on conflict (number) do nothing
           returning epoch"#,
        number,
        reason.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    match (added, reason) {
        (Some(epoch), Reason::First) => {
            tracing::info!(epoch, "first epoch of this database: {epoch}");
        }
        (Some(epoch), _) => tracing::warn!(
            epoch,
            reason = reason.as_str(),
            "new epoch {epoch} ({}): acknowledged events may have been lost, clients reload",
            reason.as_str()
        ),
        (None, _) => {}
    }
    Ok(())
}
