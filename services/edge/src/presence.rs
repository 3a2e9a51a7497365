//! Who is online, on this edge and on all others.
//!
//! Every edge holds the whole set: a user is online while at least one edge says so. What the
//! others say comes as heartbeats ([`crate::heartbeats`]); what changes goes to the rooms in batches,
//! so that a thousand people who come at once cost each room one look.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use nats::presence::EdgeTable;
use nats::rpc::{Heartbeat, PresenceUpdate};
use parking_lot::Mutex;
use runtime::meter::Counter;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

/// Batches that a room may have in store before it looks at the whole set.
const BATCHES_MAX: usize = 64;
/// Heartbeats of this edge that NATS may not have passed on yet. Of more, the oldest are forgotten:
/// a later one confirms what they said.
const UNCONFIRMED_MAX: usize = 64;
/// How long a new socket waits until NATS has passed on that its user is online.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether each of these users is online now.
pub(crate) type Changes = HashMap<UserId, bool>;

/// The place of a change in the order in which this edge tells the other nodes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Announcement(u64);

/// What the other nodes have to be told.
#[derive(Debug)]
pub(crate) struct Untold {
    /// Who came and who went; `None` if nobody did.
    pub changes: Option<PresenceUpdate>,
    /// The last of these changes.
    pub upto: Announcement,
}

/// A heartbeat of this edge that has not come back yet, and the last change that it tells of.
#[derive(Clone, Copy, Debug)]
struct Unconfirmed {
    number: u64,
    upto: Announcement,
}

#[derive(Debug, Default)]
struct State {
    /// On how many edges each user is.
    online: HashMap<UserId, u32>,
    /// Not told to the rooms yet.
    changed: Changes,
    /// Who came to or went from this edge, not told to the other nodes yet.
    untold: Changes,
    /// The last change of this edge.
    last: Announcement,
    unconfirmed: VecDeque<Unconfirmed>,
    others: EdgeTable,
}

/// The set.
#[derive(Debug)]
pub(crate) struct Presence {
    edge: String,
    state: Mutex<State>,
    batches: broadcast::Sender<Arc<Changes>>,
    /// The last change that NATS has passed on.
    announced: watch::Sender<Announcement>,
    untold: Notify,
    changed: Notify,
}

impl Presence {
    /// Nobody is online; `edge` is this edge's name.
    pub(crate) fn new(edge: String) -> Self {
        Self {
            edge,
            state: Mutex::default(),
            batches: broadcast::Sender::new(BATCHES_MAX),
            announced: watch::Sender::default(),
            untold: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// This edge's name.
    pub(crate) fn edge(&self) -> &str {
        &self.edge
    }

    /// A user's first socket on this edge was opened, or their last one closed.
    pub(crate) fn note(&self, user: UserId, is_here: bool) -> Announcement {
        let mut state = self.state.lock();
        let announcement = Announcement(state.last.0 + 1);
        state.last = announcement;
        if is_here {
            state.raise(user);
        } else {
            state.lower(user);
        }
        state.untold.insert(user, is_here);
        drop(state);
        self.untold.notify_one();
        self.changed.notify_one();
        announcement
    }

    /// Waits until NATS has passed on a change to all nodes, for at most [`ANNOUNCE_TIMEOUT`]. A node
    /// that has not read it yet still sees the user as before.
    pub(crate) async fn announced(&self, announcement: Announcement) {
        let mut announced = self.announced.subscribe();
        let waiting = announced.wait_for(|&upto| upto >= announcement);
        if tokio::time::timeout(ANNOUNCE_TIMEOUT, waiting).await.is_err() {
            Counter::AnnouncementsLate.add(1);
        }
    }

    /// A heartbeat has gone out that completes the news of everything up to a change.
    pub(crate) fn sent(&self, number: u64, upto: Announcement) {
        let mut state = self.state.lock();
        if state.unconfirmed.len() >= UNCONFIRMED_MAX {
            state.unconfirmed.pop_front();
        }
        state.unconfirmed.push_back(Unconfirmed { number, upto });
    }

    /// What was sent before may not have reached NATS: it confirms nothing.
    pub(crate) fn forget_sent(&self) {
        self.state.lock().unconfirmed.clear();
    }

    /// A heartbeat of this edge came back: NATS has passed it on to everyone.
    fn confirm(&self, number: u64) {
        let mut state = self.state.lock();
        while let Some(first) = state.unconfirmed.front().copied() {
            if first.number > number {
                break;
            }
            state.unconfirmed.pop_front();
            self.announced.send_if_modified(|upto| {
                let is_news = *upto < first.upto;
                *upto = (*upto).max(first.upto);
                is_news
            });
        }
    }

    /// Whether a user is online anywhere.
    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.state.lock().online.contains_key(&user)
    }

    /// Those of the users who are online.
    pub(crate) fn online_among(&self, users: &HashSet<UserId>) -> HashSet<UserId> {
        let state = self.state.lock();
        if users.len() < state.online.len() {
            users.iter().filter(|user| state.online.contains_key(user)).copied().collect()
        } else {
            state.online.keys().filter(|user| users.contains(user)).copied().collect()
        }
    }

    /// How many users are online.
    pub(crate) fn online_count(&self) -> usize {
        self.state.lock().online.len()
    }

    /// Follows the changes, as batches.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Changes>> {
        self.batches.subscribe()
    }

    /// Resolves when something may have changed. Cancel-safe.
    pub(crate) async fn has_changed(&self) {
        self.changed.notified().await;
    }

    /// Tells the rooms what changed since the last time.
    pub(crate) fn tell_rooms(&self) {
        let changed = std::mem::take(&mut self.state.lock().changed);
        if !changed.is_empty() {
            let _ = self.batches.send(Arc::new(changed));
        }
    }

    /// Resolves when there is something to tell the other nodes. Cancel-safe.
    pub(crate) async fn has_untold(&self) {
        self.untold.notified().await;
    }

    /// Takes what the other nodes do not know yet.
    pub(crate) fn take_untold(&self) -> Untold {
        let mut state = self.state.lock();
        let (untold, upto) = (std::mem::take(&mut state.untold), state.last);
        drop(state);
        if untold.is_empty() {
            return Untold { changes: None, upto };
        }
        let side = |is_here: bool| {
            untold.iter().filter(|&(_, &here)| here == is_here).map(|(&user, _)| user).collect()
        };
        let changes = PresenceUpdate::Delta { online: side(true), offline: side(false) };
        Untold { changes: Some(changes), upto }
    }

    /// Applies a heartbeat of any edge, this one included. Returns whether full lists must be asked
    /// for, because a heartbeat was lost or the edge is new.
    pub(crate) fn apply(&self, heartbeat: Heartbeat, now: Instant) -> bool {
        if heartbeat.edge == self.edge {
            self.confirm(heartbeat.number);
            return false;
        }
        let mut state = self.state.lock();
        let applied = state.others.apply(heartbeat, now);
        applied.offline.into_iter().for_each(|user| state.lower(user));
        applied.online.into_iter().for_each(|user| state.raise(user));
        drop(state);
        self.changed.notify_one();
        applied.needs_full_list
    }

    /// Drops the edges that were silent for too long.
    pub(crate) fn drop_silent(&self, now: Instant) {
        let mut state = self.state.lock();
        for removed in state.others.remove_silent(now) {
            let (edge, users) = (removed.edge, removed.users);
            tracing::warn!(edge, "edge {edge} is silent: its users are offline");
            for user in users {
                state.lower(user);
            }
            self.changed.notify_one();
        }
    }

    /// We heard nothing for a while because we were not connected: nobody is to blame.
    pub(crate) fn forgive_silence(&self, now: Instant) {
        self.state.lock().others.forgive_silence(now);
    }
}

impl State {
    fn raise(&mut self, user: UserId) {
        let edges = self.online.entry(user).or_insert(0);
        *edges += 1;
        if *edges == 1 {
            self.changed.insert(user, true);
        }
    }

    fn lower(&mut self, user: UserId) {
        let Some(edges) = self.online.get_mut(&user) else { return };
        *edges -= 1;
        if *edges == 0 {
            self.online.remove(&user);
            self.changed.insert(user, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use nats::presence::SILENCE_MAX;

    use super::*;

    fn beat(edge: &str, number: u64, update: PresenceUpdate) -> Heartbeat {
        Heartbeat { edge: edge.into(), number, update }
    }

    fn delta(online: &[i64], offline: &[i64]) -> PresenceUpdate {
        let users = |ids: &[i64]| ids.iter().copied().map(UserId).collect();
        PresenceUpdate::Delta { online: users(online), offline: users(offline) }
    }

    #[test]
    fn a_user_is_online_while_any_edge_says_so() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        presence.note(UserId(1), true);
        presence.apply(beat("other", 1, delta(&[1, 2], &[])), now);
        presence.note(UserId(1), false);
        assert!(presence.is_online(UserId(1)));
        assert!(!presence.apply(beat("other", 2, delta(&[], &[1])), now));
        assert!(!presence.is_online(UserId(1)));
        assert!(presence.is_online(UserId(2)));
    }

    #[test]
    fn the_users_of_an_edge_go_with_it() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        presence.apply(beat("other", 1, delta(&[1], &[])), now);
        presence.drop_silent(now + SILENCE_MAX);
        assert!(presence.is_online(UserId(1)));
        presence.drop_silent(now + SILENCE_MAX + Duration::from_millis(1));
        assert!(!presence.is_online(UserId(1)));
        assert!(presence.apply(beat("other", 2, delta(&[1], &[])), now));
        presence.apply(beat("other", 3, PresenceUpdate::Leaving), now);
        assert!(!presence.is_online(UserId(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_announced_once_a_heartbeat_that_tells_of_it_has_come_back() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        let first = presence.note(UserId(1), true);
        presence.sent(1, presence.take_untold().upto);
        let second = presence.note(UserId(2), true);
        presence.apply(beat("other", 1, PresenceUpdate::Unchanged), now);
        assert!(*presence.announced.borrow() < first, "only its own heartbeats count");
        presence.apply(beat("me", 1, PresenceUpdate::Unchanged), now);
        presence.announced(first).await;
        assert!(*presence.announced.borrow() < second);
        presence.sent(2, presence.take_untold().upto);
        presence.apply(beat("me", 2, PresenceUpdate::Unchanged), now);
        assert_eq!(now.elapsed(), Duration::ZERO, "nobody waited for the deadline");
        presence.announced(second).await;
        let lost = presence.note(UserId(2), false);
        presence.sent(3, presence.take_untold().upto);
        presence.forget_sent();
        presence.apply(beat("me", 4, PresenceUpdate::Unchanged), now);
        presence.announced(lost).await;
        assert_eq!(now.elapsed(), ANNOUNCE_TIMEOUT);
    }
}
