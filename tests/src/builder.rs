//! How a board is set up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use domain::registration::{AbuseLimits, EmailVerification, RegistrationPolicy};
use domain::upload::UploadRules;
use ipnet::IpNet;
use nats::bus::Bus;
use nats::subjects::Subjects;
use runtime::serve::Limits;
use runtime::tokens::SigningKeys;
use runtime::{Clock, Lifecycle};
use store::{PoolConfig, Store};
use tokio::net::TcpListener;

use crate::board::{Board, Host, Reach};
use crate::files::Files;
use crate::mailbox::Mailbox;
use crate::nats_process::NatsProcess;
use crate::proxied::{Front, ProxyKind};
use crate::servers::{self, Servers};

/// Connections of an api's pool: many boards share one Postgres.
const API_CONNECTIONS: u32 = 6;
/// Connections of a relay's pool.
const RELAY_CONNECTIONS: u32 = 2;
/// Connections of a webhook worker's pool.
const WEBHOOK_CONNECTIONS: u32 = 4;
/// Connections of a notifier's pool.
const NOTIFIER_CONNECTIONS: u32 = 3;
/// Connections of a janitor's pool.
const JANITOR_CONNECTIONS: u32 = 2;
/// How often a janitor looks whether there is something to do.
const JANITOR_SCAN: Duration = Duration::from_millis(100);
/// How often a notifier looks at its schedule, and the pause before it tries again.
const MAIL_SCAN: Duration = Duration::from_millis(100);

/// Where roles run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Processes,
}

/// What a board is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) apis: usize,
    pub(crate) api_connections: u32,
    pub(crate) edges: usize,
    pub(crate) has_limits: bool,
    pub(crate) has_relay: bool,
    pub(crate) place: Place,
    pub(crate) proxy: Option<ProxyKind>,
    pub(crate) has_own_servers: bool,
    pub(crate) jetstream_bytes_max: Option<u64>,
    pub(crate) origins: Vec<String>,
    pub(crate) access_ttl: Duration,
    pub(crate) webhooks: Option<webhooks::Config>,
    pub(crate) mail_delay: Option<Duration>,
    pub(crate) notifiers: usize,
    pub(crate) janitors: usize,
    pub(crate) retention_days: Option<u32>,
    /// What can be uploaded.
    pub uploads: UploadRules,
    pub(crate) registration: RegistrationPolicy,
    pub(crate) abuse: AbuseLimits,
    pub(crate) serving: Option<Limits>,
    pub(crate) open_requests_per_user: u32,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) replay_kib_per_second: Option<u32>,
    pub(crate) shipped_nats: Option<&'static str>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            apis: 1,
            api_connections: API_CONNECTIONS,
            edges: 2,
            has_limits: false,
            has_relay: true,
            place: Place::Here,
            proxy: None,
            has_own_servers: false,
            jetstream_bytes_max: None,
            origins: vec!["https://friend.example".to_owned()],
            access_ttl: Duration::from_secs(15 * 60),
            webhooks: None,
            mail_delay: None,
            notifiers: 1,
            janitors: 0,
            retention_days: Some(90),
            uploads: UploadRules::default(),
            registration: RegistrationPolicy::default(),
            abuse: AbuseLimits::NONE,
            serving: None,
            open_requests_per_user: 0,
            trusted_proxies: Vec::new(),
            replay_kib_per_second: None,
            shipped_nats: None,
        }
    }
}

/// Networks that a board's webhooks may reach.
pub(crate) const LOOPBACK: &str = "127.0.0.0/8";

/// What every role of a board is started with.
pub(crate) struct Ground {
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    pub(crate) shipped_nats: Vec<NatsProcess>,
    pub(crate) prefix: String,
    /// Tells it from the other boards of this process.
    pub(crate) number: u64,
    pub(crate) pem: String,
    pub(crate) clock: Clock,
    pub(crate) life: Lifecycle,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) files: Files,
}

impl Builder {
    /// So many edges; two unless said otherwise.
    #[must_use]
    pub fn edges(self, edges: usize) -> Self {
        Self { edges, ..self }
    }

    /// So many api nodes; people ask the first, [`Board::api_node`] names all.
    #[must_use]
    pub fn apis(self, apis: usize) -> Self {
        Self { apis, ..self }
    }

    /// So many connections of each api, besides those for sends and health checks.
    #[must_use]
    pub fn api_connections(self, api_connections: u32) -> Self {
        Self { api_connections, ..self }
    }

    /// The limits of the contract apply; otherwise there are none.
    #[must_use]
    pub fn limits_on(self) -> Self {
        Self { has_limits: true, ..self }
    }

    /// Nobody settles the outbox.
    #[must_use]
    pub fn without_relay(self) -> Self {
        Self { has_relay: false, ..self }
    }

    /// Roles run as processes of the real binary, which can be killed. Their clock cannot be moved.
    #[must_use]
    pub fn processes(self) -> Self {
        Self { place: Place::Processes, ..self }
    }

    /// Two apis and two edges run as processes behind a reverse proxy with the configuration in
    /// `deploy/`. People reach only the proxy.
    #[must_use]
    pub fn behind(self, proxy: ProxyKind) -> Self {
        Self { proxy: Some(proxy), apis: 2, edges: 2, ..self.processes() }
    }

    /// A Postgres and a nats-server of its own, which can be killed.
    #[must_use]
    pub fn own_servers(self) -> Self {
        Self { has_own_servers: true, ..self }
    }

    /// Servers of its own, whose JetStream may store so many bytes.
    #[must_use]
    pub fn jetstream_bytes_max(self, bytes: u64) -> Self {
        Self { jetstream_bytes_max: Some(bytes), ..self.own_servers() }
    }

    /// How long access tokens live.
    #[must_use]
    pub fn access_ttl(self, access_ttl: Duration) -> Self {
        Self { access_ttl, ..self }
    }

    /// Webhooks are delivered, to this machine too; retries follow within a second.
    #[must_use]
    pub fn webhooks(self) -> Self {
        let allowed = vec![LOOPBACK.parse().expect("a network")];
        self.webhooks_by(webhooks::Config {
            guard: outbound::Guard::new(allowed, outbound::Names::default()),
            retry_schedule: vec![Duration::from_millis(500); 7],
            timeout: Duration::from_secs(5),
            ..webhooks::Config::default()
        })
    }

    /// Webhooks are delivered as `config` says. A process takes its schedule alone.
    #[must_use]
    pub fn webhooks_by(self, config: webhooks::Config) -> Self {
        Self { webhooks: Some(config), ..self }
    }

    /// Mails go out, to a mailbox that the test can read; what nobody has read is mailed after
    /// this long.
    #[must_use]
    pub fn mails_after(self, delay: Duration) -> Self {
        Self { mail_delay: Some(delay), ..self }
    }

    /// So many notifiers share the mails.
    #[must_use]
    pub fn notifiers(self, notifiers: usize) -> Self {
        Self { notifiers, ..self }
    }

    /// So many janitors remove what is past its time; none unless said otherwise.
    #[must_use]
    pub fn janitors(self, janitors: usize) -> Self {
        Self { janitors, ..self }
    }

    /// Messages expire after so many days; 90 unless said otherwise.
    #[must_use]
    pub fn retention_days(self, retention_days: u32) -> Self {
        Self { retention_days: Some(retention_days), ..self }
    }

    /// Nobody has said how long messages are kept.
    #[must_use]
    pub fn retention_unset(self) -> Self {
        Self { retention_days: None, ..self }
    }

    /// A person's files, and an organization's, may hold so many bytes; 0, the default, is no limit.
    #[must_use]
    pub fn quotas(self, user_quota: i64, org_quota: i64) -> Self {
        let uploads = UploadRules { user_quota, org_quota, ..self.uploads.clone() };
        Self { uploads, ..self }
    }

    /// Who may register, and whether addresses must be verified; anyone, and no, unless said
    /// otherwise.
    #[must_use]
    pub fn registration(self, registration: RegistrationPolicy) -> Self {
        Self { registration, ..self }
    }

    /// New accounts must verify their address.
    #[must_use]
    pub fn verification_required(mut self) -> Self {
        self.registration.verification = EmailVerification::Required;
        self
    }

    /// How many mails and organizations an account may cause; any number unless said otherwise.
    #[must_use]
    pub fn abuse_limits(self, abuse: AbuseLimits) -> Self {
        Self { abuse, ..self }
    }

    /// Starts the board.
    pub async fn start(self) -> Board {
        static PREFIXES: AtomicU64 = AtomicU64::new(1);
        crate::watchdog::watch();
        let own = if self.has_own_servers {
            Some(Servers::start_with(self.jetstream_bytes_max).await)
        } else {
            None
        };
        let servers = match &own {
            Some(own) => own,
            None => Servers::shared().await,
        };
        let database = servers.make_database().await;
        let mailbox = match self.mail_delay {
            Some(_) => Some(Mailbox::start().await),
            None => None,
        };
        let clock = Clock::system();
        let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
        let shipped_nats = match self.shipped_nats {
            Some(file) => NatsProcess::all_shipped(file).await,
            None => Vec::new(),
        };
        // The shipped permissions are for this prefix.
        let prefix = self.shipped_nats.map_or(format!("t{number}"), |_| "chat".to_owned());
        let ground = Ground {
            files: Files::start(&clock).await,
            mailbox,
            database_url: servers.postgres.database_url(&database),
            nats_url: servers.nats.url(),
            shipped_nats,
            prefix,
            number,
            pem: SigningKeys::generate().expect("a key can be made"),
            clock,
            life: Lifecycle::new(),
        };
        if let Some(days) = self.retention_days {
            servers::set_retention(&ground.database_url, days).await;
        }
        let front = self.proxy.map(Front::new);
        let (host, mut apis, mut edges) = if self.place == Place::Processes {
            self.start_processes(&ground, front.as_ref()).await
        } else {
            self.start_here(&ground).await
        };
        let mut proxy = None;
        if let Some(front) = &front {
            proxy = Some(front.start(&apis, &edges, &ground.files).await);
            (apis, edges) = (vec![front.http_url()], vec![front.ws_url()]);
        }
        let keys = SigningKeys::parse(&ground.pem).expect("a key of ours can be read");
        let reach = Reach::new(apis, edges, keys, ground.clock.clone());
        let store = Store::connect(&ground.database_url, 2).await.expect("the address is good");
        Board {
            own,
            proxy,
            host,
            reach: Arc::new(reach),
            clock: ground.clock,
            store,
            life: ground.life,
            mailbox: ground.mailbox,
            files: ground.files,
            database_url: ground.database_url,
            nats_url: ground.nats_url,
            shipped_nats: ground.shipped_nats,
            prefix: ground.prefix,
        }
    }

    async fn start_here(&self, ground: &Ground) -> (Host, Vec<String>, Vec<String>) {
        let public_url = self.start_api(ground).await;
        let mut apis = vec![public_url.clone()];
        for _ in 1..self.apis {
            apis.push(self.start_api(ground).await);
        }
        let mut edges = Vec::new();
        for _ in 0..self.edges {
            let (address, router) = self.edge(ground, &public_url).await;
            runtime::serve::serve(address.1, router, &self.gate(), &ground.life);
            edges.push(format!("ws://{}", address.0));
        }
        if self.has_relay {
            let store = self.store(ground, RELAY_CONNECTIONS).await;
            let bus = bus(ground, "relay").await;
            let mail_delay = self.mail_delay.unwrap_or(relay::Config::default().mail_delay);
            let config = relay::Config { mail_delay, ..relay::Config::default() };
            relay::start(config, store, bus, ground.clock.clone(), &ground.life).await.unwrap();
        }
        if let Some(config) = self.webhooks.clone() {
            let store = self.store(ground, WEBHOOK_CONNECTIONS).await;
            let bus = bus(ground, "webhooks").await;
            webhooks::start(config, store, bus, ground.clock.clone(), &ground.life).await.unwrap();
        }
        if let (Some(mailbox), Some(delay)) = (&ground.mailbox, self.mail_delay) {
            for _ in 0..self.notifiers {
                let store = self.store(ground, NOTIFIER_CONNECTIONS).await;
                notify(ground, store, (&public_url, mailbox), delay).await;
            }
        }
        for _ in 0..self.janitors {
            let store = self.store(ground, JANITOR_CONNECTIONS).await;
            let config = janitor::Config {
                scan_every: JANITOR_SCAN,
                previews_every: JANITOR_SCAN,
                ..janitor::Config::default()
            };
            let objects = Some(ground.files.objects());
            let parts = janitor::Parts { store, objects, clock: ground.clock.clone() };
            janitor::start(config, parts, &ground.life).await.expect("the janitor starts");
        }
        (Host::Here, apis, edges)
    }

    async fn store(&self, ground: &Ground, connections: u32) -> Store {
        let store = Store::connect(&ground.database_url, connections).await;
        store.expect("the address is good").with_time_passed(ground.clock.time_passed())
    }

    async fn api_store(&self, ground: &Ground) -> Store {
        let config = PoolConfig {
            application_name: "chatboard api".to_owned(),
            connections_max: self.api_connections + api::SEND_CONNECTIONS + 1,
            sends_max: api::SEND_CONNECTIONS,
            acquire_timeout: Duration::from_secs(3),
        };
        let store = Store::open(&ground.database_url, config).await;
        store.expect("the address is good").with_time_passed(ground.clock.time_passed())
    }

    /// Starts an api in this process; returns its address.
    async fn start_api(&self, ground: &Ground) -> String {
        let (address, listener) = listen().await;
        let url = format!("http://{address}");
        let api = self.api(ground, &url).await;
        runtime::serve::serve(listener, api::router(&api), &self.gate(), &ground.life);
        url
    }

    async fn api(&self, ground: &Ground, public_url: &str) -> api::Api {
        let mut config = api::Config {
            public_url: public_url.to_owned(),
            allowed_origins: self.origins.clone(),
            access_token_ttl: self.access_ttl,
            open_requests_per_user: self.open_requests_per_user,
            guard: self.webhooks.as_ref().map(|config| config.guard.clone()).unwrap_or_default(),
            uploads: self.uploads.clone(),
            registration: self.registration.clone(),
            abuse: self.abuse,
            trusted_proxies: self.proxies(),
            ..api::Config::default()
        };
        if !self.has_limits {
            config.requests_per_minute = 0;
            config.sign_ins_per_minute = 0;
        }
        let parts = api::Parts {
            store: self.api_store(ground).await,
            bus: bus(ground, "api").await,
            objects: Some(ground.files.objects()),
            keys: SigningKeys::parse(&ground.pem).unwrap(),
            clock: ground.clock.clone(),
        };
        api::start(config, parts, &ground.life).await.expect("the api starts")
    }

    async fn edge(&self, ground: &Ground, public_url: &str) -> ((SocketAddr, TcpListener), Router) {
        let mut config = edge::Config {
            public_url: public_url.to_owned(),
            allowed_origins: self.origins.clone(),
            ..edge::Config::default()
        };
        self.limit_edge(&mut config);
        let bus = bus(ground, "edge").await;
        let edge = edge::start(config, bus, ground.clock.clone(), &ground.life);
        (listen().await, edge::router(&edge.await.expect("the edge starts")))
    }
}

async fn notify(
    ground: &Ground,
    store: Store,
    (public_url, mailbox): (&str, &Mailbox),
    mail_delay: Duration,
) {
    let config = notifier::Config {
        public_url: public_url.to_owned(),
        smtp_url: Some(mailbox.smtp_url()),
        mail_delay,
        scan_every: MAIL_SCAN,
        retry_after: MAIL_SCAN,
        ..notifier::Config::default()
    };
    let bus = bus(ground, "notifier").await;
    let started = notifier::start(config, store, bus, ground.clock.clone(), &ground.life);
    started.await.expect("the notifier starts");
}

async fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    (listener.local_addr().expect("a listener has an address"), listener)
}

async fn bus(ground: &Ground, name: &str) -> Bus {
    let bus = Bus::connect(&ground.nats_url, Subjects::new(ground.prefix.as_str()), name)
        .await
        .expect("the address of NATS is good");
    let mut connections = bus.connections();
    crate::wait::within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    bus
}
