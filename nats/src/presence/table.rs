//! The users of each edge, as heartbeats say. No I/O and no clock of its own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::UserId;
use tokio::time::Instant;

use super::{EDGES_MAX, SILENCE_MAX, USERS_MAX, is_edge_id};
use crate::rpc::{Heartbeat, PresenceUpdate};

/// A process that has not looked for silent edges for this long was stopped itself: what they sent
/// meanwhile may not have been read yet.
const STOPPED_AFTER: Duration = Duration::from_secs(5);

/// What a heartbeat changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Users who are no longer on the edge. Apply these before `online`.
    pub offline: Vec<UserId>,
    /// Users who are on the edge now and were not before.
    pub online: Vec<UserId>,
    /// A heartbeat was lost, or the edge is new: its full list must be asked for.
    pub needs_full_list: bool,
}

/// An edge that was silent for too long.
#[derive(Debug)]
pub struct RemovedEdge {
    /// Its id.
    pub edge: String,
    /// The users who were online there.
    pub users: HashSet<UserId>,
}

/// The users of each edge. A user may be on several.
#[derive(Debug, Default)]
pub struct EdgeTable {
    edges: HashMap<String, EdgeUsers>,
    /// Users on all edges together, those of unfinished full lists included.
    size: usize,
    looked_at: Option<Instant>,
    /// Whether an edge was ignored since the last one left.
    has_ignored_edge: bool,
}

#[derive(Debug)]
struct EdgeUsers {
    /// Of the last heartbeat; they are numbered from 1.
    number: u64,
    users: HashSet<UserId>,
    heard_at: Instant,
    /// Whether `users` are all users of the edge.
    is_complete: bool,
    /// Whether users were ignored since the last full list, because the table is full.
    is_cut: bool,
    partial: Option<PartialList>,
}

/// A full list that comes in several heartbeats.
#[derive(Debug)]
struct PartialList {
    next_part: u32,
    users: HashSet<UserId>,
    is_cut: bool,
}

/// One heartbeat of a full list.
struct Part {
    number: u32,
    count: u32,
    online: Vec<UserId>,
    /// Whether no heartbeat was lost since the one before.
    is_next: bool,
}

impl EdgeTable {
    /// Applies a heartbeat. One with an unusable edge id changes nothing.
    pub fn apply(&mut self, heartbeat: Heartbeat, now: Instant) -> Applied {
        let Heartbeat { edge: id, number, update } = heartbeat;
        if matches!(update, PresenceUpdate::Leaving) {
            return Applied {
                offline: self.remove(&id).into_iter().collect(),
                ..Applied::default()
            };
        }
        let is_known = self.edges.contains_key(&id);
        if !is_known && !is_edge_id(&id) {
            return Applied::default();
        }
        if !is_known && self.edges.len() >= EDGES_MAX {
            self.has_ignored_edge = true;
            return Applied::default();
        }
        let room = USERS_MAX.saturating_sub(self.size);
        let edge = self.edges.entry(id).or_insert_with(|| EdgeUsers::new(now));
        let size = edge.size();
        let applied = edge.apply(number, update, now, room);
        self.size = self.size + edge.size() - size;
        applied
    }

    /// Removes the edges that were silent for longer than [`SILENCE_MAX`].
    pub fn remove_silent(&mut self, now: Instant) -> Vec<RemovedEdge> {
        let looked_at = self.looked_at.replace(now);
        if looked_at.is_some_and(|at| now.duration_since(at) > STOPPED_AFTER) {
            self.forgive_silence(now);
        }
        let is_silent =
            |edge: &EdgeUsers| now.saturating_duration_since(edge.heard_at) > SILENCE_MAX;
        let silent = self.edges.iter().filter(|(_, edge)| is_silent(edge));
        let silent: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        silent.into_iter().map(|id| RemovedEdge { users: self.remove(&id), edge: id }).collect()
    }

    /// Counts the silence of every edge from now on: this process was not connected.
    pub fn forgive_silence(&mut self, now: Instant) {
        self.edges.values_mut().for_each(|edge| edge.heard_at = now);
    }

    /// Takes every list for incomplete until the edge has sent it again: heartbeats were missed.
    pub fn expect_full_lists(&mut self) {
        self.edges.values_mut().for_each(|edge| edge.is_complete = false);
    }

    /// Whether the list of every edge in the table is complete, as far as the bounds allow.
    pub fn is_complete(&self) -> bool {
        self.edges.values().all(|edge| edge.is_complete)
    }

    /// Whether users or edges were ignored because a bound was reached.
    pub fn is_over_bound(&self) -> bool {
        self.has_ignored_edge || self.edges.values().any(|edge| edge.is_cut)
    }

    /// Whether a user is on any edge.
    pub fn contains(&self, user: UserId) -> bool {
        self.edges.values().any(|edge| edge.users.contains(&user))
    }

    /// The edges that a user is on.
    pub fn edges_of(&self, user: UserId) -> impl Iterator<Item = &str> {
        let edges = self.edges.iter().filter(move |(_, edge)| edge.users.contains(&user));
        edges.map(|(id, _)| id.as_str())
    }

    /// Edges in the table.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Users, counted on each edge.
    pub fn user_count(&self) -> usize {
        self.edges.values().map(|edge| edge.users.len()).sum()
    }

    /// Time since the last heartbeat of the edge that has been silent longest.
    pub fn longest_silence(&self, now: Instant) -> Duration {
        let silences = self.edges.values().map(|edge| now.saturating_duration_since(edge.heard_at));
        silences.max().unwrap_or_default()
    }

    fn remove(&mut self, id: &str) -> HashSet<UserId> {
        let Some(edge) = self.edges.remove(id) else { return HashSet::new() };
        self.size -= edge.size();
        self.has_ignored_edge = false;
        edge.users
    }
}

impl EdgeUsers {
    fn new(now: Instant) -> Self {
        Self {
            number: 0,
            users: HashSet::new(),
            heard_at: now,
            is_complete: false,
            is_cut: false,
            partial: None,
        }
    }

    fn size(&self) -> usize {
        self.users.len() + self.partial.as_ref().map_or(0, |partial| partial.users.len())
    }

    /// Applies a heartbeat; at most `room` users are added to those there are.
    fn apply(&mut self, number: u64, update: PresenceUpdate, now: Instant, room: usize) -> Applied {
        let is_next = number == self.number + 1;
        let mut applied = Applied::default();
        self.number = number;
        self.heard_at = now;
        if number == 1 {
            // The edge has just started: nobody was there before.
            applied.offline = self.users.drain().collect();
            self.partial = None;
        }
        // A list that is incomplete stays so until the next full one.
        self.is_complete = number == 1 || self.is_complete && is_next;
        match update {
            PresenceUpdate::Full { part, parts, online } => {
                // The list takes the place of the users there are.
                let room = room + self.users.len();
                self.apply_part(
                    Part { number: part, count: parts, online, is_next },
                    room,
                    &mut applied,
                );
            }
            PresenceUpdate::Delta { online, offline } => {
                applied.offline.extend(offline.into_iter().filter(|user| self.users.remove(user)));
                self.is_cut |= online.len() > room;
                let online = online.into_iter().take(room);
                applied.online.extend(online.filter(|&user| self.users.insert(user)));
                applied.needs_full_list = !self.is_complete;
            }
            PresenceUpdate::Unchanged | PresenceUpdate::Leaving => {
                applied.needs_full_list = !self.is_complete;
            }
        }
        applied
    }

    /// Applies a part of a full list, which counts once its last part has come.
    fn apply_part(&mut self, part: Part, room: usize, applied: &mut Applied) {
        let mut partial = match self.partial.take() {
            _ if part.number == 0 => {
                PartialList { next_part: 0, users: HashSet::new(), is_cut: false }
            }
            Some(partial) if partial.next_part == part.number && part.is_next => partial,
            _ => {
                applied.needs_full_list = true;
                return;
            }
        };
        partial.is_cut |= part.online.len() > room;
        partial.users.extend(part.online.into_iter().take(room));
        partial.next_part += 1;
        if partial.next_part < part.count {
            self.partial = Some(partial);
            return;
        }
        let before = std::mem::replace(&mut self.users, partial.users);
        applied.online.extend(self.users.difference(&before));
        applied.offline.extend(before.difference(&self.users));
        self.is_cut = partial.is_cut;
        self.is_complete = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(ids: &[i64]) -> Vec<UserId> {
        ids.iter().copied().map(UserId).collect()
    }

    fn delta(online: &[i64], offline: &[i64]) -> PresenceUpdate {
        PresenceUpdate::Delta { online: users(online), offline: users(offline) }
    }

    fn full(part: u32, parts: u32, online: &[i64]) -> PresenceUpdate {
        PresenceUpdate::Full { part, parts, online: users(online) }
    }

    /// Applies a heartbeat; returns whether the full list is needed.
    fn apply(table: &mut EdgeTable, edge: &str, number: u64, update: PresenceUpdate) -> bool {
        table.apply(Heartbeat { edge: edge.into(), number, update }, Instant::now()).needs_full_list
    }

    fn edges_of(table: &EdgeTable, user: i64) -> Vec<&str> {
        let mut edges: Vec<_> = table.edges_of(UserId(user)).collect();
        edges.sort_unstable();
        edges
    }

    #[test]
    fn a_user_is_online_while_any_edge_says_so() {
        let mut table = EdgeTable::default();
        assert!(!apply(&mut table, "a", 1, delta(&[1, 2], &[])));
        assert!(!apply(&mut table, "b", 1, delta(&[1], &[])));
        assert_eq!(edges_of(&table, 1), ["a", "b"]);
        assert!(!apply(&mut table, "a", 2, delta(&[], &[1])));
        assert_eq!((edges_of(&table, 1), edges_of(&table, 2)), (vec!["b"], vec!["a"]));
        let left = table.apply(
            Heartbeat { edge: "b".into(), number: 2, update: PresenceUpdate::Leaving },
            Instant::now(),
        );
        assert_eq!(left.offline, users(&[1]));
        assert!(!table.contains(UserId(1)) && table.is_complete());
    }

    #[test]
    fn a_lost_heartbeat_is_noticed_and_a_full_list_repairs_it() {
        let mut table = EdgeTable::default();
        assert!(apply(&mut table, "a", 7, PresenceUpdate::Unchanged), "it has been there before");
        assert!(!table.is_complete());
        assert!(apply(&mut table, "a", 8, delta(&[5], &[])), "still");
        assert!(!apply(&mut table, "a", 12, full(0, 2, &[7])));
        assert!(!table.is_complete() && table.contains(UserId(5)));
        assert!(!apply(&mut table, "a", 13, full(1, 2, &[8])));
        assert!(table.is_complete() && !table.contains(UserId(5)));
        assert!(table.contains(UserId(7)) && table.contains(UserId(8)));
        assert!(apply(&mut table, "a", 15, delta(&[9], &[])), "14 was lost");
        assert!(!table.is_complete() && table.contains(UserId(9)));
        assert!(apply(&mut table, "a", 17, full(1, 2, &[3])), "part 0 was lost");
        assert!(!apply(&mut table, "a", 18, full(0, 1, &[7])));
        assert!(table.is_complete());
        assert_eq!(table.user_count(), 1);
    }

    #[test]
    fn an_edge_that_restarts_under_its_id_begins_with_nobody() {
        let mut table = EdgeTable::default();
        apply(&mut table, "a", 1, delta(&[1], &[]));
        assert!(!apply(&mut table, "a", 1, delta(&[2], &[])));
        assert!(table.is_complete() && !table.contains(UserId(1)) && table.contains(UserId(2)));
    }

    #[test]
    fn the_users_of_a_silent_edge_go_but_not_if_we_were_stopped_ourselves() {
        let (mut table, start) = (EdgeTable::default(), Instant::now());
        let beat = Heartbeat { edge: "a".into(), number: 1, update: delta(&[1], &[]) };
        table.apply(beat.clone(), start);
        assert!(table.remove_silent(start + SILENCE_MAX).is_empty());
        let stopped_until = start + SILENCE_MAX * 3;
        assert!(table.remove_silent(stopped_until).is_empty(), "not looked for 20 s");
        let after = |seconds| stopped_until + Duration::from_secs(seconds);
        assert!(table.remove_silent(after(5)).is_empty());
        assert!(table.remove_silent(after(10)).is_empty());
        let removed = table.remove_silent(after(11));
        assert_eq!((removed[0].edge.as_str(), removed[0].users.len()), ("a", 1));
        assert!(!table.contains(UserId(1)));
    }

    #[test]
    fn edges_and_users_are_bounded_and_a_cut_list_is_said() {
        let mut table = EdgeTable::default();
        let beat =
            |number: u64| Heartbeat { edge: "a".into(), number, update: delta(&[1, 2, 3], &[]) };
        table.edges.insert("a".into(), EdgeUsers::new(Instant::now()));
        let edge = table.edges.get_mut("a").unwrap();
        let applied = edge.apply(1, beat(1).update, Instant::now(), 2);
        assert_eq!((applied.online.len(), table.is_over_bound()), (2, true));
        for id in ["", "a.b", "*", "all", "roll", ">"] {
            assert!(!apply(&mut table, id, 1, PresenceUpdate::Unchanged), "{id}");
        }
        assert_eq!(table.edge_count(), 1);
        (0..EDGES_MAX).for_each(|number| {
            apply(&mut table, &format!("edge-{number}"), 1, PresenceUpdate::Unchanged);
        });
        assert_eq!(table.edge_count(), EDGES_MAX);
    }
}
