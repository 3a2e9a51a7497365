//! Ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

/// Where we look: below the range from which systems give outgoing connections theirs. A client
/// that tries to reconnect to a server that is down could otherwise be given the server's own
/// port, and connect to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Whether nobody listens on a port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The first free port from `first` on, or `remembered` while that is free; none of `taken`.
///
/// # Errors
/// When a thousand ports in a row are taken.
pub fn free_from(first: u16, remembered: Option<u16>, taken: &[u16]) -> anyhow::Result<u16> {
    remembered
        .into_iter()
        .chain(first..first.saturating_add(1_000))
        .find(|&port| !taken.contains(&port) && is_free(port))
        .ok_or_else(|| anyhow::anyhow!("no port is free from {first} on"))
}

/// A free port for a server of ours, `wanted` if that is free.
///
/// # Errors
/// When none is free, or the system has no randomness.
pub fn free_port(wanted: Option<u16>) -> anyhow::Result<u16> {
    if let Some(port) = wanted.filter(|&port| is_free(port)) {
        return Ok(port);
    }
    // From a random place on: several processes may be looking at the same time.
    let word = crate::system::random_word()?;
    let offset = u16::from_str_radix(&word[..4], 16)? % (RANGE.end - RANGE.start);
    RANGE
        .map(|port| RANGE.start + (port - RANGE.start + offset) % (RANGE.end - RANGE.start))
        .find(|&port| is_free(port))
        .ok_or_else(|| anyhow::anyhow!("no port is free on loopback"))
}
