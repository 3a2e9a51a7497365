//! What the rest of the edge knows of one socket. Its task is in [`crate::session`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use contract::close::Close;
use domain::limits::SOCKET_ROOMS_MAX;
use domain::{Caller, LoginId, RoomId, UserId};
use nats::bus::AskError;
use nats::rpc::{UserQuestion, UserToken};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::epochs::ApiClient;
use crate::frame::Text;
use crate::posts::Posts;
use crate::queue::{Outbound, Weight};
use crate::subscription::Subscription;
use crate::typing::Typing;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One room, from the first frame to the last.
    Room(RoomId),
    /// Rooms that come and go.
    Many,
}

/// What came of asking for a new subscription.
#[derive(Debug)]
pub(crate) enum Added {
    /// It is to be opened.
    New(Arc<Subscription>),
    /// There is one already.
    Known(Arc<Subscription>),
    /// The socket has as many as it may.
    Full,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Unlike every other's in this process.
    pub id: u64,
    /// Whose it is.
    pub user: UserId,
    /// Their address, as `typing` shows it.
    pub email: Arc<str>,
    /// What it is for.
    pub kind: Kind,
    /// What waits to be written.
    pub out: Outbound,
    /// Sends that wait for their turn.
    pub posts: Mutex<Posts>,
    /// `read` frames that are not answered yet.
    pub reads: AtomicU32,
    /// One replay at a time.
    pub replays: Semaphore,
    /// Where the user types on this socket.
    pub typing: Mutex<Typing>,
    login: AtomicI64,
    token: Mutex<UserToken>,
    rooms: Mutex<HashMap<RoomId, Arc<Subscription>>>,
}

impl Socket {
    /// A socket that has just been authenticated by `token`.
    pub(crate) fn new(caller: Caller, token: UserToken, email: Arc<str>, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            user: caller.user,
            email,
            kind,
            out: Outbound::default(),
            posts: Mutex::default(),
            reads: AtomicU32::new(0),
            replays: Semaphore::new(1),
            typing: Mutex::default(),
            login: AtomicI64::new(caller.login.0),
            token: Mutex::new(token),
            rooms: Mutex::default(),
        })
    }

    /// The login whose token was presented last.
    pub(crate) fn login(&self) -> LoginId {
        LoginId(self.login.load(Ordering::Acquire))
    }

    /// The token that was presented last: the proof of the user in questions to an api.
    pub(crate) fn token(&self) -> UserToken {
        self.token.lock().clone()
    }

    /// Another token of the same user was presented.
    pub(crate) fn renew(&self, login: LoginId, token: UserToken) {
        *self.token.lock() = token;
        self.login.store(login.0, Ordering::Release);
    }

    /// Asks an api for this socket's user; whatever token the question has is replaced.
    ///
    /// A token that is refused while the client has presented a newer one is replaced by that, once:
    /// nothing was done yet, and what the client sent before it renewed is not lost. When the api
    /// refuses the socket's current token, the socket is closed (4001).
    ///
    /// # Errors
    /// As [`ApiClient::ask`].
    pub(crate) async fn ask<Q: UserQuestion>(
        &self,
        api: &ApiClient,
        mut question: Q,
    ) -> Result<Q::Reply, AskError> {
        let mut token = self.token();
        *question.token() = token.clone();
        let mut answer = api.ask(&question).await;
        if is_unauthenticated(&answer) && self.token() != token {
            token = self.token();
            *question.token() = token.clone();
            answer = api.ask(&question).await;
        }
        if is_unauthenticated(&answer) && self.token() == token {
            self.out.close(Close::Unauthenticated);
        }
        answer
    }

    /// Queues an answer.
    pub(crate) fn say(&self, text: Text) {
        self.out.push(text, Weight::Needed);
    }

    /// Adds a subscription, to be opened by the caller.
    pub(crate) fn add(self: &Arc<Self>, room: RoomId) -> Added {
        let mut rooms = self.rooms.lock();
        let count = rooms.len();
        match rooms.entry(room) {
            Entry::Occupied(entry) => Added::Known(Arc::clone(entry.get())),
            Entry::Vacant(_) if count >= SOCKET_ROOMS_MAX => Added::Full,
            Entry::Vacant(entry) => {
                let subscription = Subscription::new(room, Arc::clone(self));
                Added::New(Arc::clone(entry.insert(subscription)))
            }
        }
    }

    /// Takes a subscription out.
    pub(crate) fn remove(&self, room: RoomId) -> Option<Arc<Subscription>> {
        self.rooms.lock().remove(&room)
    }

    /// Takes this very subscription out, if it is still there.
    pub(crate) fn forget(&self, subscription: &Subscription) {
        let mut rooms = self.rooms.lock();
        if rooms.get(&subscription.room).is_some_and(|held| held.id == subscription.id) {
            rooms.remove(&subscription.room);
        }
    }

    /// Whether the socket follows a room. One that was only asked for does not count: whether the
    /// user may is not known yet.
    pub(crate) fn follows(&self, room: RoomId) -> bool {
        self.rooms.lock().get(&room).is_some_and(|subscription| subscription.is_open())
    }

    /// Takes all subscriptions out: the socket is gone.
    pub(crate) fn clear(&self) -> Vec<Arc<Subscription>> {
        self.rooms.lock().drain().map(|(_, subscription)| subscription).collect()
    }
}

fn is_unauthenticated<T>(answer: &Result<T, AskError>) -> bool {
    answer.as_ref().is_err_and(AskError::is_unauthenticated)
}
