//! Whose pages may call us: a browser's `Origin` against what is configured.

/// What is configured about origins.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// What clients reach us under: its origin is always allowed.
    pub public_url: String,
    /// Other origins whose pages may call us, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Host names, without port, under which we serve our own page; any when empty. Otherwise somebody
    /// could point a name of theirs at this server (DNS rebinding), and their page would count as ours.
    pub allowed_hosts: Vec<String>,
}

impl Origins {
    /// Whether an origin is one of ours: configured, that of the public URL, or the very host and
    /// port (`host`) that the request was sent to.
    pub fn allow(&self, origin: &str, host: Option<&str>) -> bool {
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let is = |other: &str| origin_of(other).eq_ignore_ascii_case(origin);
        is(&self.public_url)
            || self.allowed_origins.iter().any(|allowed| is(allowed))
            || host.is_some_and(|host| host.eq_ignore_ascii_case(authority) && self.is_own(host))
    }

    /// Whether we serve our page under a host. An IP address cannot be made to lead elsewhere.
    fn is_own(&self, host: &str) -> bool {
        let name = name_of(host);
        let is_address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        self.allowed_hosts.is_empty()
            || is_address
            || self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// An URL up to its path.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::Origins;

    fn origins(allowed_hosts: &[&str]) -> Origins {
        Origins {
            public_url: "https://chat.example/base".to_owned(),
            allowed_origins: vec!["https://friend.example".to_owned()],
            allowed_hosts: allowed_hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }

    #[test]
    fn configured_origins_are_allowed_whatever_the_host() {
        for allowed_hosts in [&[][..], &["intranet"]] {
            let origins = origins(allowed_hosts);
            for origin in ["https://chat.example", "https://friend.example"] {
                assert!(origins.allow(origin, Some("10.0.0.1:8080")), "{origin}");
            }
            for origin in ["http://chat.example", "https://foe.example", "null", ""] {
                assert!(!origins.allow(origin, Some("10.0.0.1:8080")), "{origin}");
            }
        }
    }

    #[test]
    fn the_host_of_the_request_is_ours_where_it_is_listed_or_an_address() {
        let same =
            |origins: &Origins, host: &str| origins.allow(&format!("http://{host}"), Some(host));
        assert!(same(&origins(&[]), "rebound.example:8080"));
        let listed = origins(&["intranet"]);
        for host in ["intranet", "Intranet:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            assert!(same(&listed, host), "{host}");
        }
        for host in ["rebound.example", "rebound.example:8080", "intranet.foe.example"] {
            assert!(!same(&listed, host), "{host}");
        }
    }
}
