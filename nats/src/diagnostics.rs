//! Diagnosis of the connection to NATS: server, user and reason, never a password.
//!
//! async-nats retries in the background, and its events hold little of why connecting fails. So
//! while there is no connection, [`watch`] tries each server itself and logs the error: at the
//! first failure, when the reason changes, and once a minute. What a server refuses on an open
//! connection (permissions) arrives as an event.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::{ConnectErrorKind, Event, ServerAddr, ServerError};
use parking_lot::Mutex;
use runtime::Lifecycle;
use runtime::meter::{Counter, label};

use crate::bus::{Bus, SignIn};

/// How often the state of the connection is read.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause between two attempts to find out why there is no connection.
const TRY_EVERY: Duration = Duration::from_secs(5);
/// How long one server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The least time between two log lines with the same reason.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Refusals that are logged apart; further ones share one entry.
const REFUSALS_MAX: usize = 64;
/// Characters of a server's text that are logged.
const TEXT_MAX: usize = 500;

/// The current faults of one connection to NATS.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    /// The user, as it stands in log lines: `as user api`.
    user: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why there is no connection.
    fault: Option<String>,
    /// Each text of the server, and when it was logged last.
    refusals: BTreeMap<String, Instant>,
    /// The latest refusal.
    refused: Option<(Instant, String)>,
    /// Subjects that the permissions exclude, and when each was refused last.
    refused_subjects: BTreeMap<String, Instant>,
}

/// Why a server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    server: String,
    reason: String,
    /// An operator has to change something: it does not pass by itself.
    is_configuration: bool,
}

impl Diagnostics {
    pub(crate) fn new(sign_in: &SignIn) -> Self {
        Self { user: user(sign_in), state: Mutex::default() }
    }

    /// Why there is no connection, or what was refused within the last minute.
    pub(crate) fn fault(&self) -> Option<String> {
        let state = self.state.lock();
        let refused = state.refused.as_ref().filter(|(at, _)| at.elapsed() < TELL_EVERY);
        state.fault.clone().or_else(|| refused.map(|(_, refused)| refused.clone()))
    }

    /// Whether the server has refused a subject since then. A refused subscription looks like one on
    /// which nothing comes.
    pub(crate) fn refused_since(&self, subject: &str, then: Instant) -> bool {
        self.state.lock().refused_subjects.get(subject).is_some_and(|&at| at >= then)
    }

    pub(crate) fn is_connected(&self) {
        self.state.lock().fault = None;
    }

    /// Logs what a server or the client says beside connecting and disconnecting.
    pub(crate) fn note(&self, event: &Event, servers: &[ServerAddr]) {
        match event {
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.refuse("authorization violation", servers);
            }
            Event::ServerError(ServerError::Other(text)) => self.refuse(text, servers),
            Event::ServerError(ServerError::SlowConsumer(_)) | Event::SlowConsumer(_) => {
                self.refuse("slow consumer: messages were dropped", servers);
            }
            // Why connecting failed is found out by `watch`.
            other => tracing::debug!(event = %other, "NATS: {other}"),
        }
    }

    fn refuse(&self, text: &str, servers: &[ServerAddr]) {
        let text: String = text.chars().take(TEXT_MAX).collect();
        let kind = RefusalKind::of(&text);
        Counter::NatsErrors.add_with(1, vec![label("kind", kind.name())]);
        let subject = quoted(&text).unwrap_or_default();
        if kind == RefusalKind::Permissions {
            self.note_subject(subject);
        }
        let refused = format!("NATS at {} refuses {}: {text}", names(servers), self.user);
        if !self.is_news(&text, &refused, kind) {
            return;
        }
        let (user, reason) = (&self.user, &text);
        match kind {
            RefusalKind::Other => tracing::warn!(nats.user = user, reason, "{refused}"),
            RefusalKind::Permissions => tracing::error!(
                nats.user = user,
                subject,
                reason,
                "{refused}: give that user the permissions of nats/server.conf"
            ),
            RefusalKind::Authorization => tracing::error!(nats.user = user, reason, "{refused}"),
        }
    }

    fn note_subject(&self, subject: &str) {
        let refused = &mut self.state.lock().refused_subjects;
        if refused.len() < REFUSALS_MAX || refused.contains_key(subject) {
            refused.insert(subject.to_owned(), Instant::now());
        }
    }

    /// Notes a refusal; whether it was not logged within the last minute.
    fn is_news(&self, text: &str, refused: &str, kind: RefusalKind) -> bool {
        let mut state = self.state.lock();
        let now = Instant::now();
        if kind != RefusalKind::Other {
            state.refused = Some((now, refused.to_owned()));
        }
        let is_known = state.refusals.contains_key(text) || state.refusals.len() < REFUSALS_MAX;
        let key = if is_known { text } else { "" };
        let last = state.refusals.insert(key.to_owned(), now);
        match last {
            Some(at) if at.elapsed() < TELL_EVERY => {
                state.refusals.insert(key.to_owned(), at);
                false
            }
            Some(_) | None => true,
        }
    }

    fn tell(&self, fault: &Fault) {
        let Fault { server, reason, is_configuration } = fault;
        let text = format!("NATS at {server} cannot be used {}: {reason}", self.user);
        if *is_configuration {
            tracing::error!(nats.server = server, nats.user = self.user, reason, "{text}");
        } else {
            tracing::warn!(nats.server = server, nats.user = self.user, reason, "{text}");
        }
    }
}

/// What kind of thing a server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalKind {
    Authorization,
    Permissions,
    Other,
}

impl RefusalKind {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match () {
            () if text.contains("permissions violation") => Self::Permissions,
            () if text.contains("authorization") || text.contains("authentication") => {
                Self::Authorization
            }
            () => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Permissions => "permissions",
            Self::Other => "other",
        }
    }
}

/// The user of a sign-in, as it stands in log lines.
fn user(sign_in: &SignIn) -> String {
    match sign_in {
        SignIn::Nobody => "without a user".to_owned(),
        SignIn::Token(_) => "with a token".to_owned(),
        SignIn::User { user, .. } => format!("as user {user}"),
    }
}

/// The subject that a permissions violation names.
fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

/// Host and port alone: an address may hold a password.
fn name(server: &ServerAddr) -> String {
    format!("{}:{}", server.host(), server.port())
}

fn names(servers: &[ServerAddr]) -> String {
    servers.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Logs why there is no connection, until the process drains.
pub fn watch(bus: &Bus, life: &Lifecycle) {
    let (bus, life_of_task) = (bus.clone(), life.clone());
    life.spawn(async move {
        tokio::select! {
            () = look(&bus) => {}
            () = life_of_task.draining() => {}
        }
    });
}

async fn look(bus: &Bus) {
    let mut told: Option<(Vec<Fault>, Instant)> = None;
    let mut tried_at: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if bus.is_connected() {
            (told, tried_at) = (None, None);
            continue;
        }
        if tried_at.is_some_and(|at| at.elapsed() < TRY_EVERY) {
            continue;
        }
        tried_at = Some(Instant::now());
        let asked = bus.servers().iter().map(|server| try_server(server, bus.sign_in()));
        let faults: Vec<Fault> =
            futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        // Where one server accepts us, the connection is about to return.
        if bus.is_connected() || faults.len() < bus.servers().len() {
            continue;
        }
        let reasons: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.server, fault.reason)).collect();
        bus.diagnostics().state.lock().fault =
            Some(format!("no connection {}: {}", bus.diagnostics().user, reasons.join("; ")));
        let is_due = told
            .as_ref()
            .is_none_or(|(before, at)| *before != faults || at.elapsed() >= TELL_EVERY);
        if is_due {
            for fault in &faults {
                bus.diagnostics().tell(fault);
            }
            told = Some((faults, Instant::now()));
        }
    }
}

/// Tries one server with our sign-in; `None` where it accepts us.
async fn try_server(server: &ServerAddr, sign_in: &SignIn) -> Option<Fault> {
    let options = sign_in
        .options()
        .name("chatboard diagnosis")
        .max_reconnects(1)
        .ignore_discovered_servers()
        .connection_timeout(CONNECT_TIMEOUT);
    let connecting = options.connect(server.clone());
    let fault = |reason: String, is_configuration| {
        Some(Fault { server: name(server), reason, is_configuration })
    };
    match tokio::time::timeout(CONNECT_TIMEOUT * 2, connecting).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                fault("authorization violation: wrong user or password".to_owned(), true)
            }
            kind if is_tls(kind, &causes(&error)) => fault(tls_fault(server, &error), true),
            _ => fault(causes(&error), false),
        },
        Err(_) => fault("it does not answer in time".to_owned(), false),
    }
}

/// Whether a connection failed in its TLS handshake: a server without TLS answers it with text,
/// which async-nats reports as an I/O error.
fn is_tls(kind: ConnectErrorKind, causes: &str) -> bool {
    let marks = ["corrupt message", "certificate", "handshake", "tls"];
    let causes = causes.to_ascii_lowercase();
    kind == ConnectErrorKind::Tls || marks.iter().any(|mark| causes.contains(mark))
}

fn tls_fault(server: &ServerAddr, error: &async_nats::ConnectError) -> String {
    let causes = causes(error);
    if server.tls_required() {
        format!("TLS failed ({causes}): does that server have TLS, and is its certificate trusted?")
    } else {
        format!("the server wants TLS, and it failed ({causes}): is its certificate trusted?")
    }
}

/// An error with its causes, without repeats.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permissions_violation_names_its_subject_and_is_counted_once_a_minute() {
        let text = r#"Permissions Violation for Subscription to "chat.rpc.*" using queue "api""#;
        assert_eq!(RefusalKind::of(text), RefusalKind::Permissions);
        assert_eq!(quoted(text), Some("chat.rpc.*"));
        let diagnostics = Diagnostics::new(&SignIn::User {
            user: "edge".to_owned(),
            password: "hidden".to_owned(),
        });
        assert!(diagnostics.is_news(text, "refused", RefusalKind::Permissions));
        assert!(!diagnostics.is_news(text, "refused", RefusalKind::Permissions));
        assert_eq!(diagnostics.fault().as_deref(), Some("refused"));
        for number in 0..REFUSALS_MAX * 2 {
            diagnostics.is_news(&number.to_string(), "refused", RefusalKind::Other);
        }
        assert!(diagnostics.state.lock().refusals.len() <= REFUSALS_MAX + 1);
    }

    #[test]
    fn addresses_are_named_without_user_and_password() {
        let server: ServerAddr = "nats://user:hidden@host:4333".parse().unwrap();
        assert_eq!(name(&server), "host:4333");
    }
}
