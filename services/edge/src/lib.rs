//! The WebSocket edge: sockets in, rooms out.
//!
//! An edge needs one thing, a NATS address. It verifies tokens itself, follows each room that
//! one of its sockets follows by one subscription, and asks an api for what needs the record.
//! Read [`session`] for a socket's life, [`room`] for a room's, [`follow`] for how the first
//! catches up with the second.
//!
//! **Invariant:** on every subscription a room's events arrive in order, each exactly once, none
//! missing, or the socket is closed. An edge holds nothing that another could not ask for anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contract::close::Close;
use domain::{Seq, UserId};
use http::HeaderValue;
use nats::bus::Bus;
use nats::presence::{EDGE_ID_CHARS_MAX, is_edge_id};
use parking_lot::Mutex;
use runtime::meter::{Counter, label};
use runtime::operations::Readiness;
use runtime::origin::Origins;
use runtime::{Clock, Lifecycle};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod auth;
mod budgets;
mod connect;
mod drain;
mod epochs;
mod follow;
mod fragments;
mod frame;
mod heads;
mod heartbeats;
mod hub;
mod inbound;
mod limit;
mod line;
mod live;
mod opener;
mod posts;
mod presence;
mod pushes;
mod queue;
mod ring;
mod room;
mod session;
mod socket;
mod subscription;
mod typing;
mod upgrade;

use auth::Auth;
use budgets::Budgets;
use epochs::{ApiClient, Epochs};
use hub::Hub;
use live::Live;
use opener::Opener;
use presence::{Announcement, Presence};
use socket::Socket;
use subscription::Subscription;

/// Pages of events that are asked for at once, by replays and repairs together.
const FETCHES_MAX: usize = 32;
/// E-mail addresses that are remembered.
const EMAILS_MAX: usize = 100_000;
/// How long the other edges have to send their full lists before sockets are let in.
const FULL_SYNC_TIME: Duration = Duration::from_millis(300);

/// What an operator decides about an edge.
#[derive(Clone, Debug)]
pub struct Config {
    /// The edge's name among its like; `None` for a random one. Letters, digits, `_` and `-`.
    pub id: Option<String>,
    /// Where people reach `ChatBoard`: its origin is always allowed.
    pub public_url: String,
    /// Other origins whose pages may connect.
    pub allowed_origins: Vec<String>,
    /// Hosts under which our own pages are served; any when empty.
    pub allowed_hosts: Vec<String>,
    /// Frames that a client may send in a second; 0 for any number.
    pub frames_per_second: u32,
    /// Frames that a user may send in a second over all sockets and edges; 0 for any number.
    pub user_frames_per_second: u32,
    /// KiB that are replayed to a user in a second over all sockets and edges; 0 for any number.
    pub user_replay_kib_per_second: u32,
    /// Sockets that may be open at once.
    pub sockets_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: None,
            public_url: "http://localhost:8080".to_owned(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            frames_per_second: 20,
            user_frames_per_second: 40,
            user_replay_kib_per_second: 2_048,
            sockets_max: 100_000,
        }
    }
}

/// A running edge. Clones share it.
#[derive(Clone, Debug)]
pub struct Edge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    origins: Origins,
    api: ApiClient,
    /// Heads are compared at once.
    compare_now: Notify,
    life: Lifecycle,
    /// Cancelled once all sockets are closed: everything else ends.
    stopped: CancellationToken,
    auth: Auth,
    hub: Hub,
    presence: Presence,
    opener: Opener,
    live: Live,
    fetches: Semaphore,
    budgets: Budgets,
    emails: Mutex<HashMap<UserId, Arc<str>>>,
    open_at: Instant,
}

/// Starts an edge. NATS may be away: sockets are refused with 1013 until it is there.
///
/// # Errors
/// When the configured id cannot be a part of a subject.
#[expect(clippy::unused_async, reason = "every role starts like this")]
pub async fn start(
    config: Config,
    bus: Bus,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<Edge> {
    let id = config.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    anyhow::ensure!(
        is_edge_id(&id),
        "an edge's id has 1 to {EDGE_ID_CHARS_MAX} letters, digits, '_' and '-', and is neither \
         \"all\" nor \"roll\": {id:?}"
    );
    let stopped = CancellationToken::new();
    let sockets_max = config.sockets_max;
    let budgets = Budgets::new(config.user_frames_per_second, config.user_replay_kib_per_second);
    let api = ApiClient::new(bus.clone());
    let edge = Edge {
        inner: Arc::new(Inner {
            origins: Origins {
                public_url: config.public_url.clone(),
                allowed_origins: config.allowed_origins.clone(),
                allowed_hosts: config.allowed_hosts.clone(),
            },
            config,
            auth: Auth::new(bus.clone(), clock),
            hub: Hub::new(sockets_max),
            presence: Presence::new(id),
            opener: Opener::start(&api, life, &stopped),
            live: Live::start(&bus, life, &stopped),
            fetches: Semaphore::new(FETCHES_MAX),
            budgets,
            emails: Mutex::default(),
            open_at: Instant::now() + FULL_SYNC_TIME,
            api,
            compare_now: Notify::new(),
            life: life.clone(),
            stopped,
        }),
    };
    life.spawn_essential("edge heartbeats", heartbeats::run(edge.clone()));
    life.spawn_essential("edge heads", heads::run(edge.clone()));
    life.spawn_essential("edge keys", heads::refresh_keys(edge.clone()));
    life.spawn_essential("edge revocations", heads::follow_revocations(edge.clone()));
    life.spawn_essential("edge presence", heads::tell_presence(edge.clone()));
    life.spawn_essential("edge pushes", pushes::run(edge.clone()));
    life.spawn_essential("edge budgets", budgets::share(edge.clone()));
    life.spawn_essential("edge drain", drain::run(edge.clone()));
    Ok(edge)
}

/// The routes under `/ws`.
pub fn router(edge: &Edge) -> Router {
    upgrade::routes(edge.clone())
}

impl Edge {
    /// Whether the edge can do its work, which needs NATS alone.
    pub async fn readiness(&self) -> Readiness {
        if self.life().is_leaving() {
            return Readiness::stopping();
        }
        let subject = self.bus().subjects().rpc("ping");
        let round_trip = self.bus().round_trip(subject).await;
        Readiness::with_nats(round_trip).explained("nats", self.bus().fault())
    }

    fn config(&self) -> &Config {
        &self.inner.config
    }

    fn bus(&self) -> &Bus {
        self.inner.api.bus()
    }

    /// How to ask for what belongs to an epoch.
    fn api(&self) -> &ApiClient {
        &self.inner.api
    }

    fn epochs(&self) -> &Epochs {
        self.inner.api.epochs()
    }

    fn compare_now(&self) -> &Notify {
        &self.inner.compare_now
    }

    fn life(&self) -> &Lifecycle {
        &self.inner.life
    }

    fn stopped(&self) -> &CancellationToken {
        &self.inner.stopped
    }

    fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    fn presence(&self) -> &Presence {
        &self.inner.presence
    }

    fn opener(&self) -> &Opener {
        &self.inner.opener
    }

    fn live(&self) -> &Live {
        &self.inner.live
    }

    fn fetches(&self) -> &Semaphore {
        &self.inner.fetches
    }

    fn budgets(&self) -> &Budgets {
        &self.inner.budgets
    }

    fn admits_origin(&self, origin: Option<&HeaderValue>, host: Option<&HeaderValue>) -> bool {
        // What is no browser names none and may.
        let Some(origin) = origin else { return true };
        let host = host.and_then(|host| host.to_str().ok());
        origin.to_str().is_ok_and(|origin| self.inner.origins.allow(origin, host))
    }

    /// Waits until the other edges had time to say who is online there.
    async fn wait_for_full_sync(&self) {
        tokio::time::sleep_until(self.inner.open_at).await;
    }

    fn known_email(&self, user: UserId) -> Option<Arc<str>> {
        self.inner.emails.lock().get(&user).cloned()
    }

    fn learn_email(&self, user: UserId, email: &Arc<str>) {
        let mut emails = self.inner.emails.lock();
        if emails.len() >= EMAILS_MAX {
            emails.clear();
        }
        emails.insert(user, Arc::clone(email));
    }

    /// Lets a socket in, unless there are too many. Returns what tells the other nodes that its user
    /// is here.
    fn register(&self, socket: &Arc<Socket>) -> Option<Announcement> {
        self.hub().add_socket(socket, || self.presence().note(socket.user, true))
    }

    fn unregister(&self, socket: &Arc<Socket>) {
        // Nobody writes any more: replays that wait for their turn end, and let go of the socket.
        socket.out.close(Close::Normal);
        let typed_in = socket.typing.lock().clear();
        self.end_typing(socket, typed_in);
        let subscriptions = socket.clear();
        for subscription in &subscriptions {
            socket.out.end(subscription, None);
        }
        self.hub().remove_socket(socket, || {
            self.presence().note(socket.user, false);
        });
        if !subscriptions.is_empty() {
            self.leave_rooms(subscriptions);
        }
    }

    /// Tells the rooms that these subscriptions have ended.
    fn leave_rooms(&self, subscriptions: Vec<Arc<Subscription>>) {
        let edge = self.clone();
        self.life().spawn(async move {
            for subscription in subscriptions {
                if let Some(room) = edge.hub().find_room(subscription.room) {
                    room.leave(subscription.id).await;
                }
            }
        });
    }

    /// Has a subscription open its room anew; one that is live has no task of its own that would.
    fn reopen(&self, subscription: Arc<Subscription>, is_live: bool) {
        subscription.set_void();
        if is_live && !subscription.has_ended() {
            let following = follow::follow(self.clone(), subscription, Seq(0));
            self.life().spawn(Box::pin(following));
        }
    }

    fn count_close(&self, close: Close) {
        Counter::SocketsClosed.add_with(1, vec![label("code", close.code().to_string())]);
        if close == Close::TooSlow {
            Counter::SlowReaders.add(1);
        }
        let _ = self;
    }
}
