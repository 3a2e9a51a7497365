//! Who is online, on this edge and on all others.
//!
//! Every edge holds the whole set: a user is online while at least one edge says so. What the
//! others say comes as heartbeats ([`crate::beats`]); what changes goes to the rooms in batches,
//! so that a thousand people who come at once cost each room one look.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use nats::rpc::{Beat, Roster};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

/// An edge that was silent for this long is gone, and its users with it.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Batches that a room may have in store before it looks at the whole set.
const BATCHES_MAX: usize = 64;

/// Whether each of these users is online now.
pub(crate) type Changes = HashMap<UserId, bool>;

/// What a heartbeat calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    Fine,
    /// A beat was lost: have everyone say who is there.
    Hole,
}

#[derive(Debug)]
struct OtherEdge {
    number: u64,
    users: HashSet<UserId>,
    heard: Instant,
    /// Parts of a whole roster that have come, and their users.
    partial: Option<(u32, HashSet<UserId>)>,
}

#[derive(Debug, Default)]
struct State {
    /// On how many edges each user is.
    online: HashMap<UserId, u32>,
    /// Not told to the rooms yet.
    changed: Changes,
    /// Who came to or went from this edge, not told to the other edges yet.
    untold: Changes,
    others: HashMap<String, OtherEdge>,
}

/// The set.
#[derive(Debug)]
pub(crate) struct Presence {
    edge: String,
    state: Mutex<State>,
    batches: broadcast::Sender<Arc<Changes>>,
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
            untold: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// This edge's name.
    pub(crate) fn edge(&self) -> &str {
        &self.edge
    }

    /// A user's first socket on this edge was opened, or their last one closed.
    pub(crate) fn note(&self, user: UserId, is_here: bool) {
        let mut state = self.state.lock();
        if is_here {
            state.raise(user);
        } else {
            state.lower(user);
        }
        state.untold.insert(user, is_here);
        drop(state);
        self.untold.notify_one();
        self.changed.notify_one();
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

    /// Resolves when there is something to tell the other edges. Cancel-safe.
    pub(crate) async fn has_untold(&self) {
        self.untold.notified().await;
    }

    /// Takes what the other edges do not know yet.
    pub(crate) fn take_untold(&self) -> Option<Roster> {
        let untold = std::mem::take(&mut self.state.lock().untold);
        if untold.is_empty() {
            return None;
        }
        let side = |is_here: bool| {
            untold.iter().filter(|&(_, &here)| here == is_here).map(|(&user, _)| user).collect()
        };
        Some(Roster::Delta { online: side(true), offline: side(false) })
    }

    /// Takes in what another edge says.
    pub(crate) fn hear(&self, beat: Beat, now: Instant) -> Heard {
        self.changed.notify_one();
        if beat.edge == self.edge {
            return Heard::Fine;
        }
        let mut state = self.state.lock();
        if matches!(beat.roster, Roster::Gone) {
            state.drop_edge(&beat.edge);
            return Heard::Fine;
        }
        let is_new = !state.others.contains_key(&beat.edge);
        let other = state.others.entry(beat.edge.clone()).or_insert_with(|| OtherEdge {
            number: beat.number,
            users: HashSet::new(),
            heard: now,
            partial: None,
        });
        let is_next = beat.number == other.number + 1;
        other.number = beat.number;
        other.heard = now;
        match beat.roster {
            Roster::Whole { part, parts, online } => {
                return state.take_part(&beat.edge, (part, parts), online, is_next);
            }
            Roster::Delta { online, offline } => {
                let came: Vec<_> = online.into_iter().filter(|&u| other.users.insert(u)).collect();
                let went: Vec<_> = offline.into_iter().filter(|u| other.users.remove(u)).collect();
                for user in came {
                    state.raise(user);
                }
                for user in went {
                    state.lower(user);
                }
            }
            Roster::Same | Roster::Gone => {}
        }
        if is_new || !is_next { Heard::Hole } else { Heard::Fine }
    }

    /// Drops the edges that were silent for too long.
    pub(crate) fn drop_silent(&self, now: Instant) {
        let mut state = self.state.lock();
        let silent: Vec<String> = state
            .others
            .iter()
            .filter(|(_, other)| now.duration_since(other.heard) > SILENCE_MAX)
            .map(|(edge, _)| edge.clone())
            .collect();
        for edge in silent {
            tracing::warn!(edge, "edge {edge} is silent: its users are offline");
            state.drop_edge(&edge);
            self.changed.notify_one();
        }
    }

    /// We heard nothing for a while because we were not connected: nobody is to blame.
    pub(crate) fn forgive_silence(&self, now: Instant) {
        for other in self.state.lock().others.values_mut() {
            other.heard = now;
        }
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

    fn drop_edge(&mut self, edge: &str) {
        for user in self.others.remove(edge).into_iter().flat_map(|other| other.users) {
            self.lower(user);
        }
    }

    fn take_part(
        &mut self,
        edge: &str,
        (part, parts): (u32, u32),
        online: Vec<UserId>,
        is_next: bool,
    ) -> Heard {
        let Some(other) = self.others.get_mut(edge) else { return Heard::Fine };
        let mut users = match other.partial.take() {
            _ if part == 0 => HashSet::new(),
            Some((next, users)) if next == part && is_next => users,
            _ => return Heard::Hole,
        };
        users.extend(online);
        if part + 1 < parts {
            other.partial = Some((part + 1, users));
            return Heard::Fine;
        }
        let before = std::mem::replace(&mut other.users, users.clone());
        users.difference(&before).for_each(|&user| self.raise(user));
        before.difference(&users).for_each(|&user| self.lower(user));
        Heard::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(edge: &str, number: u64, roster: Roster) -> Beat {
        Beat { edge: edge.into(), number, roster }
    }

    fn delta(online: &[i64], offline: &[i64]) -> Roster {
        let users = |ids: &[i64]| ids.iter().copied().map(UserId).collect();
        Roster::Delta { online: users(online), offline: users(offline) }
    }

    fn whole(part: u32, parts: u32, online: &[i64]) -> Roster {
        Roster::Whole { part, parts, online: online.iter().copied().map(UserId).collect() }
    }

    #[test]
    fn a_user_is_online_while_any_edge_says_so() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        presence.note(UserId(1), true);
        presence.hear(beat("other", 1, delta(&[1, 2], &[])), now);
        presence.note(UserId(1), false);
        assert!(presence.is_online(UserId(1)));
        assert_eq!(presence.hear(beat("other", 2, delta(&[], &[1])), now), Heard::Fine);
        assert!(!presence.is_online(UserId(1)));
        assert!(presence.is_online(UserId(2)));
    }

    #[test]
    fn a_lost_beat_is_a_hole_and_a_whole_roster_closes_it() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        assert_eq!(presence.hear(beat("other", 1, Roster::Same), now), Heard::Hole);
        assert_eq!(presence.hear(beat("other", 3, delta(&[5], &[])), now), Heard::Hole);
        assert_eq!(presence.hear(beat("other", 9, whole(0, 2, &[7])), now), Heard::Fine);
        assert!(presence.is_online(UserId(5)));
        assert_eq!(presence.hear(beat("other", 10, whole(1, 2, &[8])), now), Heard::Fine);
        assert!(!presence.is_online(UserId(5)));
        assert!(presence.is_online(UserId(7)) && presence.is_online(UserId(8)));
        assert_eq!(presence.hear(beat("other", 12, whole(1, 2, &[9])), now), Heard::Hole);
        assert!(!presence.is_online(UserId(9)));
    }

    #[test]
    fn the_users_of_a_silent_edge_go() {
        let (presence, now) = (Presence::new("me".into()), Instant::now());
        presence.hear(beat("other", 1, delta(&[1], &[])), now);
        presence.drop_silent(now + SILENCE_MAX);
        assert!(presence.is_online(UserId(1)));
        presence.drop_silent(now + SILENCE_MAX + Duration::from_millis(1));
        assert!(!presence.is_online(UserId(1)));
        presence.hear(beat("other", 2, delta(&[1], &[])), now);
        presence.hear(beat("other", 3, Roster::Gone), now);
        assert!(!presence.is_online(UserId(1)));
    }
}
