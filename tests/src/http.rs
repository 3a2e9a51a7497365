//! HTTP clients of tests: they reach what no guard would let through.

use std::time::Duration;

/// A client that follows no redirects and asks no proxy.
#[expect(clippy::disallowed_methods, reason = "what is tested is on this machine")]
pub fn client(timeout: Duration) -> reqwest::Client {
    // Whoever is first wins: all would install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .no_proxy()
        .build()
        .expect("a client can be made")
}

/// A client whose connections come from this address of the machine.
#[expect(clippy::disallowed_methods, reason = "what is tested is on this machine")]
pub fn client_from(address: std::net::IpAddr, timeout: Duration) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .local_address(address)
        .timeout(timeout)
        .no_proxy()
        .build()
        .expect("a client can be made")
}

/// A text as it stands in a query string.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    })
}
