//! From what is due to mails in people's boxes.
//!
//! Postgres holds the schedule: mails that others have written (invites, resets, notices), and
//! notifications that nobody has read, which become one digest per person. [`schedule`] finds
//! what is due and puts jobs on the queue NOTIFICATIONS; [`work`] takes a job, looks again
//! whether there is something to say, hands the mail to the mail server and records the answer;
//! only then is the job acknowledged. **Invariants:** a mail server that is away delays and loses
//! nothing; no digest goes out twice when a notifier dies; texts are rendered as they are at the
//! moment of handing over; nothing that people have written can leave its place in a mail.

mod clean;
mod render;
mod schedule;
mod smtp;
mod work;

use std::sync::Arc;
use std::time::Duration;

use domain::MailId;
use domain::mail::MailKind;
use nats::bus::Bus;
use nats::presence::Directory;
use nats::streams::StreamSettings;
use parking_lot::Mutex;
use runtime::meter::{Counter, Gauge, label};
use runtime::parked::Parked;
use runtime::{Clock, Lifecycle};
use store::{Store, Tx};

use crate::render::Writer;
use crate::smtp::Server;

/// How the notifier is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// What people reach us under, for links: no slash at the end.
    pub public_url: String,
    /// Where mails are handed over: `smtp://user:password@host:587`. Without it, they wait.
    pub smtp_url: Option<String>,
    /// The sender: `Name <address>`. Empty for `no-reply` at the host of `public_url`.
    pub mail_from: String,
    /// How long a notification may stay unread before it is mailed; also, how long someone who is
    /// online is left alone.
    pub mail_delay: Duration,
    /// How often the schedule is looked at.
    pub scan_every: Duration,
    /// The pause after the first attempt that failed; it doubles with each further one.
    pub retry_after: Duration,
    /// How the stream is made, should it be missing.
    pub streams: StreamSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            smtp_url: None,
            mail_from: String::new(),
            mail_delay: Duration::from_secs(60),
            scan_every: Duration::from_secs(1),
            retry_after: Duration::from_secs(5),
            streams: StreamSettings::default(),
        }
    }
}

/// What all parts of a notifier work with.
#[derive(Clone, Debug)]
struct Notifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Store,
    bus: Bus,
    presence: Directory,
    clock: Clock,
    writer: Writer,
    server: Option<Server>,
    life: Lifecycle,
    /// Mails that cannot be handed over.
    failing: Mutex<Parked<MailId>>,
}

impl std::ops::Deref for Notifier {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How long one statement may take: below the 15 s after which Postgres ends a transaction in which
/// nothing happens.
const STATEMENT_BUDGET: Duration = Duration::from_secs(5);

impl Notifier {
    async fn begin(&self) -> store::Result<Tx> {
        self.store.begin_bounded(STATEMENT_BUDGET).await
    }
}

/// Starts a notifier. Any number of them share the work.
///
/// # Errors
/// When the mail server's address or the sender is no good.
#[expect(clippy::unused_async, reason = "every role starts the same way")]
pub async fn start(
    config: Config,
    store: Store,
    bus: Bus,
    clock: Clock,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let writer = Writer::new(&config.public_url, &config.mail_from)?;
    let server = config.smtp_url.as_deref().map(Server::new).transpose()?;
    Gauge::MailConfigured.set(if server.is_some() { 1.0 } else { 0.0 });
    if server.is_none() {
        tracing::warn!(
            "CHATBOARD_SMTP_URL is not set: invites, password resets and notifications are not \
             mailed, they wait until it is"
        );
    }
    for kind in MailKind::ALL {
        // There from the start: an alert does not see the first of what it watches otherwise.
        let labels = vec![label("kind", kind.as_str()), label("outcome", "failed")];
        Counter::MailAttempts.add_with(0, labels);
    }
    Counter::WorkDead.add_with(0, vec![label("work", "mails")]);
    let has_server = server.is_some();
    let inner = Inner {
        config,
        store,
        presence: Directory::start(&bus, "notifier", life),
        bus,
        clock,
        writer,
        server,
        life: life.clone(),
        failing: Mutex::new(Parked::new("mails")),
    };
    let notifier = Notifier(Arc::new(inner));
    life.spawn_essential("notifier schedule", schedule::run(notifier.clone()));
    if has_server {
        life.spawn_essential("notifier", work::run(notifier));
    }
    Ok(())
}
