//! Ports on loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

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

/// A free port for a server of ours, `wanted` if that is free. No port is given twice by one
/// process before all others were: whoever was given one may bind it a while later.
///
/// # Errors
/// When none is free, or the system has no randomness.
pub fn free_port(wanted: Option<u16>) -> anyhow::Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    if let Some(port) = wanted.filter(|&port| is_free(port)) {
        return Ok(port);
    }
    let start = start()?;
    let size = RANGE.end - RANGE.start;
    for _ in 0..size {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % size;
        let port = RANGE.start + (start + given) % size;
        if is_free(port) {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free on loopback")
}

/// Where this process begins to look: at a random place, since several may be looking at once.
fn start() -> anyhow::Result<u16> {
    static START: OnceLock<u16> = OnceLock::new();
    if let Some(&start) = START.get() {
        return Ok(start);
    }
    let word = crate::system::random_word()?;
    let random = u16::from_str_radix(&word[..4], 16)?;
    Ok(*START.get_or_init(|| random % (RANGE.end - RANGE.start)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<u16> = (0..200).map(|_| super::free_port(None).unwrap()).collect();
        let different: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(different.len(), ports.len());
    }
}
