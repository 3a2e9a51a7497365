//! Which nats-servers ChatBoard works with: recent ones that let nobody in without signing in.
//!
//! Whoever may connect to NATS without credentials reads and writes every room as anyone. What a
//! server says of itself (`auth_required`) proves nothing, since `no_auth_user` lets anyone in all
//! the same: so a connection without credentials is really tried.

use std::time::Duration;

use anyhow::bail;
use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use runtime::Lifecycle;

use crate::bus::Bus;

/// The oldest nats-server that works: major and minor version.
const VERSION_MIN: (u32, u32) = (2, 11);
/// How long a server may take to let us in or turn us away.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a start waits for the first connection before it goes on without NATS.
const FIRST_CONNECTION: Duration = Duration::from_secs(2);
/// The pause before servers that could not be probed are probed again.
const RETRY: Duration = Duration::from_secs(5);

/// What a connection without credentials showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probed {
    /// It was turned away.
    Closed,
    /// It was let in.
    Open,
    /// The server could not be reached.
    Unknown,
}

/// Checks the servers of a connection, which must be there.
///
/// # Errors
/// When a server is too old, or lets anyone in and `allows_unauthenticated` is false.
pub async fn check(bus: &Bus, allows_unauthenticated: bool) -> anyhow::Result<()> {
    check_servers(bus, allows_unauthenticated, bus.servers().to_vec()).await.map(drop)
}

/// Checks the servers now, if NATS answers within two seconds, and after each later connection,
/// as long as the process runs: it stops and fails on a server that must not be used.
///
/// # Errors
/// As [`check`].
pub async fn keep_checking(
    bus: &Bus,
    allows_unauthenticated: bool,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let mut connections = bus.connections();
    let connected = connections.wait_for(|&count| count > 0);
    let is_connected =
        tokio::time::timeout(FIRST_CONNECTION, connected).await.is_ok_and(|found| found.is_ok());
    let mut unknown = Vec::new();
    if is_connected {
        unknown = check_servers(bus, allows_unauthenticated, bus.servers().to_vec()).await?;
    }
    let (bus, life_of_task) = (bus.clone(), life.clone());
    life.spawn_essential("NATS check", async move {
        let checking = async {
            loop {
                tokio::select! {
                    changed = connections.changed() => match changed {
                        Ok(()) => unknown = bus.servers().to_vec(),
                        Err(_) => return std::future::pending().await,
                    },
                    () = tokio::time::sleep(RETRY), if !unknown.is_empty() => {}
                }
                unknown = check_servers(&bus, allows_unauthenticated, unknown).await?;
            }
        };
        tokio::select! {
            result = checking => result,
            () = life_of_task.draining() => Ok(()),
        }
    });
    Ok(())
}

/// Checks the version of the server that we are connected to, and whether any of `servers` is
/// open. Returns those that could not be asked.
async fn check_servers(
    bus: &Bus,
    allows_unauthenticated: bool,
    servers: Vec<ServerAddr>,
) -> anyhow::Result<Vec<ServerAddr>> {
    let version = bus.client().server_info().version;
    if is_too_old(&version) {
        let (major, minor) = VERSION_MIN;
        bail!("nats-server {version} is too old: ChatBoard needs {major}.{minor} or later");
    }
    let mut unknown = Vec::new();
    if allows_unauthenticated {
        return Ok(unknown);
    }
    for server in servers {
        match probe(&server).await {
            Probed::Closed => {}
            Probed::Unknown => unknown.push(server),
            Probed::Open => bail!(
                "NATS at {}:{} accepts connections without signing in, so anyone who reaches it \
                 can read and write every room: set a password (see nats/server.conf), or \
                 CHATBOARD_NATS_ALLOW_UNAUTHENTICATED=true to accept that",
                server.host(),
                server.port(),
            ),
        }
    }
    Ok(unknown)
}

async fn probe(server: &ServerAddr) -> Probed {
    // The scheme stays; user and password go.
    let address = format!("{}://{}:{}", server.scheme(), server.host(), server.port());
    let Ok(address) = address.parse::<ServerAddr>() else { return Probed::Unknown };
    let options = ConnectOptions::new()
        .name("chatboard: does this server let anyone in?")
        .max_reconnects(1)
        .connection_timeout(PROBE_TIMEOUT);
    match tokio::time::timeout(PROBE_TIMEOUT, options.connect(address)).await {
        Ok(Ok(_)) => Probed::Open,
        Ok(Err(error)) => match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Probed::Closed
            }
            _ => Probed::Unknown,
        },
        Err(_) => Probed::Unknown,
    }
}

/// Whether a version is below the floor; one that cannot be read is not known to be.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < VERSION_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_below_the_floor_is_too_old() {
        for old in ["2.10.29", "2.9.0", "1.99.0"] {
            assert!(is_too_old(old), "{old}");
        }
        for good in ["2.11.0", "2.12.1-beta.1", "3.0.0", "", "unknown"] {
            assert!(!is_too_old(good), "{good}");
        }
    }
}
