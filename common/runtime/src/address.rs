//! Client addresses: where a request comes from, and which addresses count as one client.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Bits of an IPv6 address that name the network behind it, which is given to one customer whole
/// (RFC 6177); the other 64 are the customer's to choose.
const IPV6_CLIENT_BITS: u32 = 64;
/// Bits of an IPv6 address that name a site, the largest network that providers commonly assign to
/// one customer (RFC 6177).
const IPV6_SITE_BITS: u32 = 48;
/// How many times a limit of one client all clients of an IPv6 site have together.
pub const SITE_CLIENTS: u32 = 16;

/// The address that stands for a client in limits: an IPv4 address itself (also one that is mapped
/// into IPv6), the /64 network of an IPv6 address.
pub fn client_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(masked(address, IPV6_CLIENT_BITS)),
    }
}

/// The site of a client: the /48 network of an IPv6 address, an IPv4 address itself. Clients of one
/// site share [`SITE_CLIENTS`] times the limit of a client.
pub fn client_site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(masked(address, IPV6_SITE_BITS)),
    }
}

fn masked(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (u128::BITS - bits)))
}

/// The reverse proxies whose `X-Forwarded-For` counts. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Trusts every address of these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Whether an address is a proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client behind `peer`. `X-Forwarded-For` counts only as far as proxies
    /// wrote it: from the right, the first address that is no proxy.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let forwarded = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|hop| hop.trim().parse::<IpAddr>().map(|address| address.to_canonical()))
            .collect::<Vec<_>>();
        let mut client = peer;
        for hop in forwarded.into_iter().rev() {
            let Ok(address) = hop else { break };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let prefix = |text| client_prefix(address(text));
        assert_eq!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:3::1"));
        assert_eq!(prefix("::ffff:192.0.2.7"), address("192.0.2.7"));
        assert_ne!(prefix("192.0.2.7"), prefix("192.0.2.8"));
    }

    #[test]
    fn an_ipv6_site_is_a_48() {
        let site = |text| client_site(address(text));
        assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:ffff::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:2:2::1"));
        assert_eq!(site("::ffff:192.0.2.7"), address("192.0.2.7"));
    }

    #[test]
    fn forwarded_addresses_count_as_far_as_proxies_wrote_them() {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let proxies = TrustedProxies::new(networks.to_vec());
        let client = |peer, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            proxies.client(address(peer), &headers)
        };
        assert_eq!(client("10.1.2.3", "192.0.2.1, 192.0.2.2"), address("192.0.2.2"));
        assert_eq!(client("::ffff:10.1.2.3", "192.0.2.1, 10.9.9.9"), address("192.0.2.1"));
        assert_eq!(client("2001:db8::1", "192.0.2.1"), address("192.0.2.1"));
        assert_eq!(client("11.1.2.3", "192.0.2.1"), address("11.1.2.3"));
        assert_eq!(client("10.1.2.3", "192.0.2.1, nonsense"), address("10.1.2.3"));
    }
}
