//! The one HTTP client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::OrgId;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use rustls::{ClientConfig, RootCertStore};

use crate::guard::{Forbidden, Guard};
use crate::target::Target;

/// Bytes of an answer's body that are read, so that the connection may be used again.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// How long reading it may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection is kept for the next request to the same host.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections kept for one host.
const IDLE_PER_HOST_MAX: usize = 4;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to be made: a `POST` of JSON.
#[derive(Clone, Debug)]
pub struct Request {
    /// The organization whose bounds it counts towards.
    pub org: OrgId,
    /// Headers besides those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// The body's very bytes.
    pub body: Bytes,
    /// How long the status may take, from resolving the name on.
    pub timeout: Duration,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
}

/// Why there is no answer. Its text says nothing of our own network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may not be reached.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection.
    #[error("the connection could not be made")]
    Connect,
    /// The connection broke, or what came is no HTTP.
    #[error("the answer could not be read")]
    Broken,
}

/// Makes requests to where the guard lets it. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    guard: Guard,
    http: reqwest::Client,
}

impl Client {
    /// A client that says `user_agent`.
    ///
    /// # Errors
    /// When the system's certificates make no sense.
    #[expect(clippy::disallowed_methods, reason = "the one place where an HTTP client is made")]
    pub fn new(guard: Guard, user_agent: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(Arc::new(Guarded(guard.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .user_agent(user_agent)
            .build()?;
        Ok(Self { guard, http })
    }

    /// What this client may reach.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post(&self, target: &Target, request: Request) -> Result<Answer, Failure> {
        if self.guard.refuses_literal(target) {
            return Err(Forbidden::NotPublic.into());
        }
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in request.headers {
            let value = HeaderValue::from_str(&value).map_err(|_| Failure::Broken)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let call = self.http.post(target.url().clone()).headers(headers).body(request.body);
        let call = ORG.scope(request.org, call.send());
        let mut response = tokio::time::timeout(request.timeout, call)
            .await
            .map_err(|_| Failure::Timeout)?
            .map_err(|error| failure(&error))?;
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        };
        // The answer is known. A body that drips, or never ends, costs its connection.
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(&mut response)).await;
        Ok(answer)
    }
}

async fn discard(response: &mut reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES_MAX {
            break;
        }
    }
}

/// Trusts what the system trusts. Without any certificate https fails, and http goes on.
fn tls() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

tokio::task_local! {
    /// The organization of the current request. [`Guarded`] reads it here, because a resolver is passed
    /// only the name.
    static ORG: OrgId;
}

/// Resolves names for connections: they go to what this returns and nowhere else.
struct Guarded(Guard);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        let org = ORG.try_with(|org| *org).unwrap_or(OrgId::NOWHERE);
        Box::pin(async move {
            let found = guard.resolve(name.as_str(), org).await?;
            let addresses: Vec<_> =
                found.iter().map(|&address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What an error means to whoever owns the endpoint.
fn failure(error: &reqwest::Error) -> Failure {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return Failure::Forbidden(*forbidden);
        }
        source = cause.source();
    }
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Connect
    } else {
        Failure::Broken
    }
}
