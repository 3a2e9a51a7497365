//! Enough of SMTP (RFC 5321) to be handed mails.

use std::sync::Arc;
use std::time::Duration;

use runtime::Lifecycle;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::State;
use super::mail::RECIPIENT_HEADER;

/// Sessions at once; further ones are turned away.
const SESSIONS_MAX: usize = 64;
/// How long a session may take in all.
const SESSION_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the next line may take.
const LINE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a line, in commands and in mails.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a mail.
const MAIL_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Recipients of a mail.
const RECIPIENTS_MAX: usize = 100;

pub(super) async fn accept_all(
    listener: TcpListener,
    state: Arc<State>,
    life: Lifecycle,
) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(SESSIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.draining() => return Ok(()),
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let (state, life_of_session) = (Arc::clone(&state), life.clone());
        life.spawn(async move {
            let session = Session::new(stream, state).run();
            tokio::select! {
                ended = tokio::time::timeout(SESSION_TIMEOUT, session) => {
                    if let Ok(Err(error)) = ended {
                        tracing::debug!(error = %error, "a session of the mail sink ended: {error}");
                    }
                }
                // An idle client would otherwise hold up the end.
                () = life_of_session.draining() => {}
            }
            drop(slot);
        });
    }
}

struct Session {
    stream: BufReader<TcpStream>,
    state: Arc<State>,
    sender: Option<String>,
    recipients: Vec<String>,
}

impl Session {
    fn new(stream: TcpStream, state: Arc<State>) -> Self {
        Self { stream: BufReader::new(stream), state, sender: None, recipients: Vec::new() }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        self.say("220 mail-sink.localhost ESMTP").await?;
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb: String = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let lines = format!(
                        "250-mail-sink.localhost\r\n250-SIZE {MAIL_BYTES_MAX}\r\n250-8BITMIME\r\n250 SMTPUTF8"
                    );
                    self.say(&lines).await?;
                }
                "HELO" | "NOOP" => self.say("250 OK").await?,
                "MAIL" => {
                    self.reset();
                    self.sender = address(&line);
                    self.say_taken(self.sender.is_some()).await?;
                }
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.reset();
                    self.say("250 OK").await?;
                }
                "VRFY" => self.say("252 perhaps").await?,
                "QUIT" => {
                    self.say("221 bye").await?;
                    break;
                }
                _ => self.say("502 not known here").await?,
            }
        }
        Ok(())
    }

    async fn recipient(&mut self, line: &str) -> anyhow::Result<()> {
        if self.sender.is_none() {
            return self.say("503 MAIL comes first").await;
        }
        if self.recipients.len() >= RECIPIENTS_MAX {
            return self.say("452 too many recipients").await;
        }
        let recipient = address(line);
        let is_address = recipient.as_ref().is_some_and(|one| !one.is_empty());
        self.recipients.extend(recipient.filter(|_| is_address));
        self.say_taken(is_address).await
    }

    async fn data(&mut self) -> anyhow::Result<()> {
        if self.recipients.is_empty() {
            return self.say("503 RCPT comes first").await;
        }
        self.say("354 end with a dot").await?;
        let mut mail = Vec::new();
        for recipient in &self.recipients {
            mail.extend_from_slice(format!("{RECIPIENT_HEADER}: {recipient}\r\n").as_bytes());
        }
        loop {
            let Some(line) = self.line().await? else { anyhow::bail!("cut off in a mail") };
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            // The first dot of a line that begins with one was put there for the journey.
            let line = line.strip_prefix(b".").unwrap_or(&line);
            if mail.len() <= MAIL_BYTES_MAX {
                mail.extend_from_slice(line);
            }
        }
        self.reset();
        if mail.len() > MAIL_BYTES_MAX {
            return self.say("552 too large").await;
        }
        self.state.keep(&mail)?;
        let mut withholds = self.state.withholds.subscribe();
        withholds.wait_for(|withholds| !withholds).await?;
        self.say("250 kept").await
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    async fn say_taken(&mut self, is_taken: bool) -> anyhow::Result<()> {
        self.say(if is_taken { "250 OK" } else { "501 no address in <>" }).await
    }

    async fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let text = format!("{text}\r\n");
        let writing = self.stream.get_mut().write_all(text.as_bytes());
        Ok(tokio::time::timeout(LINE_TIMEOUT, writing).await??)
    }

    /// The next line with its end; `None` once the client is gone.
    async fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(LINE_BYTES_MAX);
        let reading = bounded.read_until(b'\n', &mut line);
        let read = tokio::time::timeout(LINE_TIMEOUT, reading).await??;
        anyhow::ensure!(read == 0 || line.ends_with(b"\n"), "a line without an end");
        Ok((read > 0).then_some(line))
    }
}

/// The address in `MAIL FROM:<…>`; empty for the sender of bounces.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}
