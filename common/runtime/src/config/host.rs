//! Names of hosts.

use super::value::Setting;

/// The name of a host, without port.
#[derive(Clone, Debug)]
pub struct HostName(String);

impl HostName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for HostName {
    const KIND: &'static str = "host name";

    fn parse(text: &str) -> Result<Self, String> {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Ok(Self(name)),
            _ => Err(format!("{text:?} is no host name of the form chat.example.org")),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}
