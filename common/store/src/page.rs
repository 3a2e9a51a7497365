//! A stretch of a list that is ordered by id.

/// Which ids to read, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Ids greater than this.
    pub after: i64,
    /// Ids less than this.
    pub before: i64,
    /// Whether to read from the greatest id down.
    pub descending: bool,
    /// At most this many.
    pub limit: i64,
}

impl Slice {
    /// The first `limit` ids.
    pub fn first(limit: i64) -> Self {
        Self { after: 0, before: i64::MAX, descending: false, limit }
    }
}
