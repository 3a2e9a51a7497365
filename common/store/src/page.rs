//! A stretch of a list that is ordered by id.

use domain::limits::PAGE_BYTES_MAX;
use futures_util::{Stream, TryStreamExt};

use crate::Result;

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

/// Reads rows until their large parts (`size` bytes each) exceed [`PAGE_BYTES_MAX`]. The row that
/// exceeds it is included, and at least two rows are read if there are two, so that the caller, who
/// cuts the page there, knows that more follows.
pub(crate) async fn fetch_page<T>(
    rows: impl Stream<Item = sqlx::Result<T>>,
    size: impl Fn(&T) -> usize,
) -> Result<Vec<T>> {
    let mut rows = std::pin::pin!(rows);
    let (mut read, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        bytes += size(&row);
        read.push(row);
        if bytes > PAGE_BYTES_MAX && read.len() > 1 {
            break;
        }
    }
    Ok(read)
}
