//! Subscriptions to the subjects of very many users: a set, kept on a connection of its own.
//!
//! A subscription of async-nats costs some 6 KiB, because its channel allocates 32 messages ahead;
//! a socket may cost 8 KiB in all. Here a user costs a place in a set. What comes is best effort,
//! as pushes are: while the connection is away nothing is heard, and when it is back every user
//! of the set is subscribed anew.
//!
//! **Invariant:** whoever is in the set is subscribed, or will be as soon as NATS is there.
//! Speaks plain TCP: where NATS wants TLS ([`Interest::is_possible`]), use the ordinary client.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ServerAddr;
use bytes::{Bytes, BytesMut};
use domain::UserId;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::{Bus, SignIn};
use crate::diagnostics;
use crate::subjects::Subjects;

mod wire;

use wire::Said;

/// How long connecting, or one write, may take.
const IO_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the server is pinged; a server that has not answered by the next time is gone.
const PING_EVERY: Duration = Duration::from_secs(5);
/// The longest pause before the next attempt to connect.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How often the log repeats why there is no connection.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Bytes of subscribing that are written together.
const WRITE_BYTES: usize = 64 * 1024;
/// Changes that may wait while the server is slow; beyond, the connection is made anew.
const CHANGES_MAX: usize = 200_000;

/// Something for one user.
#[derive(Clone, Debug)]
pub struct Push {
    /// The user.
    pub user: UserId,
    /// Where an answer is expected: someone asks whether the user is here.
    pub reply: Option<String>,
    /// What is pushed.
    pub payload: Bytes,
}

/// A set of users. Clones share it.
#[derive(Clone, Debug)]
pub struct Interest {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    servers: Vec<ServerAddr>,
    sign_in: SignIn,
    subjects: Subjects,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    users: HashSet<UserId>,
    /// Not told to the server yet, in order; empty while there is none.
    changes: Vec<(UserId, bool)>,
    is_connected: bool,
    /// Why there is no connection.
    fault: Option<String>,
}

impl Interest {
    /// An empty set, to be kept by [`Self::run`].
    pub fn new(bus: &Bus) -> Self {
        Self {
            shared: Arc::new(Shared {
                servers: bus.servers().to_vec(),
                sign_in: bus.sign_in().clone(),
                subjects: bus.subjects().clone(),
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// Whether NATS is reached over plain TCP.
    pub fn is_possible(bus: &Bus) -> bool {
        bus.servers().iter().all(|server| server.scheme() == "nats")
    }

    /// Why no pushes arrive; `None` while they do.
    pub fn fault(&self) -> Option<String> {
        self.shared.state.lock().fault.clone()
    }

    /// Subscribes to a user's subject.
    pub fn add(&self, user: UserId) {
        self.change(user, true);
    }

    /// Unsubscribes.
    pub fn remove(&self, user: UserId) {
        self.change(user, false);
    }

    fn change(&self, user: UserId, is_wanted: bool) {
        let mut state = self.shared.state.lock();
        let is_news = if is_wanted { state.users.insert(user) } else { state.users.remove(&user) };
        if is_news && state.is_connected {
            state.changes.push((user, is_wanted));
            self.shared.changed.notify_one();
        }
    }

    /// Keeps the set for ever, and hands on what comes. To be cancelled by dropping it.
    pub async fn run(&self, hear: impl Fn(Push)) {
        let mut pause = Duration::ZERO;
        let mut turn = 0;
        let mut told = None;
        loop {
            tokio::time::sleep(pause).await;
            let Some(server) = self.shared.servers.get(turn % self.shared.servers.len().max(1))
            else {
                return;
            };
            turn += 1;
            let connected_at = Instant::now();
            if let Err(error) = self.serve(server, &hear).await {
                self.report(server, &error, &mut told);
            }
            let mut state = self.shared.state.lock();
            state.is_connected = false;
            state.changes = Vec::new();
            let was_short = connected_at.elapsed() < RETRY_MAX;
            pause = if was_short { (pause * 2).min(RETRY_MAX) } else { Duration::ZERO };
            pause = pause.max(Duration::from_millis(50));
        }
    }

    /// Logs why the connection ended: when the reason changes, and once a minute.
    fn report(
        &self,
        server: &ServerAddr,
        error: &anyhow::Error,
        told: &mut Option<(String, Instant)>,
    ) {
        let reason = format!("{error:#}");
        self.shared.state.lock().fault = Some(reason.clone());
        if told.as_ref().is_some_and(|(last, at)| *last == reason && at.elapsed() < TELL_EVERY) {
            return;
        }
        let (server, user) = (diagnostics::name(server), diagnostics::user(&self.shared.sign_in));
        let text = format!("no pushes: NATS at {server} cannot be used {user}: {reason}");
        if diagnostics::is_configuration(&reason) {
            tracing::error!(nats.server = server, nats.user = user, reason, "{text}");
        } else {
            tracing::warn!(nats.server = server, nats.user = user, reason, "{text}");
        }
        *told = Some((reason, Instant::now()));
    }

    async fn serve(&self, server: &ServerAddr, hear: &impl Fn(Push)) -> anyhow::Result<()> {
        let mut line = tokio::time::timeout(IO_TIMEOUT, self.connect(server)).await??;
        let users: Vec<UserId> = {
            let mut state = self.shared.state.lock();
            state.is_connected = true;
            state.fault = None;
            state.users.iter().copied().collect()
        };
        self.tell(&mut line, users.into_iter().map(|user| (user, true))).await?;
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut is_pong_due = false;
        loop {
            tokio::select! {
                said = line.hear() => match said? {
                    Said::Message { subscription, reply, payload } => {
                        hear(Push { user: UserId(subscription), reply, payload });
                    }
                    Said::Ping => line.say("PONG\r\n").await?,
                    Said::Pong => is_pong_due = false,
                    Said::Error(error) => anyhow::bail!("the server says: {error}"),
                    Said::Info { .. } | Said::Other => {}
                },
                () = self.shared.changed.notified() => {
                    let changes = std::mem::take(&mut self.shared.state.lock().changes);
                    anyhow::ensure!(changes.len() < CHANGES_MAX, "the server is too slow");
                    self.tell(&mut line, changes.into_iter()).await?;
                }
                _ = ping.tick() => {
                    anyhow::ensure!(!is_pong_due, "the server does not answer");
                    is_pong_due = true;
                    line.say("PING\r\n").await?;
                }
            }
        }
    }

    async fn connect(&self, server: &ServerAddr) -> anyhow::Result<Line> {
        let stream = TcpStream::connect((server.host(), server.port())).await?;
        stream.set_nodelay(true)?;
        let mut line = Line { stream, heard: BytesMut::new() };
        let Said::Info { tls_required } = line.hear().await? else {
            anyhow::bail!("no NATS server there");
        };
        anyhow::ensure!(
            !tls_required,
            "the server wants TLS: its address should begin with tls://"
        );
        let mut options = serde_json::json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true,
            "no_responders": true, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "name": "pushes",
        });
        match &self.shared.sign_in {
            SignIn::Nobody => {}
            SignIn::Token(token) => options["auth_token"] = token.as_str().into(),
            SignIn::User { user, password } => {
                options["user"] = user.as_str().into();
                options["pass"] = password.as_str().into();
            }
        }
        line.say(&format!("CONNECT {options}\r\nPING\r\n")).await?;
        loop {
            match line.hear().await? {
                Said::Pong => return Ok(line),
                Said::Error(error) => anyhow::bail!("the server says: {error}"),
                _ => {}
            }
        }
    }

    /// Tells the server of users who came and went. Their subscriptions bear their ids.
    async fn tell(
        &self,
        line: &mut Line,
        changes: impl Iterator<Item = (UserId, bool)>,
    ) -> anyhow::Result<()> {
        let mut text = String::new();
        for (user, is_wanted) in changes {
            let subject = self.shared.subjects.user(user);
            let _ = if is_wanted {
                write!(text, "SUB {subject} {user}\r\n")
            } else {
                write!(text, "UNSUB {user}\r\n")
            };
            if text.len() >= WRITE_BYTES {
                line.say(&text).await?;
                text.clear();
            }
        }
        line.say(&text).await
    }
}

struct Line {
    stream: TcpStream,
    heard: BytesMut,
}

impl Line {
    /// The next thing that the server says. Cancel-safe.
    async fn hear(&mut self) -> anyhow::Result<Said> {
        loop {
            if let Some(said) = wire::next(&mut self.heard)? {
                return Ok(said);
            }
            let count = self.stream.read_buf(&mut self.heard).await?;
            anyhow::ensure!(count > 0, "the server is gone");
        }
    }

    async fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let writing = self.stream.write_all(text.as_bytes());
        Ok(tokio::time::timeout(IO_TIMEOUT, writing).await??)
    }
}
