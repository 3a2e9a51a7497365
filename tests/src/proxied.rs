//! A reverse proxy in front of a board, with the configuration that `deploy/` ships.

use devstack::Options;
use devstack::proxy::Proxy;

use crate::files::Files;
use crate::process::{binary, free_address};
use crate::snapshot::root;
use crate::wait::{DEADLINE, eventually};

pub use devstack::proxy::ProxyKind;

/// The file in `deploy/` that a proxy takes.
pub fn shipped_proxy(kind: ProxyKind) -> String {
    let name = match kind {
        ProxyKind::Caddy => "Caddyfile",
        ProxyKind::Haproxy => "haproxy.cfg",
        ProxyKind::Nginx => "nginx.conf",
    };
    let path = root().join("deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A certificate of `chat.example.org`, signed by itself, and its key.
pub const TLS_PEM: &str = include_str!("proxied.pem");

/// Asks a proxy whether a configuration is valid; `files` are put beside it first.
pub fn check_proxy(kind: ProxyKind, configuration: &str, files: &[(&str, &str)]) {
    if let Err(error) = devstack::proxy::check(kind, configuration, files) {
        panic!("{kind:?}: {error:#}\n{configuration}");
    }
}

/// Where a proxy will listen.
#[derive(Debug)]
pub(crate) struct Front {
    kind: ProxyKind,
    http: String,
    files: String,
}

impl Front {
    pub(crate) fn new(kind: ProxyKind) -> Self {
        Self { kind, http: free_address(), files: free_address() }
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.http)
    }

    /// The settings of processes behind it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CHATBOARD_PUBLIC_URL", self.http_url()),
            ("CHATBOARD_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
            ("CHATBOARD_S3_PUBLIC_ENDPOINT", format!("http://{}", self.files)),
        ]
    }

    /// Starts it; returns once it reaches an api.
    pub(crate) async fn start(&self, apis: &[String], edges: &[String], files: &Files) -> Proxy {
        let configuration = self.configuration(apis, edges, &files.store().url());
        let options = Options::temporary(binary());
        let proxy = Proxy::start(self.kind, options, configuration).await;
        let proxy = proxy.unwrap_or_else(|error| panic!("{:?}: {error:#}", self.kind));
        let http = crate::http::client(DEADLINE);
        let url = format!("{}/health/ready", self.http_url());
        eventually("the proxy reaches an api", DEADLINE, || {
            assert!(proxy.is_running().unwrap_or(false), "it has ended: {}", proxy.log());
            let answer = http.get(&url).send();
            async { (answer.await.ok()?.status() == 200).then_some(()) }
        })
        .await;
        proxy
    }

    /// The shipped file with the addresses of this machine.
    fn configuration(&self, apis: &[String], edges: &[String], objects: &str) -> String {
        let address = |url: &str| url.split("://").last().unwrap_or(url).to_owned();
        let port = |address: &str| address.rsplit(':').next().unwrap_or(address).to_owned();
        let mut text = shipped_proxy(self.kind);
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{:?}: its file has no {from:?}", self.kind);
            text = text.replace(from, to);
        };
        let objects = address(objects);
        for node in 0..2 {
            let (api, edge) = (address(&apis[node]), address(&edges[node]));
            if self.kind == ProxyKind::Caddy {
                change(&format!("chatboard-api-{}:8080", node + 1), &api);
                change(&format!("chatboard-edge-{}:8081", node + 1), &edge);
            } else {
                change(&format!("10.0.0.1{}:8080", node + 1), &api);
                change(&format!("10.0.0.2{}:8081", node + 1), &edge);
            }
        }
        match self.kind {
            ProxyKind::Caddy => {
                for node in 3..=4 {
                    // As names that do not exist: nothing can be reached there.
                    change(&format!("chatboard-api-{node}:8080"), &free_address());
                    change(&format!("chatboard-edge-{node}:8081"), &free_address());
                }
                change("objects:9000", &objects);
                change("\n:8000 {", &format!("\nhttp://127.0.0.1:{} {{", port(&self.http)));
                change("\n:9000 {", &format!("\nhttp://127.0.0.1:{} {{", port(&self.files)));
                change("\tadmin off\n", "\tadmin off\n\tdefault_bind 127.0.0.1\n");
            }
            ProxyKind::Haproxy => {
                change("10.0.0.31:9000", &objects);
                change("bind :8000", &format!("bind {}", self.http));
                change("bind :9000", &format!("bind {}", self.files));
                if !devstack::is_root() {
                    change("\tuser haproxy\n\tgroup haproxy\n", "");
                }
            }
            ProxyKind::Nginx => {
                change("10.0.0.31:9000", &objects);
                change("listen 8000;", &format!("listen {};", self.http));
                change("listen 9000;", &format!("listen {};", self.files));
            }
        }
        text
    }
}
