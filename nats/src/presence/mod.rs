//! Which users are online, and on which edges.
//!
//! Every edge broadcasts heartbeats: what changed, at once, and its full list now and then and when
//! asked (a *full sync*). A [`Directory`] listens to them by one subscription and keeps an
//! [`EdgeTable`], so "is this person online" is a lookup in memory, and a push is published to the
//! edges that hold sockets of its user. api, relay and notifier each have a directory; an edge keeps
//! a table of the other edges.
//!
//! **Invariant:** a directory is *known* only while it has the full list of every edge that it hears.
//! While it is not (at most [`KNOWN_TIMEOUT`] after the start, unless an edge or NATS is
//! unavailable), callers that decide something wait, and pushes go to all edges. See
//! `docs/decisions/0022-presence-directory.md` for what may fail and how.

mod directory;
mod table;

use std::time::Duration;

pub use directory::Directory;
pub use table::{Applied, EdgeTable, RemovedEdge};

/// An edge sends a heartbeat at least this often.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);
/// An edge that was silent for longer than this is gone, and its users are offline there.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Full lists are requested, and sent, at most this often.
pub const FULL_SYNC_EVERY: Duration = Duration::from_millis(500);
/// How long a caller waits for a directory that is not known yet.
pub const KNOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Users in one heartbeat: some 500 KB, half of what NATS carries in one message.
pub const HEARTBEAT_USERS_MAX: usize = 50_000;
/// Edges in one table; further ones are ignored.
pub const EDGES_MAX: usize = 256;
/// Users in one table, counted on each edge: at most 40 MB, and as much again while a full list is
/// applied. Further ones are ignored, and pushes go to all edges.
pub const USERS_MAX: usize = 2_000_000;
/// Characters of an edge's id.
pub const EDGE_ID_CHARS_MAX: usize = 128;

/// Ids that no edge may have, because their subjects have a meaning of their own.
const RESERVED_IDS: [&str; 2] = ["all", "roll"];

/// Whether a text may be an edge's id, which is a part of subjects: letters, digits, `_` and `-`.
pub fn is_edge_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=EDGE_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(is_plain)
        && !RESERVED_IDS.contains(&id)
}
