//! One connection to NATS, and questions over it.
//!
//! **Traps** (each has cost someone their users' messages). async-nats drops silently when a
//! subscription's buffer is full, and even its slow-consumer event can be lost: nothing here is
//! proof of delivery, the comparison of heads is. While disconnected it queues 2,048 commands and
//! then blocks its caller: check [`Bus::is_connected`] before anything that can be dropped, and
//! put a deadline on everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use domain::Refusal;
use percent_encoding::percent_decode_str;
use runtime::meter::{Counter, Gauge};
use tokio::sync::watch;

use crate::ask::Nodes;
use crate::diagnostics::Diagnostics;
use crate::health::ConsumerHealth;
use crate::rpc::Refused;
use crate::subjects::Subjects;

/// Messages that one subscription may hold before NATS messages are dropped.
const SUBSCRIPTION_MESSAGES_MAX: usize = 65_536;

/// How long a health check waits for NATS.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers: NATS or every api is away, or too slow.
    #[error("no answer to {verb}: {reason}")]
    Unavailable {
        /// What was asked.
        verb: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The api says no.
    #[error("refused: {}", .0.code)]
    Refused(Refused),
}

/// A connection to NATS. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    subjects: Arc<Subjects>,
    connections: watch::Receiver<u64>,
    servers: Arc<Servers>,
    /// The user's name at NATS, or a stand-in; a plain part of subjects.
    user: Arc<str>,
    nodes: Arc<Nodes>,
    diagnostics: Arc<Diagnostics>,
    health: Arc<ConsumerHealth>,
}

/// Where NATS is, and how to sign in; never shown, since addresses hold passwords.
struct Servers {
    addresses: Vec<ServerAddr>,
    sign_in: SignIn,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Servers")
    }
}

/// How to sign in: `nats://user:password@host`, `nats://token@host`.
#[derive(Clone)]
pub(crate) enum SignIn {
    Nobody,
    Token(String),
    User { user: String, password: String },
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn")
    }
}

impl AskError {
    /// Whether the api does not accept the user's token.
    pub fn is_unauthenticated(&self) -> bool {
        self.is_refused_as(&Refusal::Unauthenticated)
    }

    /// Whether the api says that the user is not in the room.
    pub fn is_not_a_member(&self) -> bool {
        self.is_refused_as(&Refusal::NotAMember)
    }

    fn is_refused_as(&self, refusal: &Refusal) -> bool {
        matches!(self, Self::Refused(refused) if refused.code == refusal.code())
    }

    /// Whether the api says that there is no such room for the user: asking again is no use.
    pub fn is_no_room(&self) -> bool {
        let codes = [Refusal::NotAMember.code(), Refusal::NotFound.code()];
        matches!(self, Self::Refused(refused) if codes.contains(&refused.code.as_str()))
    }
}

impl Bus {
    /// Connects in the background: NATS may be away, now and later. `url` is one address or
    /// several, separated by commas; user and password are those of the first. `name` is shown in
    /// the server's list of connections.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub async fn connect(url: &str, subjects: Subjects, name: &str) -> anyhow::Result<Self> {
        let servers = url
            .split(',')
            .map(|one| one.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<_>, _>>()?;
        // An alert must see that it never came, too.
        Gauge::NatsConnected.set(0.0);
        let (connected, connections) = watch::channel(0);
        let connected = Arc::new(connected);
        let sign_in = SignIn::of(servers.first());
        let user: Arc<str> = sign_in.user().into();
        let diagnostics = Arc::new(Diagnostics::new(&sign_in));
        let (diagnostics_of_events, servers_of_events) =
            (Arc::clone(&diagnostics), servers.clone());
        let client = sign_in
            .options()
            .name(name)
            // Each user of NATS has an inbox of its own, which its permissions name.
            .custom_inbox_prefix(format!("_INBOX_{user}"))
            .retry_on_initial_connect()
            .connection_timeout(Duration::from_secs(2))
            .ping_interval(Duration::from_secs(5))
            .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(u64::try_from(attempts.min(20)).unwrap_or(20) * 50)
            })
            .event_callback(move |event| {
                note(&event, &connected, (&diagnostics_of_events, &servers_of_events));
                std::future::ready(())
            })
            .connect(servers.clone())
            .await?;
        let servers = Arc::new(Servers { addresses: servers, sign_in });
        Ok(Self {
            client,
            subjects: Arc::new(subjects),
            connections,
            servers,
            user,
            nodes: Arc::new(Nodes::new()),
            diagnostics,
            health: Arc::default(),
        })
    }

    /// The connection itself, for crates that subscribe.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The subjects of this deployment.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Where NATS is, with sign-in: never log it.
    pub(crate) fn servers(&self) -> &[ServerAddr] {
        &self.servers.addresses
    }

    /// The user's name at NATS as it stands in the subjects of answers: `_INBOX_{user}.>`.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.servers.sign_in
    }

    /// The api nodes that answered of late.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// What is wrong with the connection, for an operator: why there is none, or what the server
    /// has refused within the last minute.
    pub fn fault(&self) -> Option<String> {
        self.diagnostics.fault()
    }

    /// Whether the server has refused a subject since then.
    pub(crate) fn refused_since(&self, subject: &str, then: Instant) -> bool {
        self.diagnostics.refused_since(subject, then)
    }

    /// What is wrong with the consumer of this connection's role, its stream, or what the role
    /// publishes; `None` while all works, and for roles that consume nothing.
    pub fn consumer_fault(&self) -> Option<String> {
        self.health.fault()
    }

    pub(crate) fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    pub(crate) fn health(&self) -> &ConsumerHealth {
        &self.health
    }

    /// Whether NATS is there now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Counts connections: changes at the first and at every later one.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// Publishes without waiting; dropped when NATS is away.
    ///
    /// Cancel-safe: either handed over or not.
    pub async fn tell(
        &self,
        subject: String,
        headers: async_nats::HeaderMap,
        payload: Bytes,
    ) -> bool {
        if !self.is_connected() {
            return false;
        }
        let publish = self.client.publish_with_headers(subject, headers, payload);
        matches!(tokio::time::timeout(Duration::from_secs(1), publish).await, Ok(Ok(())))
    }

    /// How long NATS takes for a round trip, asked on a subject that this role may publish on;
    /// `None` when there is none within 2 s. A flush would prove nothing: async-nats only hands
    /// its buffer to the system. That nobody listens on the subject is an answer too.
    pub async fn round_trip(&self, subject: String) -> Option<Duration> {
        if !self.is_connected() {
            return None;
        }
        let started = std::time::Instant::now();
        let request = self.client.request(subject, Bytes::new());
        match tokio::time::timeout(ROUND_TRIP_TIMEOUT, request).await {
            Ok(Ok(_)) => Some(started.elapsed()),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                Some(started.elapsed())
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

impl SignIn {
    /// async-nats does not look at an address's user by itself.
    fn of(server: Option<&ServerAddr>) -> Self {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = server.and_then(ServerAddr::username).map(plain);
        let password = server.and_then(ServerAddr::password).map(plain);
        match (user, password) {
            (Some(user), Some(password)) => Self::User { user, password },
            (Some(token), None) => Self::Token(token),
            (None, _) => Self::Nobody,
        }
    }

    /// The user's name where it can be a part of a subject, else `chatboard`.
    fn user(&self) -> &str {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match self {
            Self::User { user, .. } if !user.is_empty() && user.bytes().all(is_plain) => user,
            _ => "chatboard",
        }
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        match self.clone() {
            Self::User { user, password } => ConnectOptions::with_user_and_password(user, password),
            Self::Token(token) => ConnectOptions::with_token(token),
            Self::Nobody => ConnectOptions::new(),
        }
    }
}

fn note(
    event: &Event,
    connected: &watch::Sender<u64>,
    (diagnostics, servers): (&Diagnostics, &[ServerAddr]),
) {
    match event {
        Event::Connected => {
            diagnostics.is_connected();
            Gauge::NatsConnected.set(1.0);
            Counter::NatsReconnects.add(1);
            connected.send_modify(|count| *count += 1);
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => {
            Gauge::NatsConnected.set(0.0);
            tracing::warn!("disconnected from NATS");
        }
        other => diagnostics.note(other, servers),
    }
}
