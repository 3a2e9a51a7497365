//! Who is here: the rooms that this edge follows, and its users with their sockets.
//!
//! **Invariant:** a user is registered while at least one of their sockets is, and exactly then
//! the edge counts them as online and tells the other nodes so. Changes of one user happen under the
//! lock of their shard, so that coming and going cannot overtake each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use domain::{LoginId, RoomId, UserId};
use parking_lot::Mutex;

use crate::presence::Announcement;
use crate::room::RoomHandle;
use crate::socket::Socket;

/// Independent locks per table.
const SHARDS: usize = 64;
/// Sockets that one user may have here at once: far more than anybody has devices and windows.
const USER_SOCKETS_MAX: usize = 100;

#[derive(Debug)]
struct Shards<K, V> {
    shards: Vec<Mutex<HashMap<K, V>>>,
    hasher: RandomState,
}

impl<K: Hash + Eq, V> Shards<K, V> {
    fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new() }
    }

    fn of(&self, key: &K) -> &Mutex<HashMap<K, V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        &self.shards[hash]
    }
}

/// A user with at least one socket here.
#[derive(Debug)]
struct User {
    sockets: Vec<Arc<Socket>>,
    /// What tells the other nodes that the user is here.
    announcement: Announcement,
}

/// What this edge has sent and received, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Frames received from clients.
    pub frames_in: AtomicU64,
    /// Frames written to clients.
    pub frames_out: AtomicU64,
}

/// Rooms and users of one edge.
#[derive(Debug)]
pub(crate) struct Hub {
    rooms: Shards<RoomId, RoomHandle>,
    users: Shards<UserId, User>,
    sockets: AtomicUsize,
    sockets_max: usize,
    /// Counts for the metrics.
    pub tally: Tally,
}

impl Hub {
    /// Nobody is here, and so many sockets may come.
    pub(crate) fn new(sockets_max: usize) -> Self {
        Self {
            rooms: Shards::new(),
            users: Shards::new(),
            sockets: AtomicUsize::new(0),
            sockets_max,
            tally: Tally::default(),
        }
    }

    /// Whether there is room for one more socket of a user: a look ahead, which binds nobody.
    pub(crate) fn admits(&self, user: UserId) -> bool {
        let held = self.users.of(&user).lock().get(&user).map_or(0, |user| user.sockets.len());
        held < USER_SOCKETS_MAX && self.socket_count() < self.sockets_max
    }

    /// Registers a socket, unless there are too many. If it is the first of its user, `came` is
    /// called. Returns what announces the user to the other nodes.
    pub(crate) fn add_socket(
        &self,
        socket: &Arc<Socket>,
        came: impl FnOnce() -> Announcement,
    ) -> Option<Announcement> {
        let mut users = self.users.of(&socket.user).lock();
        if users.get(&socket.user).is_some_and(|user| user.sockets.len() >= USER_SOCKETS_MAX) {
            return None;
        }
        if self.sockets.fetch_add(1, Ordering::AcqRel) >= self.sockets_max {
            self.sockets.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let user = users
            .entry(socket.user)
            .or_insert_with(|| User { sockets: Vec::with_capacity(1), announcement: came() });
        user.sockets.push(Arc::clone(socket));
        Some(user.announcement)
    }

    /// Takes a socket out. If it was the last of its user, `went` is called.
    pub(crate) fn remove_socket(&self, socket: &Socket, went: impl FnOnce()) {
        let mut users = self.users.of(&socket.user).lock();
        let Some(user) = users.get_mut(&socket.user) else { return };
        let count = user.sockets.len();
        user.sockets.retain(|held| held.id != socket.id);
        self.sockets.fetch_sub(count - user.sockets.len(), Ordering::AcqRel);
        if user.sockets.is_empty() {
            users.remove(&socket.user);
            went();
        }
    }

    /// How many sockets are open.
    pub(crate) fn socket_count(&self) -> usize {
        self.sockets.load(Ordering::Acquire)
    }

    /// The sockets of one user.
    pub(crate) fn sockets_of(&self, user: UserId) -> Vec<Arc<Socket>> {
        self.users.of(&user).lock().get(&user).map_or_else(Vec::new, |user| user.sockets.clone())
    }

    /// Visits every socket. Nothing is awaited and no other user can come or go in its shard.
    pub(crate) fn each_socket(&self, mut visit: impl FnMut(&Arc<Socket>)) {
        for shard in &self.users.shards {
            for user in shard.lock().values() {
                user.sockets.iter().for_each(&mut visit);
            }
        }
    }

    /// The sockets of some logins.
    pub(crate) fn sockets_of_logins(&self, is: impl Fn(LoginId) -> bool) -> Vec<Arc<Socket>> {
        let mut found = Vec::new();
        self.each_socket(|socket| {
            if is(socket.login()) {
                found.push(Arc::clone(socket));
            }
        });
        found
    }

    /// Everyone who has a socket here.
    pub(crate) fn users(&self) -> Vec<UserId> {
        let mut users = Vec::new();
        for shard in &self.users.shards {
            users.extend(shard.lock().keys());
        }
        users
    }

    /// The room's task, started if need be.
    pub(crate) fn room(&self, room: RoomId, start: impl FnOnce() -> RoomHandle) -> RoomHandle {
        let mut rooms = self.rooms.of(&room).lock();
        match rooms.get(&room) {
            Some(handle) if handle.is_alive() => handle.clone(),
            _ => {
                let handle = start();
                rooms.insert(room, handle.clone());
                handle
            }
        }
    }

    /// The room's task, if there is one.
    pub(crate) fn find_room(&self, room: RoomId) -> Option<RoomHandle> {
        self.rooms.of(&room).lock().get(&room).cloned()
    }

    /// How many rooms this edge follows.
    pub(crate) fn room_count(&self) -> usize {
        self.rooms.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// The room's task ends: nobody finds it any more.
    pub(crate) fn remove_room(&self, ending: &RoomHandle) {
        let mut rooms = self.rooms.of(&ending.room()).lock();
        if rooms.get(&ending.room()).is_some_and(|held| held.is_same(ending)) {
            rooms.remove(&ending.room());
        }
    }

    /// All rooms that this edge follows.
    pub(crate) fn rooms(&self) -> Vec<RoomHandle> {
        let mut rooms = Vec::new();
        for shard in &self.rooms.shards {
            rooms.extend(shard.lock().values().cloned());
        }
        rooms
    }
}
