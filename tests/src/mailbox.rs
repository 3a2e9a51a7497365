//! Where a board's mails go: the sink of `chatboard dev`, in this process.

use std::collections::BTreeSet;
use std::path::PathBuf;

use devstack::MailSink;
use devstack::mail_sink::Mail;
use parking_lot::Mutex;
use runtime::Lifecycle;

use crate::wait::{DEADLINE, eventually};

/// A mail server that can be stopped and started again. Dropping it removes its mails.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    running: tokio::sync::Mutex<Running>,
    ports: (u16, u16),
    /// Mails that [`Self::mail_to`] has returned.
    seen: Mutex<BTreeSet<u64>>,
}

#[derive(Debug)]
struct Running {
    sink: MailSink,
    life: Lifecycle,
}

impl Running {
    async fn start(folder: &std::path::Path, ports: (Option<u16>, Option<u16>)) -> Self {
        let life = Lifecycle::new();
        let sink = MailSink::start(folder, ports, &life).await.expect("the mail sink starts");
        Self { sink, life }
    }
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let name = format!("chatboard-mails-{}-{}", std::process::id(), rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        let running = Running::start(&folder, (None, None)).await;
        let ports = running.sink.ports();
        let seen = Mutex::default();
        Self { folder, running: tokio::sync::Mutex::new(running), ports, seen }
    }

    /// Where mails are handed over.
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.ports.0)
    }

    /// Where they are shown.
    pub fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.1)
    }

    /// Stops the mail server at once, connections and all.
    pub async fn goes_away(&self) {
        let running = self.running.lock().await;
        running.life.abort();
        running.life.stop(DEADLINE).await;
    }

    /// Starts it again, on the same port.
    pub async fn comes_back(&self) {
        let ports = (Some(self.ports.0), Some(self.ports.1));
        let mut running = self.running.lock().await;
        *running = Running::start(&self.folder, ports).await;
        assert_eq!(running.sink.ports(), self.ports, "somebody took the port");
    }

    /// While true, mails are taken but not confirmed.
    pub async fn withhold_answers(&self, withholds: bool) {
        self.running.lock().await.sink.withhold_answers(withholds);
    }

    /// All mails to an address, the oldest first.
    pub async fn mails_to(&self, email: &str) -> Vec<Mail> {
        let mut mails = self.running.lock().await.sink.mails();
        mails.retain(|mail| mail.recipients.iter().any(|one| one.eq_ignore_ascii_case(email)));
        mails.reverse();
        mails
    }

    /// The next mail to an address that was not returned before.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn mail_to(&self, email: &str) -> Mail {
        let mail = eventually(&format!("a mail to {email}"), DEADLINE, || async {
            let mails = self.mails_to(email).await;
            mails.into_iter().find(|mail| !self.seen.lock().contains(&mail.id))
        })
        .await;
        self.seen.lock().insert(mail.id);
        mail
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Ok(running) = self.running.try_lock() {
            running.life.abort();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
