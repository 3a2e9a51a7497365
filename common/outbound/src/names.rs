//! From a host's name to its addresses.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a name may take to be resolved.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// What resolves names; the system's, or a test's.
pub trait Lookup: Send + Sync {
    /// The addresses of a name; none when it has none.
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>>;
}

/// Resolves names. Clones share the way.
#[derive(Clone)]
pub struct Names(Arc<dyn Lookup>);

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Default for Names {
    /// As the system does.
    fn default() -> Self {
        Self(Arc::new(System))
    }
}

impl Names {
    /// As `lookup` does.
    pub fn of(lookup: Arc<dyn Lookup>) -> Self {
        Self(lookup)
    }

    /// The addresses of a name; none when it has none, or the answer takes too long.
    pub(crate) async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let lookup = self.0.lookup(name.to_owned());
        tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await.unwrap_or_default()
    }
}

struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>> {
        Box::pin(async move {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            }
        })
    }
}
