//! Which pages may connect.

use http::HeaderValue;
use url::Url;

/// The origins that are allowed whatever the request's host is.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    allowed: Vec<String>,
}

impl Origins {
    /// The origin of the public URL, and the configured ones.
    pub(crate) fn new(public_url: &str, configured: &[String]) -> Self {
        let allowed = std::iter::once(public_url)
            .chain(configured.iter().map(String::as_str))
            .filter_map(|url| Url::parse(url).ok())
            .map(|url| url.origin().ascii_serialization())
            .collect();
        Self { allowed }
    }

    /// Whether a page of this origin may connect. What is no browser names none and may.
    pub(crate) fn admit(&self, origin: Option<&HeaderValue>, host: Option<&HeaderValue>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let Ok(url) = Url::parse(origin) else { return false };
        if self.allowed.contains(&url.origin().ascii_serialization()) {
            return true;
        }
        let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
        // The host names its port unless it is the scheme's own.
        let own = Url::parse(&format!("{}://{host}", url.scheme()));
        own.is_ok_and(|own| {
            url.has_host()
                && own.host() == url.host()
                && own.port_or_known_default() == url.port_or_known_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_and_configured_origins_are_admitted() {
        let origins = Origins::new("https://chat.example/", &["http://app.test:3000".to_owned()]);
        let admits = |origin: &'static str, host: &'static str| {
            let (origin, host) = (HeaderValue::from_static(origin), HeaderValue::from_static(host));
            origins.admit(Some(&origin), Some(&host))
        };
        assert!(origins.admit(None, None));
        assert!(admits("https://chat.example", "10.0.0.1:9000"));
        assert!(admits("http://app.test:3000", "x"));
        assert!(admits("http://localhost:8080", "localhost:8080"));
        assert!(admits("http://localhost", "localhost:80"));
        assert!(!admits("http://localhost:8081", "localhost:8080"));
        assert!(!admits("http://chat.example", "10.0.0.1:9000"));
        assert!(!admits("https://evil.example", "chat.example"));
        assert!(!admits("null", "chat.example"));
    }
}
