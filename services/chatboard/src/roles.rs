//! Starting roles: each gets what it needs from the settings, and nothing else.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use domain::UserId;
use domain::registration::{AbuseLimits, RegistrationPolicy};
use nats::bus::Bus;
use nats::streams::StreamSettings;
use nats::subjects::Subjects;
use objects::Objects;
use runtime::address::TrustedProxies;
use runtime::config::Settings;
use runtime::lifecycle::End;
use runtime::meter::{Gauge, label};
use runtime::operations::{Probe, Readiness, ReadinessCache};
use runtime::serve::{Gate, Limits};
use runtime::telemetry::Metrics;
use runtime::tokens::SigningKeys;
use runtime::{Clock, Lifecycle, open_files, operations};
use store::Store;
use tokio::net::TcpListener;

use crate::{database, files, web};

/// How long stopping may take: with the usual `CHATBOARD_DRAIN_DELAY`, within the 30 s that the contract
/// gives it.
const STOP_GRACE: Duration = Duration::from_secs(25);

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// REST, and answers to edges.
    Api,
    /// `WebSockets`.
    Edge,
    /// What follows from events.
    Relay,
    /// Deliveries to webhooks.
    Webhooks,
    /// Mail.
    Notifier,
    /// What is forgotten in time.
    Janitor,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Api, Self::Edge, Self::Relay, Self::Webhooks, Self::Notifier, Self::Janitor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Edge => "edge",
            Self::Relay => "relay",
            Self::Webhooks => "webhooks",
            Self::Notifier => "notifier",
            Self::Janitor => "janitor",
        }
    }

    /// Connections to Postgres that a process of this role may hold unless a setting says
    /// otherwise, the one for health checks included. See `docs/operations.md`.
    pub(crate) fn connections(self) -> u32 {
        match self {
            Self::Api => 20,
            Self::Edge => 0,
            Self::Webhooks => 6,
            Self::Relay | Self::Notifier => 4,
            Self::Janitor => 3,
        }
    }

    /// Whether it has to do with files.
    fn has_files(self) -> bool {
        matches!(self, Self::Api | Self::Janitor)
    }

    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Api => &["DATABASE_URL", "NATS_URL", "SIGNING_KEY_FILE"],
            Self::Edge => &["NATS_URL"],
            Self::Janitor => &["DATABASE_URL"],
            Self::Relay | Self::Webhooks | Self::Notifier => &["DATABASE_URL", "NATS_URL"],
        }
    }
}

/// Plays roles until the process is asked to stop.
pub(crate) async fn run(settings: Settings, roles: &[Role]) -> anyhow::Result<ExitCode> {
    for role in roles {
        settings.require(role.name(), role.needs())?;
    }
    runtime::telemetry::log(settings.log.as_str(), settings.log_format);
    log_start(roles);
    let life = Lifecycle::new();
    // Only load balancers need the delay, and only api and edges are behind some.
    let is_balanced = roles.iter().any(|role| matches!(role, Role::Api | Role::Edge));
    let drain_delay = if is_balanced { settings.drain_delay } else { Duration::ZERO };
    life.heed_signals(drain_delay)?;
    start(&settings, roles, &[], &life).await?;
    Ok(wait(&life).await)
}

/// The first line of a process: its version and its roles.
fn log_start(roles: &[Role]) {
    let version = env!("CARGO_PKG_VERSION");
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let roles = names.join(", ");
    tracing::info!(version, roles, "chatboard {version} starts as {roles}");
}

/// Waits until the process is asked to stop, or a part of it fails; then stops in order.
pub(crate) async fn wait(life: &Lifecycle) -> ExitCode {
    life.draining().await;
    match life.stop(STOP_GRACE).await {
        End::Clean | End::CutOff => ExitCode::SUCCESS,
        End::Failed => ExitCode::FAILURE,
    }
}

/// Starts roles, their listeners and the operations port. `more_edges` are further edges of this
/// process, each with its own connection to NATS.
pub(crate) async fn start(
    settings: &Settings,
    roles: &[Role],
    more_edges: &[SocketAddr],
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let metrics = Metrics::install();
    metrics.keep_up(life);
    Gauge::BuildInfo.set_with(1.0, vec![label("version", env!("CARGO_PKG_VERSION"))]);
    let objects = files::connect(settings)?.filter(|_| roles.iter().any(|role| role.has_files()));
    if let Some(objects) = &objects {
        life.spawn(files::watch(objects.clone(), life.clone()));
    }
    let clock = Clock::system();
    let store = database::start(settings, roles, &clock, life).await?;
    let connections = client_connections(settings, roles);
    let sockets_max = sockets_max(settings, roles, connections);
    let gate = gate(settings, connections);
    let starter =
        Starter { settings, objects, store, clock, life, gate: gate.clone(), sockets_max };
    let api = if roles.contains(&Role::Api) { Some(starter.api().await?) } else { None };
    let edge = if roles.contains(&Role::Edge) { Some(starter.edge("edge").await?) } else { None };
    let mut workers = Vec::new();
    if roles.contains(&Role::Relay) {
        workers.push(starter.relay().await?);
    }
    if roles.contains(&Role::Webhooks) {
        workers.push(starter.webhooks().await?);
    }
    if roles.contains(&Role::Notifier) {
        workers.push(starter.notifier().await?);
    }
    let janitor =
        if roles.contains(&Role::Janitor) { Some(starter.janitor().await?) } else { None };
    starter.listen(api.as_ref(), edge.as_ref()).await?;
    for (number, &address) in more_edges.iter().enumerate() {
        let more = starter.edge(&format!("edge {}", number + 2)).await?;
        serve(address, edge_router(&more), ("an edge", &gate), life).await?;
    }
    let probe = operations::in_background(probe(api, edge, workers, janitor), life);
    let operations = operations::router(probe, move || metrics.render());
    let gate = Gate::new(Limits::operations(), TrustedProxies::default());
    serve(settings.ops_addr, operations, ("operations", &gate), life).await
}

/// Connections that clients may have to this process.
fn client_connections(settings: &Settings, roles: &[Role]) -> usize {
    let own = database::connections(settings, roles);
    open_files::client_connections(open_files::raise(), own.into())
}

/// WebSockets that an edge of this process admits: some connections stay for requests, and for
/// telling further sockets that there is no room.
fn sockets_max(settings: &Settings, roles: &[Role], connections: usize) -> usize {
    let wanted = settings.sockets_max as usize;
    let possible = connections - connections / 8;
    if roles.contains(&Role::Edge) && possible < wanted {
        tracing::warn!(
            sockets_max = possible,
            "CHATBOARD_SOCKETS_MAX is {wanted}, but the limit of open files (ulimit -n) admits \
             {possible} sockets: raise it, or set less"
        );
    }
    wanted.min(possible)
}

fn gate(settings: &Settings, connections: usize) -> Gate {
    // One address never takes more than a quarter of what there is.
    let share = u32::try_from(connections / 4).unwrap_or(u32::MAX).max(1);
    let per_client = match settings.connections_per_address {
        0 => 0,
        wanted => wanted.min(share),
    };
    let limits = Limits {
        connections,
        connections_per_client: per_client,
        heads_per_client: per_client.div_ceil(4),
        requests_per_client: settings.open_requests_per_address,
        ..Limits::default()
    };
    Gate::new(limits, TrustedProxies::new(settings.trusted_proxies.clone()))
}

/// The connections of a role that consumes a stream.
#[derive(Clone)]
struct Worker {
    /// The name of its consumer's check in a process that also is an api.
    name: &'static str,
    store: Store,
    bus: Bus,
}

impl Worker {
    async fn readiness(&self) -> Readiness {
        let nobody = self.bus.subjects().user(UserId::NOWHERE);
        let (postgres, nats) = tokio::join!(self.store.round_trip(), self.bus.round_trip(nobody));
        Readiness::of_worker(postgres, nats, self.bus.consumer_fault())
            .explained("postgres", self.store.fault())
            .explained("nats", self.bus.fault())
    }
}

/// Whether the process can do its work: that of the role that needs the most.
fn probe(
    api: Option<api::Api>,
    edge: Option<edge::Edge>,
    workers: Vec<Worker>,
    janitor: Option<Store>,
) -> Probe {
    Arc::new(move || {
        let (api, edge, workers) = (api.clone(), edge.clone(), workers.clone());
        let janitor = janitor.clone();
        Box::pin(async move {
            match (api, edge, workers.first(), janitor) {
                (Some(api), ..) => {
                    let readiness = api.readiness().await;
                    workers.iter().fold(readiness, |readiness, worker| {
                        readiness.with_helper(worker.name, worker.bus.consumer_fault())
                    })
                }
                (None, _, Some(worker), _) => worker.readiness().await,
                (None, Some(edge), None, _) => edge.readiness().await,
                (None, None, None, Some(store)) => {
                    Readiness::with_record_alone(store.round_trip().await)
                        .explained("postgres", store.fault())
                }
                (None, None, None, None) => Readiness::with_nats(None),
            }
        })
    })
}

/// How streams are made.
pub(crate) fn streams(settings: &Settings) -> StreamSettings {
    let bytes = i64::from(settings.nats_rooms_mib) * 1024 * 1024;
    StreamSettings {
        replicas: settings.nats_replicas.count(),
        rooms_bytes_max: (bytes > 0).then_some(bytes),
    }
}

/// What clients reach us under.
pub(crate) fn public_url(settings: &Settings) -> String {
    match &settings.public_url {
        Some(url) => url.as_str().to_owned(),
        None => format!("http://localhost:{}", settings.http_addr.port()),
    }
}

/// The rules for new accounts.
fn registration(settings: &Settings) -> RegistrationPolicy {
    RegistrationPolicy {
        mode: settings.registration,
        domains: settings.registration_domains.clone(),
        verification: settings.email_verification,
    }
}

struct Starter<'a> {
    settings: &'a Settings,
    objects: Option<Objects>,
    store: Option<Store>,
    clock: Clock,
    life: &'a Lifecycle,
    gate: Gate,
    sockets_max: usize,
}

impl Starter<'_> {
    async fn bus(&self, name: &str) -> anyhow::Result<Bus> {
        let url = self.settings.nats_url.as_ref().context("CHATBOARD_NATS_URL is missing")?;
        let subjects = Subjects::new(self.settings.nats_prefix.as_str());
        let bus = Bus::connect(url.expose(), subjects, &format!("chatboard {name}")).await?;
        nats::diagnostics::watch(&bus, self.life);
        let allows = self.settings.nats_allow_unauthenticated;
        nats::admission::keep_checking(&bus, allows, self.life).await?;
        Ok(bus)
    }

    /// The process's one pool.
    fn store(&self) -> anyhow::Result<Store> {
        self.store.clone().context("CHATBOARD_DATABASE_URL is missing")
    }

    /// Where requests to addresses that strangers chose may go.
    fn guard(&self) -> outbound::Guard {
        let allowed = self.settings.webhook_allowed_networks.clone();
        outbound::Guard::new(allowed, outbound::Names::by(&self.settings.webhook_resolvers))
    }

    fn allowed_origins(&self) -> Vec<String> {
        self.settings.allowed_origins.iter().map(|origin| origin.as_str().to_owned()).collect()
    }

    fn allowed_hosts(&self) -> Vec<String> {
        self.settings.allowed_hosts.iter().map(|host| host.as_str().to_owned()).collect()
    }

    async fn api(&self) -> anyhow::Result<api::Api> {
        let settings = self.settings;
        let path =
            settings.signing_key_file.as_ref().context("CHATBOARD_SIGNING_KEY_FILE is missing")?;
        let pem = std::fs::read_to_string(path).with_context(|| {
            format!("CHATBOARD_SIGNING_KEY_FILE: cannot read {}", path.display())
        })?;
        let keys = SigningKeys::parse(&pem)
            .with_context(|| format!("CHATBOARD_SIGNING_KEY_FILE: {}", path.display()))?;
        let config = api::Config {
            public_url: public_url(self.settings),
            allowed_origins: self.allowed_origins(),
            allowed_hosts: self.allowed_hosts(),
            has_docs: settings.api_docs,
            access_token_ttl: settings.access_token_ttl,
            refresh_token_ttl: settings.refresh_token_ttl,
            requests_per_minute: settings.requests_per_minute,
            sign_ins_per_minute: settings.sign_ins_per_minute,
            open_requests_per_user: settings.open_requests_per_user,
            trusted_proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
            post_batch_max: settings.post_batch_max as usize,
            uploads: files::rules(settings),
            guard: self.guard(),
            registration: registration(settings),
            abuse: AbuseLimits {
                invite_mails: settings.invite_mails_per_day,
                invite_mails_per_address: settings.invite_mails_per_address,
                mails_per_client: settings.mails_per_client,
                organizations: settings.organizations_per_account,
            },
        };
        let parts = api::Parts {
            store: self.store()?,
            bus: self.bus("api").await?,
            objects: self.objects.clone(),
            keys,
            clock: self.clock.clone(),
        };
        api::start(config, parts, self.life).await
    }

    async fn edge(&self, name: &str) -> anyhow::Result<edge::Edge> {
        let config = edge::Config {
            id: None,
            public_url: public_url(self.settings),
            allowed_origins: self.allowed_origins(),
            allowed_hosts: self.allowed_hosts(),
            frames_per_second: self.settings.socket_frames_per_second,
            user_frames_per_second: self.settings.user_frames_per_second,
            user_replay_kib_per_second: self.settings.user_replay_kib_per_second,
            sockets_max: self.sockets_max,
        };
        edge::start(config, self.bus(name).await?, self.clock.clone(), self.life).await
    }

    async fn relay(&self) -> anyhow::Result<Worker> {
        let config =
            relay::Config { streams: streams(self.settings), mail_delay: self.settings.mail_delay };
        let (store, bus) = (self.store()?, self.bus("relay").await?);
        relay::start(config, store.clone(), bus.clone(), self.clock.clone(), self.life).await?;
        Ok(Worker { name: "relay_consumer", store, bus })
    }

    async fn webhooks(&self) -> anyhow::Result<Worker> {
        let config = webhooks::Config {
            streams: streams(self.settings),
            guard: self.guard(),
            retry_schedule: self.settings.webhook_retry_schedule.clone(),
            ..webhooks::Config::default()
        };
        let (store, bus) = (self.store()?, self.bus("webhooks").await?);
        webhooks::start(config, store.clone(), bus.clone(), self.clock.clone(), self.life).await?;
        Ok(Worker { name: "webhooks_consumer", store, bus })
    }

    async fn notifier(&self) -> anyhow::Result<Worker> {
        let settings = self.settings;
        let config = notifier::Config {
            public_url: public_url(settings),
            smtp_url: settings.smtp_url.as_ref().map(|url| url.expose().to_owned()),
            mail_from: settings.mail_from.clone(),
            mail_delay: settings.mail_delay,
            streams: streams(settings),
            ..notifier::Config::default()
        };
        let (store, bus) = (self.store()?, self.bus("notifier").await?);
        notifier::start(config, store.clone(), bus.clone(), self.clock.clone(), self.life).await?;
        Ok(Worker { name: "notifier_consumer", store, bus })
    }

    async fn janitor(&self) -> anyhow::Result<Store> {
        let store = self.store()?;
        let (objects, clock) = (self.objects.clone(), self.clock.clone());
        let parts = janitor::Parts { store: store.clone(), objects, clock };
        janitor::start(janitor::Config::default(), parts, self.life).await?;
        Ok(store)
    }

    /// REST with the page that people open.
    async fn api_router(&self, api: &api::Api) -> anyhow::Result<Router> {
        let store = match &self.objects {
            Some(objects) => Some(objects.origin().await?),
            None => None,
        };
        let origins = web::Origins { public_url: public_url(self.settings), store };
        Ok(web::before(api::router(api), origins))
    }

    /// Opens the public listeners: one for both where they share an address.
    async fn listen(
        &self,
        api: Option<&api::Api>,
        edge: Option<&edge::Edge>,
    ) -> anyhow::Result<()> {
        let http = self.settings.http_addr;
        let ws = self.settings.ws_addr.unwrap_or(http);
        let (life, gate) = (self.life, &self.gate);
        match (api, edge) {
            (Some(api), Some(edge)) if ws == http => {
                let router = self.api_router(api).await?.merge(edge::router(edge));
                serve(http, router, ("REST and WebSockets", gate), life).await
            }
            (api, edge) => {
                if let Some(api) = api {
                    serve(http, self.api_router(api).await?, ("REST", gate), life).await?;
                }
                if let Some(edge) = edge {
                    serve(ws, edge_router(edge), ("an edge", gate), life).await?;
                }
                Ok(())
            }
        }
    }
}

/// An edge on a port of its own also answers for its health there.
fn edge_router(edge: &edge::Edge) -> Router {
    let (edge_of_probe, cache) = (edge.clone(), ReadinessCache::default());
    let probe: Probe = Arc::new(move || {
        let (edge, cache) = (edge_of_probe.clone(), cache.clone());
        Box::pin(async move { cache.get(edge.readiness()).await })
    });
    edge::router(edge).merge(operations::health(probe))
}

async fn serve(
    address: SocketAddr,
    router: Router,
    (what, gate): (&str, &Gate),
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}"))?;
    let address = listener.local_addr()?;
    tracing::info!(address = %address, "{what} on {address}");
    runtime::serve::serve(listener, router, gate, life);
    Ok(())
}
