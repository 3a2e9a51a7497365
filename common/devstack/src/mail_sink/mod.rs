//! A mail server that delivers nothing: it keeps what it is given, for people to look at in a
//! browser and for tests to read.
//!
//! **Invariants:** it listens on loopback alone; a session is bounded in time, a mail in size,
//! the folder in mails; a mail is whole in its file before the sender hears that it was taken.

mod mail;
mod page;
mod smtp;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use runtime::Lifecycle;
use runtime::serve::Gate;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::{ports, system};

pub use mail::Mail;

/// Mails that are kept; the oldest go first.
const MAILS_MAX: usize = 500;

/// The sink, listening. Clones are the same one; it ends with the life that it was given.
#[derive(Clone, Debug)]
pub struct MailSink {
    state: Arc<State>,
    smtp: u16,
    page: u16,
}

/// What sessions and pages share.
#[derive(Debug)]
struct State {
    folder: PathBuf,
    next: AtomicU64,
    /// How many mails were taken since the start.
    taken: watch::Sender<u64>,
    /// While true, no taken mail is confirmed to its sender.
    withholds: watch::Sender<bool>,
}

impl MailSink {
    /// Starts it over a folder, which is made if need be, on these ports if they are free.
    ///
    /// # Errors
    /// When the folder cannot be made, or no port is free.
    pub async fn start(
        folder: &Path,
        (smtp, page): (Option<u16>, Option<u16>),
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        system::make_private_folder(folder)?;
        let newest = mail::ids(folder).into_iter().next().unwrap_or(0);
        let state = Arc::new(State {
            folder: folder.to_owned(),
            next: AtomicU64::new(newest + 1),
            taken: watch::Sender::new(0),
            withholds: watch::Sender::new(false),
        });
        let (smtp, smtp_port) = listen(smtp, "mails").await?;
        let (page, page_port) = listen(page, "the mails' page").await?;
        life.spawn_essential("mail sink", smtp::accept_all(smtp, state.clone(), life.clone()));
        runtime::serve::serve(page, page::router(state.clone()), &Gate::unbounded(), life);
        Ok(Self { state, smtp: smtp_port, page: page_port })
    }

    /// Where mails are handed over: `smtp://…`.
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.smtp)
    }

    /// Where they are shown: `http://…`.
    pub fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.page)
    }

    /// The ports of both.
    pub fn ports(&self) -> (u16, u16) {
        (self.smtp, self.page)
    }

    /// The mails that are kept, newest first.
    pub fn mails(&self) -> Vec<Mail> {
        let ids = mail::ids(&self.state.folder);
        ids.into_iter().filter_map(|id| Mail::read(&self.state.folder, id)).collect()
    }

    /// Counts the mails that were taken since the start: changes with each.
    pub fn taken(&self) -> watch::Receiver<u64> {
        self.state.taken.subscribe()
    }

    /// While true, mails are taken but not confirmed: the sender cannot know what became of them.
    pub fn withhold_answers(&self, withholds: bool) {
        self.state.withholds.send_replace(withholds);
    }
}

impl State {
    /// Keeps a mail under the next number, and forgets what is one too many.
    fn keep(&self, mail: &[u8]) -> anyhow::Result<()> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        mail::write(&self.folder, id, mail)?;
        for old in mail::ids(&self.folder).into_iter().skip(MAILS_MAX) {
            mail::remove(&self.folder, old);
        }
        self.taken.send_modify(|taken| *taken += 1);
        Ok(())
    }
}

pub(crate) async fn listen(wanted: Option<u16>, what: &str) -> anyhow::Result<(TcpListener, u16)> {
    let port = ports::free_port(wanted)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port} for {what}"))?;
    Ok((listener, port))
}
