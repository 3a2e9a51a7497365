//! The api's state, and what runs beside its handlers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, header};
use contract::frames::LiveFrame;
use domain::registration::{AbuseLimits, RegistrationPolicy};
use domain::upload::UploadRules;
use domain::{LoginId, Refusal, Timestamp, UploadId, UserId};
use nats::bus::Bus;
use nats::presence::Directory;
use nats::publish::Publisher;
use objects::Objects;
use runtime::address::{SITE_CLIENTS, TrustedProxies, client_prefix, client_site};
use runtime::meter::Counter;
use runtime::operations::{Readiness, ReadinessCache};
use runtime::origin::Origins;
use runtime::revoked::RevokedLogins;
use runtime::slots::Slots;
use runtime::tokens::{SigningKeys, Verifier};
use runtime::turns::{Turn, Turns};
use runtime::{Clock, Lifecycle};
use store::actions::mail_limits::MailSource;
use store::{Store, Tx};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::here::HereSaid;
use crate::last_seen::LastSeen;
use crate::limits::Limits;
use crate::messages::Searches;
use crate::passwords::Passwords;
use crate::poster::{Poster, publish};
use crate::problem::Problem;
use crate::revocation;

/// Concurrent lookups of tokens that clients over their limit present.
const TOKEN_CHECKS_MAX: usize = 8;
/// Reads of one user that run at once on this node: requests, and what edges ask for their sockets.
/// More would take both cores of a small machine from what others send.
const READS_AT_ONCE: usize = 2;

/// How the api is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// What clients reach us under, for links: no slash at the end.
    pub public_url: String,
    /// Other origins whose pages may call us.
    pub allowed_origins: Vec<String>,
    /// Hosts under which our own pages are served; any when empty.
    pub allowed_hosts: Vec<String>,
    /// Whether Swagger UI is served.
    pub has_docs: bool,
    /// How long an access token lives.
    pub access_token_ttl: Duration,
    /// How long a refresh token lives.
    pub refresh_token_ttl: Duration,
    /// Requests per user and minute; 0 is no limit.
    pub requests_per_minute: u32,
    /// Sign-ins per (address, e-mail) and minute; 0 is no limit.
    pub sign_ins_per_minute: u32,
    /// Requests of one user that may be open at once on this node; 0 is no limit.
    pub open_requests_per_user: u32,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// Messages in one group commit; 1 commits each by itself.
    pub post_batch_max: usize,
    /// What may be uploaded.
    pub uploads: UploadRules,
    /// Which addresses webhooks may have.
    pub guard: outbound::Guard,
    /// Who may register, and whether addresses must be verified.
    pub registration: RegistrationPolicy,
    /// How many mails and organizations one account may cause.
    pub abuse: AbuseLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            has_docs: true,
            access_token_ttl: Duration::from_secs(15 * 60),
            refresh_token_ttl: Duration::from_secs(7 * 24 * 3600),
            requests_per_minute: 100,
            sign_ins_per_minute: 10,
            open_requests_per_user: 64,
            trusted_proxies: TrustedProxies::default(),
            post_batch_max: 256,
            uploads: UploadRules::default(),
            guard: outbound::Guard::default(),
            registration: RegistrationPolicy::default(),
            abuse: AbuseLimits::default(),
        }
    }
}

/// What the api is made of.
#[derive(Debug)]
pub struct Parts {
    /// The record.
    pub store: Store,
    /// The connection to NATS.
    pub bus: Bus,
    /// The object store; without one there are no uploads.
    pub objects: Option<Objects>,
    /// What signs access tokens.
    pub keys: SigningKeys,
    /// The time.
    pub clock: Clock,
}

/// The api's state. Clones share it.
#[derive(Clone, Debug)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origins: Origins,
    config: Config,
    store: Store,
    bus: Bus,
    objects: Option<Objects>,
    keys: SigningKeys,
    verifier: Verifier,
    revoked: RevokedLogins,
    clock: Clock,
    limits: Limits,
    open_requests: Slots<UserId>,
    reads: Turns<UserId>,
    poster: Poster,
    here: HereSaid,
    presence: Directory,
    publisher: Publisher,
    passwords: Passwords,
    /// Lookups of tokens that clients over their limit present.
    token_checks: Semaphore,
    last_seen: LastSeen,
    searches: Searches,
    /// The name under which edges ask this node alone.
    node: String,
    ready: watch::Sender<bool>,
    readiness: ReadinessCache,
    life: Lifecycle,
}

/// Starts an api: its poster, its publisher, its answers to edges.
///
/// # Errors
/// When the configuration is no good.
pub async fn start(config: Config, parts: Parts, life: &Lifecycle) -> anyhow::Result<Api> {
    let Parts { store, bus, objects, keys, clock } = parts;
    let presence = Directory::start(&bus, "api", life);
    let publisher = Publisher::start(bus.clone(), presence.clone(), life);
    let here = HereSaid::new(store.clone(), presence.clone(), life.clone());
    let poster = Poster::start(
        (store.clone(), publisher.clone(), clock.clone()),
        here.clone(),
        (config.post_batch_max, config.uploads.org_quota),
        life,
    );
    let last_seen = LastSeen::start(store.clone(), life);
    let api = Api(Arc::new(Inner {
        origins: Origins {
            public_url: config.public_url.clone(),
            allowed_origins: config.allowed_origins.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
        },
        limits: Limits::new(config.requests_per_minute, config.sign_ins_per_minute),
        open_requests: Slots::new(config.open_requests_per_user.into()),
        reads: Turns::new(READS_AT_ONCE),
        verifier: Verifier::new(keys.public().clone()),
        revoked: RevokedLogins::default(),
        config,
        store,
        bus,
        objects,
        keys,
        clock,
        poster,
        here,
        presence,
        publisher,
        passwords: Passwords::new()?,
        token_checks: Semaphore::new(TOKEN_CHECKS_MAX),
        last_seen,
        searches: Searches::default(),
        node: format!("{:016x}", rand::random::<u64>()),
        ready: watch::Sender::new(false),
        readiness: ReadinessCache::default(),
        life: life.clone(),
    }));
    life.spawn_essential("readiness", crate::ready::watch(api.clone()));
    life.spawn_essential("answers to edges", crate::commands::answer_all(api.clone()));
    life.spawn_essential("limits", crate::limits::sweep_all(api.clone()));
    if api.config().requests_per_minute > 0 || api.config().sign_ins_per_minute > 0 {
        life.spawn_essential("counts of other nodes", crate::limits::share(api.clone()));
    }
    life.spawn(crate::auth::apply_verification_policy(api.clone()));
    let since = revocation::load(&api).await;
    life.spawn_essential("revocations", revocation::follow(api.clone(), since));
    Ok(api)
}

impl Api {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The record.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The connection to NATS.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// The object store, if there is one.
    pub(crate) fn objects(&self) -> Option<&Objects> {
        self.0.objects.as_ref()
    }

    /// What signs access tokens.
    pub fn keys(&self) -> &SigningKeys {
        &self.0.keys
    }

    /// What verifies them.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// The logins revoked of late.
    pub fn revoked(&self) -> &RevokedLogins {
        &self.0.revoked
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Requests that are open, by user.
    pub(crate) fn open_requests(&self) -> &Slots<UserId> {
        &self.0.open_requests
    }

    /// Waits for the user's turn to read: however many requests and sockets they have, a few of their
    /// reads run at once, and leave connections and processor to all others.
    pub(crate) async fn turn_to_read(&self, user: UserId) -> Turn {
        let turn = self.0.reads.turn(user).await;
        if turn.has_waited() {
            Counter::ReadsDelayed.add(1);
        }
        turn
    }

    /// What hashes passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// A permit to look up a token although its client is over its limit: a valid token is accepted
    /// although others have used up the limit of the same address.
    ///
    /// # Errors
    /// `limited`, when all [`TOKEN_CHECKS_MAX`] are in use.
    pub(crate) fn token_check(&self, limited: Refusal) -> Result<SemaphorePermit<'_>, Problem> {
        self.0.token_checks.try_acquire().map_err(|_| limited.into())
    }

    /// What looks after messages that say `@here`.
    pub(crate) fn here(&self) -> &HereSaid {
        &self.0.here
    }

    /// Who is online.
    pub(crate) fn presence(&self) -> &Directory {
        &self.0.presence
    }

    /// What sends messages.
    pub(crate) fn poster(&self) -> &Poster {
        &self.0.poster
    }

    /// What lets people search.
    pub(crate) fn searches(&self) -> &Searches {
        &self.0.searches
    }

    /// Where tasks of this api are spawned.
    pub fn life(&self) -> &Lifecycle {
        &self.0.life
    }

    /// The client that a request comes from, as far as trusted proxies tell it: the prefix of its
    /// address, by which everything is counted.
    pub(crate) fn client_address(&self, request: &axum::http::request::Parts) -> IpAddr {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
        client_prefix(self.0.config.trusted_proxies.client(peer, &request.headers))
    }

    /// For what a mail counts that a client's request causes.
    pub(crate) fn mail_source(&self, client: IpAddr) -> MailSource {
        let limit = self.config().abuse.mails_per_client;
        MailSource {
            client,
            limit,
            site: client.is_ipv6().then(|| client_site(client)),
            site_limit: limit.saturating_mul(SITE_CLIENTS),
        }
    }

    /// The name under which edges ask this node alone.
    pub(crate) fn node(&self) -> &str {
        &self.0.node
    }

    /// Whether this node answers questions of edges.
    pub(crate) fn ready(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.0.ready.send_replace(is_ready);
    }

    /// The absolute address of a path below `/api/v1`.
    pub fn link(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.0.config.public_url.trim_end_matches('/'))
    }

    /// The stable address of an upload.
    pub(crate) fn upload_url(&self, upload: UploadId) -> String {
        self.link(&format!("/uploads/{upload}/"))
    }

    /// Commits, then publishes what became true.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn commit(&self, tx: Tx) -> Result<(), Problem> {
        Ok(self.try_commit(tx).await?)
    }

    /// Commits, then publishes what became true; for those who know what to do about an error.
    pub(crate) async fn try_commit(&self, tx: Tx) -> store::Result<()> {
        let committed = tx.commit().await?;
        publish(&self.0.publisher, &committed);
        Ok(())
    }

    /// Pushes a frame to all sockets of a user. Best effort.
    pub fn push(&self, user: UserId, frame: &LiveFrame<'_>) {
        self.0.publisher.push(user, frame);
    }

    /// Sends a frame without `seq` to everyone who follows a room. Best effort.
    pub fn live(&self, room: domain::RoomId, author: UserId, frame: &LiveFrame<'_>) {
        self.0.publisher.live(room, author, frame);
    }

    /// Makes revoked logins known to every node, after the commit that revoked them.
    pub fn revoke(&self, logins: &[LoginId]) {
        let until = self.0.clock.now() + self.0.config.access_token_ttl + revocation::MARGIN;
        for &login in logins {
            self.0.revoked.add(login, until);
        }
        self.0.publisher.revoked(logins, until);
    }

    /// Notes that a login was used, at most once a minute each.
    pub(crate) fn seen(&self, login: LoginId, now: Timestamp) {
        self.0.last_seen.note(login, now);
    }

    /// The origin of a request, if its pages may call us.
    pub(crate) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        self.0.origins.allow(origin.to_str().ok()?, host).then(|| origin.clone())
    }

    /// Whether this api can do its work, as of the last second.
    pub async fn readiness(&self) -> Readiness {
        if self.0.life.is_leaving() {
            return Readiness::stopping();
        }
        self.0.readiness.get(self.probe()).await
    }

    async fn probe(&self) -> Readiness {
        let postgres = self.0.store.round_trip().await;
        let nobody = self.0.bus.subjects().user(UserId::NOWHERE);
        let nats = self.0.bus.round_trip(nobody).await;
        Readiness::with_record(postgres, nats)
            .explained("postgres", self.0.store.fault())
            .explained("nats", self.0.bus.fault())
    }
}
