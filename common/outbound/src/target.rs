//! An address that a stranger chose, read strictly.
//!
//! URL parsers are generous: `http://0x7f.1`, `http://127。0。0。1`, `http:\\127.1` all mean the
//! loopback to some. So the text itself is judged, not only what a parser makes of it: a host is
//! a name, a dotted quad, or an IPv6 address in brackets, and nothing else.

use std::net::IpAddr;

use url::{Host, Url};

/// Characters of a target.
const CHARS_MAX: usize = 2_000;

/// An http or https address without credentials or fragment, its host plainly spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    text: String,
    url: Url,
}

impl Target {
    /// Reads an address. Nothing is resolved.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() > CHARS_MAX {
            return Err(format!("must have at most {CHARS_MAX} characters"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("must not contain blanks, control characters or backslashes".to_owned());
        }
        let rest = after_scheme(text).ok_or("must be an absolute http or https URL")?;
        if text.contains('#') {
            return Err("must have no fragment".to_owned());
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("must hold no credentials".to_owned());
        }
        let url = Url::parse(text).map_err(|_| "is not a valid URL".to_owned())?;
        if url.port() == Some(0) {
            return Err("must not name port 0".to_owned());
        }
        let (host, port) = split_host(authority);
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("is not a valid URL".to_owned());
        }
        check_host(host, &url)?;
        Ok(Self { text: text.to_owned(), url })
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as it is requested.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The host, where it is an IP address.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The host's name; empty where it is an IP address.
    pub(crate) fn name(&self) -> &str {
        self.url.domain().unwrap_or_default()
    }
}

fn after_scheme(text: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        let rest = text.get(scheme.len()..)?;
        let is_host = !rest.starts_with(['/', '?', ':']) && !rest.is_empty();
        (head.eq_ignore_ascii_case(scheme) && is_host).then_some(rest)
    })
}

fn split_host(authority: &str) -> (&str, &str) {
    if let Some(end) = authority.rfind(']') {
        let (host, port) = authority.split_at(end + 1);
        return (host, port.strip_prefix(':').unwrap_or(port));
    }
    authority.split_once(':').unwrap_or((authority, ""))
}

fn check_host(host: &str, url: &Url) -> Result<(), String> {
    let odd = || Err("must name its host as a name or a plain IP address".to_owned());
    if host.contains('%') {
        return odd();
    }
    match url.host() {
        // Shortened, decimal, hex, octal, full-width: whatever a parser takes for an address.
        Some(Host::Ipv4(address)) if host != address.to_string() => odd(),
        Some(Host::Domain(name)) if is_numeric(name) || name.trim_matches('.').is_empty() => odd(),
        Some(_) => Ok(()),
        None => odd(),
    }
}

/// Whether a name's last label is a number in any base: some resolver will take it for an address.
fn is_numeric(name: &str) -> bool {
    let label = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn plain_addresses_are_taken_as_they_are() {
        for text in [
            "http://example.com",
            "https://example.com:8443/hook?x=1",
            "HTTPS://Example.COM/",
            "http://8.8.8.8/",
            "http://[2606:4700::1111]:80/",
            "https://münchen.example/",
            "https://cafe.de/",
            "http://example.com/a@b",
        ] {
            assert_eq!(Target::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn odd_spellings_of_hosts_are_refused() {
        for text in [
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7F.0.0.1/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://0x0/",
            "http://127.0.0.01/",
            "http://127.0.0.0x1/",
            "http://127。0。0。1/",
            "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://1.1/",
            "http://999.1.1.1/",
            "http://1.2.3.4.5/",
            "http:127.0.0.1/",
            "http:///127.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http://127.0.0.1\\@example.com/",
            "http://example.com@127.0.0.1/",
            "http://user:pw@example.com/",
            "http://@example.com/",
            "http://example.com/#x",
            "http://exa\tmple.com/",
            "http://exam ple.com/",
            "http://[::1/",
            "http://[fe80::1%25eth0]/",
            "http://example.com:0/",
            "http://example.com:99999/",
            "http://example.com:0x50/",
            "http://./",
            "http://",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "//example.com/",
            "example.com",
            "",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        assert!(Target::parse(&format!("http://example.com/{}", "x".repeat(2_000))).is_err());
    }
}
