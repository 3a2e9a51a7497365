//! A transaction, and the events that become true with it.

use domain::{Epoch, LogEvent, OrgId, Seq, Timestamp, UserId};
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Error, Result};

/// An open transaction. Dropping it undoes it; [`Tx::commit`] makes it so and hands out what
/// must now be published.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    committed: Committed,
    /// Given back when the transaction ends.
    permit: Option<OwnedSemaphorePermit>,
    time_passed: i64,
}

/// What became true, in the order in which it was appended.
#[derive(Debug, Default)]
#[must_use = "what was committed must be published"]
pub struct Committed {
    /// Events of rooms.
    pub room_events: Vec<LogEvent>,
    /// Events of organizations.
    pub org_events: Vec<OrgEvent>,
    /// The epoch in which they were appended.
    pub epoch: Option<Epoch>,
}

/// A durable event of an organization.
#[derive(Clone, Debug)]
pub struct OrgEvent {
    /// The organization.
    pub org: OrgId,
    /// Its place in the organization's log.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// The event's type, a word of the contract's webhooks.
    pub kind: String,
    /// Who did it.
    pub user: UserId,
    /// What is known of it: JSON, also in the outbox.
    pub payload: serde_json::Value,
}

impl Tx {
    pub(crate) fn new(
        inner: Transaction<'static, Postgres>,
        epoch: Option<Epoch>,
        time_passed: i64,
    ) -> Self {
        let committed = Committed { epoch, ..Committed::default() };
        Self { inner, committed, permit: None, time_passed }
    }

    /// Holds a permit until the transaction ends, for a bound on transactions at once.
    #[must_use]
    pub fn holding(self, permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// By how many microseconds a test has let time pass: Postgres' clock is taken to be as much
    /// ahead.
    pub(crate) fn time_passed(&self) -> i64 {
        self.time_passed
    }

    /// Lets what follows in this transaction happen `micros` after now by Postgres' clock; before it
    /// where that is negative. Within a room, times rise with `seq` nevertheless.
    pub fn shift_time(&mut self, micros: i64) {
        self.time_passed = micros;
    }

    /// The connection that statements of this transaction run on.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// The epoch that this transaction's events belong to, as the outbox has it.
    pub(crate) fn epoch_text(&self) -> Option<String> {
        self.committed.epoch.map(|epoch| epoch.to_string())
    }

    pub(crate) fn note_room_event(&mut self, event: LogEvent) {
        self.committed.room_events.push(event);
    }

    pub(crate) fn note_org_event(&mut self, event: OrgEvent) {
        self.committed.org_events.push(event);
    }

    /// Commits. After an error nothing can be said of what happened when the connection broke in
    /// the middle: a retry must be idempotent.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn commit(self) -> Result<Committed> {
        let Self { inner, committed, permit: _permit, .. } = self;
        inner.commit().await.map_err(Error::from)?;
        Ok(committed)
    }
}
