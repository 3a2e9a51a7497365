//! Which name servers to ask, as `/etc/resolv.conf` and `/etc/hosts` say (resolv.conf(5), hosts(5)).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The port of DNS.
const PORT: u16 = 53;
/// Name servers that are asked (`MAXNS`).
const SERVERS_MAX: usize = 3;
/// Domains that are searched (`MAXDNSRCH`).
const SEARCH_MAX: usize = 6;
/// Most dots that `ndots` may ask for.
const NDOTS_MAX: usize = 15;

/// Whom to ask, and for which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) servers: Vec<SocketAddr>,
    /// Domains appended to names with few dots.
    search: Vec<String>,
    /// A name with fewer dots is first looked for in the searched domains.
    ndots: usize,
    hosts: HashMap<String, Vec<IpAddr>>,
}

impl Config {
    /// These name servers, and nothing else.
    pub(crate) fn fixed(servers: &[SocketAddr]) -> Self {
        let servers = servers.iter().copied().take(SERVERS_MAX).collect();
        Self { servers, search: Vec::new(), ndots: 1, hosts: HashMap::new() }
    }

    /// What the files of the system say. One that is missing says nothing.
    pub(crate) fn of_the_system() -> Self {
        let text = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self::parse(&text("/etc/resolv.conf"), &text("/etc/hosts"))
    }

    fn parse(resolv_conf: &str, hosts: &str) -> Self {
        let mut config = Self::fixed(&[]);
        config.hosts = parse_hosts(hosts);
        for line in resolv_conf.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if config.servers.len() < SERVERS_MAX => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    config.servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => {
                    let domains = words.map(|word| word.trim_matches('.').to_ascii_lowercase());
                    config.search =
                        domains.filter(|one| !one.is_empty()).take(SEARCH_MAX).collect();
                }
                Some("options") => {
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    config.ndots = ndots.unwrap_or(config.ndots).min(NDOTS_MAX);
                }
                _ => {}
            }
        }
        if config.servers.is_empty() {
            config.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        config
    }

    /// What `/etc/hosts` says about a name.
    pub(crate) fn hosts(&self, name: &str) -> Option<&[IpAddr]> {
        self.hosts.get(name).map(Vec::as_slice)
    }

    /// The full names that a name may mean, in the order in which they are looked up.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let full = std::iter::once(name.to_owned());
        if name.matches('.').count() >= self.ndots {
            full.chain(searched).collect()
        } else {
            searched.chain(full).collect()
        }
    }
}

fn parse_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Config;

    #[test]
    fn the_files_say_whom_to_ask_and_for_what() {
        let resolv_conf = "# made by hand\nsearch lan.\nnameserver 192.0.2.1\n\
                           nameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
                           search svc.cluster.local cluster.local\noptions edns0 ndots:2 rotate\n";
        let hosts = "127.0.0.1 localhost Printer # here\n::1 localhost\nnonsense x\n";
        let config = Config::parse(resolv_conf, hosts);
        let servers: Vec<_> = config.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53"]);
        let loopback: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(config.hosts("localhost"), Some(&loopback[..]));
        assert_eq!(config.hosts("printer"), Some(&loopback[..1]));
        assert_eq!(config.hosts("x"), None);
        let searched = ["hook.team.svc.cluster.local", "hook.team.cluster.local", "hook.team"];
        assert_eq!(config.candidates("hook.team"), searched);
        assert_eq!(config.candidates("a.b.example")[0], "a.b.example");
        assert_eq!(config.candidates("hook.team."), ["hook.team"]);
    }

    #[test]
    fn without_files_the_name_server_of_this_machine_is_asked() {
        let config = Config::parse("", "");
        assert_eq!(config.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(config.candidates("example.org"), ["example.org"]);
    }
}
