//! How long messages are kept.

use std::collections::BTreeMap;

use crate::ids::PurgeId;
use crate::timestamp::Timestamp;

/// The most days that can be set.
pub const RETENTION_DAYS_MAX: i32 = 36_500;

/// How long an organization's messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days that its ADMINs have set.
    pub days: Option<i32>,
    /// Days that the operator has configured; `None` keeps all.
    pub configured_days: Option<i32>,
    /// Whether nothing is removed for now.
    pub legal_hold: bool,
}

impl Retention {
    /// The days after which messages expire, a hold aside; `None` keeps all.
    pub fn effective_days(&self) -> Option<i32> {
        [self.days, self.configured_days].into_iter().flatten().min()
    }

    /// The most days that its ADMINs can set.
    pub fn days_max(&self) -> i32 {
        self.configured_days.unwrap_or(RETENTION_DAYS_MAX)
    }
}

/// What changes of it; `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionChange {
    /// Days, or null for those that are configured.
    pub days: Option<Option<i32>>,
    /// Whether nothing is removed for now.
    pub legal_hold: Option<bool>,
}

/// A record of what was removed of an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Purge {
    /// Its id.
    pub id: PurgeId,
    /// When the first batch was removed.
    pub started_at: Timestamp,
    /// When the last was.
    pub ended_at: Timestamp,
    /// How many of each kind.
    pub removed: BTreeMap<String, i64>,
}

/// How many of each kind.
pub type Counts = BTreeMap<&'static str, i64>;
