//! Addresses that deliveries must never go to, however they are spelled.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outbound::{Found, Guard, Lookup, Names};
use testkit::{Board, Receiver, json};

use super::{admin, newest_is, test};

/// Webhooks made in one organization before the next: fewer than it may have.
const ORG_HOOKS: usize = 40;

/// Hosts that lead, or would lead some resolver, to an address that is not public; `PORT` is a
/// real listener's.
const FORBIDDEN: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT",
    "https://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://127.255.255.254:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0X7F000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f.1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://00000177.0.0.1:PORT/",
    "http://127.0.0.0x1:PORT/",
    "http://127.0x0.0.1:PORT/",
    "http://127.00.00.01:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://00:PORT/",
    "http://127。0。0。1:PORT/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://%6c%6f%63alhost:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://foo.localhost:PORT/",
    "http://localhost.localdomain:PORT/",
    "http://ⓛocalhost:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::7f00:1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::FFFF:7F00:0001]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2002:0a00:0001::1]:PORT/",
    "http://[2002:a9fe:a9fe::1]:PORT/",
    "http://[2001:0:808:808::f5ff:fffe]:PORT/",
    "http://[2001:0:7f00:1::f7f7:f7f7]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[fe80::1%lo]:PORT/",
    "http://[febf::1]:PORT/",
    "http://[fec0::1]:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]:PORT/",
    "http://[2001:db8::1]:PORT/",
    "http://[100::1]:PORT/",
    "http://[::1",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://100.127.255.255/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://postgres:PORT/",
    "http://router.lan/",
    "http://printer.local/",
    "http://user@127.0.0.1:PORT/",
    "http://user:pw@example.com/",
    "http://example.com@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.com/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://127.0.0.1:PORT\\@example.com/",
    "http://example.com\\@127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "http://127.0.0.1\t:PORT/",
    "http://127.0.\n0.1:PORT/",
    "http://exa mple.com/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:0x50/",
    "http://example.com/#fragment",
    "http://.../",
    "http://./",
    "http://",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
    "javascript:alert(1)",
    "unix:///run/docker.sock",
];

#[tokio::test]
async fn no_spelling_of_an_address_that_is_not_public_is_taken_or_reached() {
    assert!(FORBIDDEN.len() >= 80);
    let worker = webhooks::Config {
        retry_schedule: vec![],
        timeout: Duration::from_secs(2),
        ..webhooks::Config::default()
    };
    let board = Board::builder().webhooks_by(worker).start().await;
    let (alice, mut org) = admin(&board).await;
    let receiver = Receiver::start().await;
    for spelling in FORBIDDEN {
        let url = spelling.replace("PORT", &receiver.port().to_string());
        let body = json!({"org": org, "url": url, "events": ["message.created"]});
        let problem = alice.post("/webhooks/", body).await;
        assert_eq!(problem.status, 422, "{url}");
        assert!(problem.is(422)["errors"]["url"].is_array(), "{url}");
    }
    // Even what stands in the record is not reached.
    let mut hooks = Vec::new();
    for spelling in FORBIDDEN.iter().filter(|spelling| spelling.contains("PORT")) {
        let url = spelling.replace("PORT", &receiver.port().to_string());
        let good = "http://hooks.example.com/";
        if hooks.len() % ORG_HOOKS == ORG_HOOKS - 1 {
            org = alice.makes_org("One more").await;
        }
        let body = json!({"org": org, "url": good, "events": ["message.created"]});
        let made = alice.post("/webhooks/", body).await.is(201);
        let url = url.replace('\\', "\\\\");
        board.sql(&format!("update webhooks set url = E'{url}' where id = {}", made["id"])).await;
        test(&alice, &made).await;
        hooks.push(made);
    }
    for hook in &hooks {
        newest_is(&alice, hook, "failed").await;
    }
    let path = format!("/webhooks/{}/", hooks[0]["id"]);
    alice.patch(&path, json!({"url": FORBIDDEN[0]})).await.is(422);
    assert_eq!(receiver.connections(), 0);
}

/// Says a public address at first, and then the loopback.
struct Rebinding(AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Found> + Send>> {
        let public: IpAddr = "93.184.215.14".parse().unwrap();
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let calls = self.0.fetch_add(1, Ordering::SeqCst);
        let addresses = match name.as_str() {
            "half.example.com" => vec![public, loopback],
            _ if calls == 0 => vec![public],
            _ => vec![loopback],
        };
        // A TTL of 0, as an attacker would have it.
        Box::pin(async move { Found { addresses, lifetime: Duration::ZERO } })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_not_followed() {
    let names = Names::of(Arc::new(Rebinding(AtomicUsize::new(0))));
    let worker = webhooks::Config {
        guard: Guard::new(vec![], names),
        retry_schedule: vec![Duration::from_millis(100); 2],
        timeout: Duration::from_secs(2),
        ..webhooks::Config::default()
    };
    let board = Board::builder().webhooks_by(worker).start().await;
    let (alice, org) = admin(&board).await;
    let receiver = Receiver::start().await;
    let url = format!("http://rebind.example.com:{}/", receiver.port());
    let body = json!({"org": org, "url": url, "events": ["message.created"]});
    let made = alice.post("/webhooks/", body).await.is(201);
    test(&alice, &made).await;
    let failed = newest_is(&alice, &made, "failed").await;
    assert_eq!(failed["last_error"], "the host is not a public address");
    // Wholly or partly.
    let url = format!("http://half.example.com:{}/", receiver.port());
    let body = json!({"org": org, "url": url, "events": ["message.created"]});
    alice.post("/webhooks/", body).await.is(422);
    assert_eq!(receiver.connections(), 0);
}
