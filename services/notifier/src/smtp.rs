//! The mail server: one pool of connections, and what its answers mean.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use parking_lot::Mutex;
use url::{Host, Url};

/// How long one command may take, connecting included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
/// How long handing over a mail may take in all.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections at once.
const CONNECTIONS_MAX: u32 = 8;
/// A server that answered this short a while ago is taken to be there.
const TRUST: Duration = Duration::from_secs(5);
/// One that did not is not asked again for each mail.
const DISTRUST: Duration = Duration::from_secs(1);
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 300;

/// What a mail server made of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it.
    Taken,
    /// It may take it later, or was never asked.
    Later(String),
    /// It never will.
    Never(String),
}

/// A mail server.
#[derive(Debug)]
pub(crate) struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Server {
    /// The server of a URL: `smtp://` uses TLS when the server offers it (`?tls=required` insists,
    /// as a password in the address does unless the server is on this machine; `?tls=none` never
    /// does), `smtps://` speaks nothing else.
    ///
    /// # Errors
    /// When the URL is no good.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let url: Url = url.parse().context("CHATBOARD_SMTP_URL is no URL")?;
        let host = url.host_str().context("CHATBOARD_SMTP_URL names no host")?.to_owned();
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => host == "localhost",
        };
        let has_password = url.password().is_some();
        let wish = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, wish)| wish);
        let parameters = || TlsParameters::new(host.clone()).context("TLS cannot be set up");
        let (tls, port) = match (url.scheme(), wish.as_deref()) {
            ("smtps", None) => (Tls::Wrapper(parameters()?), 465),
            ("smtp", Some("none")) => (Tls::None, 25),
            ("smtp", Some("required")) => (Tls::Required(parameters()?), 587),
            ("smtp", None) if has_password && !is_local => (Tls::Required(parameters()?), 587),
            ("smtp", None) => (Tls::Opportunistic(parameters()?), 25),
            _ => bail!("CHATBOARD_SMTP_URL: `?tls=` goes with smtp:// and is required or none"),
        };
        let pool = PoolConfig::new().max_size(CONNECTIONS_MAX);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(pool);
        if let Some(password) = url.password() {
            let plain = |text: &str| {
                percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
            };
            builder = builder.credentials(Credentials::new(plain(url.username()), plain(password)));
        }
        Ok(Self { transport: builder.build(), last: Mutex::new(None) })
    }

    /// Whether the server can be talked to: asked before a mail is recorded as handed over, so
    /// that a server that is away is never taken for one that took it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn is_there(&self) -> Result<(), String> {
        let last = self.last.lock().clone();
        match last {
            Some((at, Ok(()))) if at.elapsed() < TRUST => return Ok(()),
            Some((at, Err(error))) if at.elapsed() < DISTRUST => return Err(error),
            _ => {}
        }
        let asking = tokio::time::timeout(2 * COMMAND_TIMEOUT, self.transport.test_connection());
        let is_there = match asking.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the mail server hung up".to_owned()),
            Ok(Err(error)) => Err(shown(&error)),
            Err(_) => Err("the mail server does not answer".to_owned()),
        };
        *self.last.lock() = Some((Instant::now(), is_there.clone()));
        is_there
    }

    /// Hands a mail over.
    ///
    /// Not cancel-safe: what became of the mail is then unknown.
    pub(crate) async fn send(&self, mail: Message) -> Answer {
        let answer = match tokio::time::timeout(SEND_TIMEOUT, self.transport.send(mail)).await {
            Ok(Ok(_)) => Answer::Taken,
            Ok(Err(error)) if error.is_permanent() => Answer::Never(shown(&error)),
            Ok(Err(error)) => Answer::Later(shown(&error)),
            Err(_) => Answer::Later("the mail server does not answer".to_owned()),
        };
        *self.last.lock() = (answer == Answer::Taken).then(|| (Instant::now(), Ok(())));
        answer
    }
}

/// An error with its causes, fit to be kept. What a server says may hold anything.
fn shown(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    without_addresses(&text)
}

/// A server's words without the addresses that they repeat: logs hold none.
fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "…@…" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::{Server, without_addresses};

    #[test]
    fn errors_hold_no_addresses() {
        let said = "permanent error (550): 5.1.1 <bob@chat.test>: no\r\nsuch user";
        let kept = "permanent error (550): 5.1.1 …@… no such user";
        assert_eq!(without_addresses(said), kept);
    }

    #[tokio::test]
    async fn addresses_of_mail_servers() {
        for good in [
            "smtp://127.0.0.1:2525",
            "smtp://u:p%40w@mail.example.org",
            "smtp://u:p@mail.example.org:587?tls=required",
            "smtp://mail.example.org?tls=none",
            "smtps://u:p@mail.example.org",
            "smtp://[::1]:25",
        ] {
            Server::new(good).unwrap_or_else(|error| panic!("{good}: {error:#}"));
        }
        for bad in
            ["smtp://m.example?tls=perhaps", "smtps://m.example?tls=none", "http://m.example"]
        {
            assert!(Server::new(bad).is_err(), "{bad}");
        }
    }
}
