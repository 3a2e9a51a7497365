//! A room as this edge follows it: one task, found through the hub.
//!
//! The task ([`actor`]) owns the room's log ([`log`]) and roster ([`roster`]) and its subscribers;
//! others reach it by [`Command`]s. It lives while it has subscribers and a while longer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::{Epoch, RoomId, Seq, UserId};
use nats::rpc::Head;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::Edge;
use crate::subscription::Subscription;

mod actor;
mod fetch;
mod leaving;
mod log;
mod people;
mod repair;
mod roster;

/// Commands that may wait for a room's task.
const COMMANDS_MAX: usize = 256;
/// How long a command may take: a room that starts asks the api first.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(12);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What a room is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take in a subscriber, or look again whether a replay has reached what the room holds.
    Join {
        /// The subscriber.
        subscription: Arc<Subscription>,
        /// The furthest that the log is known to reach.
        head: Seq,
        /// Where to answer.
        answer: oneshot::Sender<Placed>,
    },
    /// Let a subscriber go.
    Leave(u64),
    /// Learn where the log stands.
    Head(Head),
    /// Begin anew: the log ends before what came out here.
    Fallen,
}

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It gets what comes.
    Live,
    /// It lacks events that the room does not hold: replay, then join again.
    Behind,
    /// The room is gone.
    Deleted,
    /// The room cannot be followed now.
    Unavailable,
}

/// What others may read of a room without asking its task.
#[derive(Debug)]
pub(crate) struct Shared {
    id: u64,
    room: RoomId,
    /// The epoch of its task, once that follows the room.
    epoch: OnceLock<Epoch>,
    /// The last event that came out here.
    last: AtomicI64,
    /// Subscribers by user.
    users: Mutex<HashMap<UserId, u32>>,
}

/// The way to a room's task.
#[derive(Clone, Debug)]
pub(crate) struct RoomHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl RoomHandle {
    /// Starts to follow a room.
    pub(crate) fn start(edge: &Edge, room: RoomId) -> Self {
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            room,
            epoch: OnceLock::new(),
            last: AtomicI64::new(0),
            users: Mutex::default(),
        });
        let handle = Self { shared, commands };
        edge.life().spawn(Box::pin(actor::run(edge.clone(), handle.clone(), waiting)));
        handle
    }

    /// The room.
    pub(crate) fn room(&self) -> RoomId {
        self.shared.room
    }

    /// Whether its task still takes commands.
    pub(crate) fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Whether both are the way to the same task.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.shared.id == other.shared.id
    }

    /// The last event that came out here.
    pub(crate) fn last(&self) -> Seq {
        Seq(self.shared.last.load(Ordering::Acquire))
    }

    /// The epoch that [`Self::last`] belongs to; `None` until the room is followed.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.shared.epoch.get().copied()
    }

    /// The users who are subscribed here.
    pub(crate) fn users(&self) -> Vec<UserId> {
        self.shared.users.lock().keys().copied().collect()
    }

    /// Subscriptions to the room here.
    pub(crate) fn subscriber_count(&self) -> u64 {
        self.shared.users.lock().values().map(|&count| u64::from(count)).sum()
    }

    /// Tells where the log stands; dropped when the room is busy, since it is asked for again.
    pub(crate) fn tell_head(&self, head: Head) {
        let _ = self.commands.try_send(Command::Head(head));
    }

    /// Has the room begin anew; dropped when it is busy, since it is found again.
    pub(crate) fn tell_fallen(&self) {
        let _ = self.commands.try_send(Command::Fallen);
    }

    /// Lets a subscriber go.
    pub(crate) async fn leave(&self, subscription: u64) {
        let leave = self.commands.send(Command::Leave(subscription));
        // A room that is too busy to hear it finds out at its next event.
        let _ = tokio::time::timeout(Duration::from_secs(1), leave).await;
    }

    /// One more subscription of a user.
    fn note_user(&self, user: UserId) {
        *self.shared.users.lock().entry(user).or_insert(0) += 1;
    }

    /// One subscription of a user less.
    fn forget_user(&self, user: UserId) {
        let mut users = self.shared.users.lock();
        if let Some(count) = users.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&user);
            }
        }
    }

    /// `None` when the task ended before it could answer: start it again.
    async fn join(&self, subscription: &Arc<Subscription>, head: Seq) -> Option<Placed> {
        let (answer, answered) = oneshot::channel();
        let subscription = Arc::clone(subscription);
        self.commands.send(Command::Join { subscription, head, answer }).await.ok()?;
        answered.await.ok()
    }
}

/// Has a room take in a subscriber; see [`Command::Join`].
pub(crate) async fn join(edge: &Edge, subscription: &Arc<Subscription>, head: Seq) -> Placed {
    let room = subscription.room;
    let join = async {
        loop {
            let handle = edge.hub().room(room, || RoomHandle::start(edge, room));
            if let Some(placed) = handle.join(subscription, head).await {
                return placed;
            }
            if edge.stopped().is_cancelled() {
                return Placed::Unavailable;
            }
        }
    };
    tokio::time::timeout(COMMAND_TIMEOUT, join).await.unwrap_or(Placed::Unavailable)
}
