//! Who of a room's members is online, and what of it is news to the room.

use std::collections::HashSet;
use std::time::Duration;

use contract::frames::{PresenceStatus, ServerFrame};
use domain::{RoomId, UserId};
use tokio::time::Instant;

use crate::frame::Text;
use crate::presence::{Changes, Presence};

/// More changes at once than this are told as one list.
const CHANGES_MAX: usize = 50;
/// A room with more people online than this is large.
const LARGE: usize = 500;
/// A large room gets the whole list at most this often.
const LARGE_LIST_EVERY: Duration = Duration::from_secs(5);

/// The roster of one room.
#[derive(Debug)]
pub(crate) struct Roster {
    room: RoomId,
    /// `None` until they have been asked for.
    members: Option<HashSet<UserId>>,
    online: HashSet<UserId>,
    /// Who joined or left while the members are being asked for.
    moved: Option<Vec<(UserId, bool)>>,
    /// The list as it was last written out.
    list: Option<Text>,
    listed_at: Option<Instant>,
    list_due: Option<Instant>,
}

impl Roster {
    /// A roster of which nothing is known.
    pub(crate) fn new(room: RoomId) -> Self {
        Self {
            room,
            members: None,
            online: HashSet::new(),
            moved: None,
            list: None,
            listed_at: None,
            list_due: None,
        }
    }

    /// Whether the members are known.
    pub(crate) fn is_loaded(&self) -> bool {
        self.members.is_some()
    }

    /// The members are not known any more.
    pub(crate) fn unload(&mut self) {
        *self = Self::new(self.room);
    }

    /// The members have been asked for: answers who is news.
    pub(crate) fn load(&mut self, members: HashSet<UserId>, presence: &Presence) -> Vec<Text> {
        let is_first = self.members.is_none();
        let mut members = members;
        for (user, is_member) in self.moved.take().into_iter().flatten() {
            if is_member {
                members.insert(user);
            } else {
                members.remove(&user);
            }
        }
        self.members = Some(members);
        let news = self.refresh(presence);
        if is_first { Vec::new() } else { news }
    }

    /// Compares with the whole set.
    pub(crate) fn refresh(&mut self, presence: &Presence) -> Vec<Text> {
        let Some(members) = &self.members else { return Vec::new() };
        let online = presence.online_among(members);
        let came = online.difference(&self.online).map(|&user| (user, true));
        let went = self.online.difference(&online).map(|&user| (user, false));
        let changes: Vec<_> = came.chain(went).collect();
        self.online = online;
        self.news(&changes)
    }

    /// Users came online or went offline.
    pub(crate) fn change(&mut self, changes: &Changes) -> Vec<Text> {
        let Some(members) = &self.members else { return Vec::new() };
        let mut news = Vec::new();
        if members.len() < changes.len() {
            news.extend(members.iter().filter_map(|&u| Some((u, *changes.get(&u)?))));
        } else {
            news.extend(
                changes.iter().filter(|(u, _)| members.contains(u)).map(|(&u, &on)| (u, on)),
            );
        }
        news.retain(
            |&(user, is_online)| {
                if is_online { self.online.insert(user) } else { self.online.remove(&user) }
            },
        );
        self.news(&news)
    }

    /// A user joined or left the room.
    pub(crate) fn moved(
        &mut self,
        user: UserId,
        is_member: bool,
        presence: &Presence,
    ) -> Vec<Text> {
        if let Some(moved) = &mut self.moved {
            moved.push((user, is_member));
        }
        let Some(members) = &mut self.members else { return Vec::new() };
        if !is_member {
            members.remove(&user);
            if self.online.remove(&user) {
                self.list = None;
            }
            return Vec::new();
        }
        members.insert(user);
        self.greet(user, presence)
    }

    /// From now on, who joins or leaves is remembered until [`Self::load`].
    pub(crate) fn begin_load(&mut self) {
        self.moved = Some(Vec::new());
    }

    /// A user subscribed: if the room does not know yet that they are online, it is told now.
    pub(crate) fn greet(&mut self, user: UserId, presence: &Presence) -> Vec<Text> {
        let is_member = self.members.as_ref().is_some_and(|members| members.contains(&user));
        if is_member && presence.is_online(user) && self.online.insert(user) {
            return self.news(&[(user, true)]);
        }
        Vec::new()
    }

    /// The list of who is online.
    pub(crate) fn list(&mut self) -> Text {
        let (room, online) = (self.room, &self.online);
        let list = self.list.get_or_insert_with(|| {
            let mut online: Vec<UserId> = online.iter().copied().collect();
            online.sort_unstable();
            ServerFrame::PresenceSnapshot { room, online: &online }.text().into()
        });
        list.clone()
    }

    /// When a list that was held back is due.
    pub(crate) fn list_due(&self) -> Option<Instant> {
        self.list_due
    }

    /// The list that was held back, once it is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Text> {
        if self.list_due? > now {
            return None;
        }
        self.list_due = None;
        self.listed_at = Some(now);
        Some(self.list())
    }

    fn news(&mut self, changes: &[(UserId, bool)]) -> Vec<Text> {
        if changes.is_empty() {
            return Vec::new();
        }
        self.list = None;
        if changes.len() <= CHANGES_MAX {
            return changes.iter().map(|&change| self.presence(change)).collect();
        }
        let now = Instant::now();
        let is_large = self.online.len() > LARGE;
        let due = self.listed_at.map_or(now, |listed| listed + LARGE_LIST_EVERY);
        if is_large && due > now {
            self.list_due = Some(due);
            return Vec::new();
        }
        self.list_due = None;
        self.listed_at = Some(now);
        vec![self.list()]
    }

    fn presence(&self, (user, is_online): (UserId, bool)) -> Text {
        let status = if is_online { PresenceStatus::Online } else { PresenceStatus::Offline };
        ServerFrame::Presence { room: self.room, user_id: user, status }.text().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(ids: impl IntoIterator<Item = i64>) -> HashSet<UserId> {
        ids.into_iter().map(UserId).collect()
    }

    fn roster(members: impl IntoIterator<Item = i64>, presence: &Presence) -> Roster {
        let mut roster = Roster::new(RoomId(1));
        assert!(roster.load(users(members), presence).is_empty());
        roster
    }

    #[test]
    fn only_members_are_news_and_only_once() {
        let presence = Presence::new("me".into());
        presence.note(UserId(1), true);
        let mut roster = roster([1, 2], &presence);
        let changes = Changes::from([(UserId(1), true), (UserId(2), true), (UserId(3), true)]);
        let news = roster.change(&changes);
        assert_eq!(news.len(), 1);
        assert!(news[0].contains(r#""user_id":2,"status":"online""#), "{}", news[0]);
        assert!(roster.list().contains(r#""online":[1,2]"#));
        assert!(roster.change(&changes).is_empty());
    }

    #[test]
    fn many_changes_are_one_list_and_a_large_room_waits_for_the_next() {
        let presence = Presence::new("me".into());
        let mut roster = roster(1..=2_000, &presence);
        let online = |ids: std::ops::RangeInclusive<i64>| {
            ids.map(|id| (UserId(id), true)).collect::<Changes>()
        };
        assert_eq!(roster.change(&online(1..=50)).len(), 50);
        assert_eq!(roster.change(&online(51..=1_000)).len(), 1);
        assert!(roster.change(&online(1_001..=2_000)).is_empty());
        let due = roster.list_due().expect("a list is due");
        assert!(roster.take_due(due).expect("due").contains("2000"));
        assert_eq!(roster.list_due(), None);
    }

    #[test]
    fn who_moved_while_the_members_were_asked_for_is_not_lost() {
        let presence = Presence::new("me".into());
        presence.note(UserId(1), true);
        presence.note(UserId(2), true);
        let mut roster = Roster::new(RoomId(1));
        roster.begin_load();
        roster.moved(UserId(1), true, &presence);
        roster.moved(UserId(2), false, &presence);
        roster.load(users([2, 3]), &presence);
        assert!(roster.list().contains(r#""online":[1]"#));
    }
}
