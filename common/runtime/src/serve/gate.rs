//! What clients may hold of the server at once: connections, requests, unread answers.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use parking_lot::Mutex;

use crate::address::{SITE_CLIENTS, TrustedProxies, client_prefix, client_site};
use crate::meter::{Counter, Gauge, Held, label};
use crate::slots::{Slot, Slots};

/// The part of the room for answers that is free which one client may hold: 1 / so much. `n` clients
/// that read nothing hold n / (n + 8) of all together.
const FREE_SHARE: u64 = 8;

/// Bounds of one process. 0 is no bound. A client is an address ([`client_prefix`]); the clients of
/// an IPv6 site together hold [`SITE_CLIENTS`] times as much as one.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// TCP connections of all clients, WebSockets included.
    pub connections: usize,
    /// TCP connections of one client that are not WebSockets.
    pub connections_per_client: u32,
    /// Connections of one client that have not sent the head of their first request.
    pub heads_per_client: u32,
    /// Requests of one client that are not answered, or whose answer is not taken yet.
    pub requests_per_client: u32,
    /// Bytes of answers that clients have not taken yet.
    pub response_bytes: u64,
    /// Those of one client.
    pub response_bytes_per_client: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_client: 1_024,
            heads_per_client: 256,
            requests_per_client: 256,
            response_bytes: 256 * 1024 * 1024,
            response_bytes_per_client: 32 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// Bounds of the operations port, which clients do not reach.
    pub fn operations() -> Self {
        Self { connections: 64, ..Self::default() }
    }
}

/// Counts what clients hold, for all listeners of a process that share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    proxies: TrustedProxies,
    all: Slots<()>,
    connections: ClientSlots,
    heads: ClientSlots,
    requests: ClientSlots,
    bytes: Slots<()>,
    bytes_max: u64,
    bytes_of: ClientSlots,
}

/// What each client may hold, and what all clients of an IPv6 site may hold together.
#[derive(Debug)]
struct ClientSlots {
    clients: Slots<IpAddr>,
    sites: Slots<IpAddr>,
}

/// What a client has taken, which counts for its site too.
#[derive(Debug)]
pub(super) struct ClientSlot {
    _client: Slot<IpAddr>,
    _site: Option<Slot<IpAddr>>,
}

impl ClientSlots {
    fn new(of_client: u64) -> Self {
        let of_site = of_client.saturating_mul(SITE_CLIENTS.into());
        Self { clients: Slots::new(of_client), sites: Slots::new(of_site) }
    }

    fn take(&self, client: IpAddr, amount: u64) -> Option<ClientSlot> {
        self.take_within(u64::MAX, client, amount)
    }

    /// What the client then holds may be `max` at most, besides its bound.
    fn take_within(&self, max: u64, client: IpAddr, amount: u64) -> Option<ClientSlot> {
        let of_client = self.clients.take_within(max, &client, amount)?;
        let of_site = if client.is_ipv6() {
            let max = max.saturating_mul(SITE_CLIENTS.into());
            Some(self.sites.take_within(max, &client_site(client), amount)?)
        } else {
            None
        };
        Some(ClientSlot { _client: of_client, _site: of_site })
    }
}

/// What a new connection holds.
#[derive(Debug)]
pub(super) struct Admission {
    /// Until the socket is closed.
    pub(super) socket: Slot<()>,
    /// Until it is closed or becomes a WebSocket; a proxy's is not counted by address.
    pub(super) connection: Option<ClientSlot>,
    /// Until the head of its first request has come.
    pub(super) head: Option<ClientSlot>,
}

impl Gate {
    /// Bounds clients so; connections of `proxies` stand for many clients.
    pub fn new(limits: Limits, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner {
            proxies,
            all: Slots::new(limits.connections as u64),
            connections: ClientSlots::new(limits.connections_per_client.into()),
            heads: ClientSlots::new(limits.heads_per_client.into()),
            requests: ClientSlots::new(limits.requests_per_client.into()),
            bytes: Slots::new(limits.response_bytes),
            bytes_max: limits.response_bytes,
            bytes_of: ClientSlots::new(limits.response_bytes_per_client),
        }))
    }

    /// Bounds nothing: for servers of development, which only their owner reaches.
    pub fn unbounded() -> Self {
        let limits = Limits {
            connections: 0,
            connections_per_client: 0,
            heads_per_client: 0,
            requests_per_client: 0,
            response_bytes: 0,
            response_bytes_per_client: 0,
        };
        Self::new(limits, TrustedProxies::default())
    }

    /// Admits a connection; the error says which bound it exceeds.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<Admission, &'static str> {
        let socket = self.0.all.take(&(), 1).ok_or("connections")?;
        if self.0.proxies.contains(peer) {
            return Ok(Admission { socket, connection: None, head: None });
        }
        let client = client_prefix(peer);
        let connection = self.0.connections.take(client, 1).ok_or("client")?;
        let head = self.0.heads.take(client, 1).ok_or("heads")?;
        Ok(Admission { socket, connection: Some(connection), head: Some(head) })
    }

    /// Whose request it is.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        client_prefix(self.0.proxies.client(peer, headers))
    }

    /// Opens a request of a client; `None` when too many are open.
    pub(super) fn open(&self, client: IpAddr) -> Option<OpenRequest> {
        let slot = self.0.requests.take(client, 1)?;
        Some(OpenRequest { _slot: slot, _gauge: Gauge::OpenRequests.hold(1.0) })
    }

    /// Takes room for an answer's bytes; the error says whose unread answers are too many.
    ///
    /// A client may hold [`FREE_SHARE`] of the room that is free, so that many who read nothing never
    /// take all of it (the dynamic threshold of shared-memory switches: Choudhury and Hahne, 1998).
    pub(super) fn reserve(&self, client: IpAddr, bytes: u64) -> Result<Reservation, Unread> {
        let share = match self.0.bytes_max {
            0 => u64::MAX,
            max => max.saturating_sub(self.0.bytes.held(&())) / FREE_SHARE,
        };
        let of_client =
            self.0.bytes_of.take_within(share, client, bytes).ok_or_else(|| {
                match self.0.bytes_of.clients.held(&client) {
                    0 => Unread::OfOthers,
                    _ => Unread::OfClient,
                }
            })?;
        let of_all = self.0.bytes.take(&(), bytes).ok_or(Unread::OfOthers)?;
        let gauge = Gauge::ResponseBytes.hold(as_gauge(bytes));
        Ok(Reservation { _slots: (of_client, of_all), _gauge: gauge })
    }
}

/// A request that is counted until its answer is taken.
#[derive(Debug)]
pub(super) struct OpenRequest {
    _slot: ClientSlot,
    _gauge: Held,
}

/// Whose unread answers leave no room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The client's own.
    OfClient,
    /// Those of all others.
    OfOthers,
}

/// Bytes of an answer that are counted until the system has taken them.
#[derive(Debug)]
pub(super) struct Reservation {
    _slots: (ClientSlot, Slot<()>),
    _gauge: Held,
}

fn as_gauge(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Counts a refusal by the bound that was reached.
pub(super) fn refused(bound: &'static str) {
    Counter::ConnectionsRefused.add_with(1, vec![label("reason", bound)]);
}

/// An extension of every request: what handlers put into it is kept until the answer is written,
/// or the connection is gone.
#[derive(Clone, Debug, Default)]
pub struct UntilWritten(Arc<Mutex<Vec<Box<dyn Any + Send>>>>);

impl UntilWritten {
    /// Keeps a value until then.
    pub fn keep(&self, value: impl Any + Send) {
        self.0.lock().push(Box::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_read_nothing_leave_room_for_others() {
        let gate = Gate::new(Limits::default(), TrustedProxies::default());
        let client = |number: u8| IpAddr::from([203, 0, 113, number]);
        let page = 1024 * 1024;
        let held: Vec<_> = (0..200_u8)
            .flat_map(|number| std::iter::repeat_n(client(number), 64))
            .filter_map(|client| gate.reserve(client, page).ok())
            .collect();
        assert!(held.len() > 100, "{}", held.len());
        for number in 200..250 {
            assert!(gate.reserve(client(number), 100_000).is_ok(), "{number}");
        }
        assert_eq!(gate.reserve(client(0), page).err(), Some(Unread::OfClient));
        assert_eq!(gate.reserve(client(201), page).err(), Some(Unread::OfOthers));
    }

    #[test]
    fn the_clients_of_an_ipv6_site_share_sixteen_times_the_bound_of_one() {
        let limits = Limits { connections_per_client: 2, ..Limits::default() };
        let gate = Gate::new(limits, TrustedProxies::default());
        let client =
            |site: u16, subnet: u16| IpAddr::from([0x2001, 0xdb8, site, subnet, 0, 0, 0, 1]);
        let open: Vec<_> = (0..100)
            .flat_map(|subnet| [client(1, subnet); 3])
            .filter_map(|client| gate.admit(client).ok())
            .collect();
        assert_eq!(open.len(), 32);
        assert_eq!(gate.admit(client(1, 1_000)).err(), Some("client"));
        assert!(gate.admit(client(2, 0)).is_ok());
        drop(open);
        assert!(gate.admit(client(1, 0)).is_ok());
    }
}
