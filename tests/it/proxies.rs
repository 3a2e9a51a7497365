//! The reverse proxies that `deploy/` ships: the real program with the shipped file, of which only the
//! addresses are changed, in front of two apis and two edges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::{
    Board, DEADLINE, Person, ProxyKind, Report, Storm, TLS_PEM, check_proxy, http, json,
    shipped_proxy, uploads,
};

const ALL: [ProxyKind; 3] = [ProxyKind::Caddy, ProxyKind::Haproxy, ProxyKind::Nginx];
/// The second api: the last of two edges stands before it.
const SECOND_API: usize = Board::EDGE + 2;
/// Senders of a storm; every third sends over REST.
const SENDERS: usize = 30;
const REST_SENDERS: u32 = 10;
const SOCKETS: usize = 20;
const READERS: usize = 6;
/// Bytes of the largest file (`CHATBOARD_UPLOAD_MAX_MIB`).
const FILE_BYTES: usize = 100 * 1024 * 1024;
/// Bytes of the largest body that the api takes.
const BODY_BYTES: usize = 256 * 1024;

/// Reads a room again and again until it is over; returns every failure that is not an api's own.
async fn reads(person: Person, room: i64, is_over: Arc<AtomicBool>) -> Vec<String> {
    let mut failures = Vec::new();
    // Below the limit of 100 requests a minute.
    let mut ticks = tokio::time::interval(Duration::from_millis(700));
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        match person.try_call("GET", &format!("/rooms/{room}/"), None).await {
            // An api that is too busy says so itself.
            Ok(answer) if answer.status == 200 || answer.is_of_the_api() => {}
            Ok(answer) => failures.push(format!("{} {}", answer.status, answer.text)),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}

/// A storm with readers beside it, none of whom may see a failure.
async fn storm(board: &Board, menace: impl Future<Output = ()>) -> Report {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Readers").await;
    let room = alice.makes_room_for_all(org, "readers").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = board
        .crowd(org, READERS)
        .await
        .into_iter()
        .map(|reader| testkit::spawn(reads(reader, room, Arc::clone(&is_over))))
        .collect();
    let storm = Storm { senders: SENDERS, sockets: SOCKETS, ..Storm::default() };
    let report = storm.rages(board, menace).await;
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        let failures = testkit::within("a reader ends", reader).await.unwrap();
        assert_eq!(failures, Vec::<String>::new(), "{}", board.proxy_log());
    }
    assert_eq!(report.delivered, report.acknowledged * SOCKETS, "{report:?}");
    assert_eq!(report.refused_sockets, 0, "a socket was refused: {report:?}");
    report
}

/// Reads 60 times over 3 s: for as long the dead stay dead.
async fn goes_on(people: &[Person], room: i64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for number in 0..60 {
        ticks.tick().await;
        let person = &people[number % people.len()];
        let answer = person.get(&format!("/rooms/{room}/")).await;
        assert!(answer.status == 200 || answer.is_of_the_api(), "{}", answer.text);
    }
}

async fn kills_are_hidden(kind: ProxyKind, board: &Board) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Witnesses").await;
    let room = alice.makes_room_for_all(org, "witnesses").await;
    let witnesses = board.crowd(org, 10).await;
    let menace = async {
        board.processes().await[Board::EDGE].kill();
        goes_on(&witnesses, room).await;
        board.processes().await[Board::API].kill();
        goes_on(&witnesses, room).await;
        board.crash(Board::EDGE).await;
        board.crash(Board::API).await;
    };
    let report = storm(board, menace).await;
    eprintln!("{kind:?}, kill -9 of an edge and of an api: {report:?}");
    assert!(report.returns > 0, "no socket was on the edge that died: {report:?}");
    // A message that an api had when it died cannot be sent again by a proxy, which knows nothing of
    // nonces. Caddy 2.6 cannot repeat one that it could not deliver either: until it has noticed the
    // death, in about a second, every repetition that it gives to the dead api fails.
    if kind != ProxyKind::Caddy {
        assert!(report.failed_requests <= REST_SENDERS, "{report:?}");
    }
}

/// Sends alone, 60 over 3 s, while an api is dead: only those that were given to the dead one fail,
/// and the other is not taken for dead.
async fn sends_go_on(kind: ProxyKind, board: &Board) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Writers").await;
    let room = alice.makes_room_for_all(org, "writers").await;
    let writers = board.crowd(org, 10).await;
    for writer in &writers {
        writer.post(&format!("/rooms/{room}/join/"), json!({})).await.is(201);
    }
    board.processes().await[Board::API].kill();
    let path = format!("/messages/rooms/{room}/");
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut statuses = BTreeMap::<u16, u32>::new();
    for number in 0..60 {
        ticks.tick().await;
        let answer = writers[number % writers.len()].post(&path, json!({"body": "x"})).await;
        *statuses.entry(answer.status).or_default() += 1;
    }
    eprintln!("{kind:?}, kill -9 of an api and sends alone: {statuses:?}");
    assert!(statuses.keys().all(|status| [201, 502].contains(status)), "{statuses:?}");
    assert!(statuses[&201] >= 30, "{statuses:?}");
    board.crash(Board::API).await;
}

async fn restarts_are_hidden(kind: ProxyKind, board: &Board) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Bystanders").await;
    let room = alice.makes_room_for_all(org, "bystanders").await;
    let bystanders = board.crowd(org, 10).await;
    let menace = async {
        for process in [Board::EDGE, Board::EDGE + 1, Board::API, SECOND_API] {
            assert_eq!(board.restart(process).await, Some(0), "process {process}");
            // The next one stops when the proxy has seen that this one is back.
            goes_on(&bystanders, room).await;
        }
    };
    let report = storm(board, menace).await;
    eprintln!("{kind:?}, SIGTERM of two edges and two apis in turn: {report:?}");
    assert!(report.returns >= u32::try_from(SOCKETS).unwrap(), "every socket moved: {report:?}");
    assert_eq!(report.failed_requests, 0, "{report:?}");
}

/// Limits count the addresses of clients, whatever the clients claim.
async fn client_addresses_are_seen(board: &Board) {
    let url = format!("{}/api/v1/auth/registration/", board.api());
    let greedy = http::client_from([127, 0, 0, 2].into(), DEADLINE);
    let other = http::client_from([127, 0, 0, 3].into(), DEADLINE);
    let mut is_refused = false;
    for number in 0..500 {
        let claimed = format!("203.0.113.{}", number % 250);
        let asking = greedy.get(&url).header("x-forwarded-for", claimed).send();
        is_refused = asking.await.unwrap().status() == 429;
        if is_refused {
            break;
        }
    }
    assert!(is_refused, "an address that claims to be others has no limit");
    for _ in 0..30 {
        assert_eq!(other.get(&url).send().await.unwrap().status(), 200, "another address");
    }
}

async fn the_largest_passes(board: &Board) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Large").await;
    let room = alice.makes_room_for_all(org, "large").await;
    let path = format!("/messages/rooms/{room}/");
    let mut body = json!({"body": "x", "padding": ""});
    let padding = BODY_BYTES - body.to_string().len();
    body["padding"] = json!("x".repeat(padding));
    assert_eq!(body.to_string().len(), BODY_BYTES);
    alice.post(&path, body.clone()).await.is(201);
    body["padding"] = json!("x".repeat(padding + 1));
    alice.post(&path, body).await.refuses(413, "payload_too_large");

    let bytes = vec![7; FILE_BYTES];
    let announced = alice.puts("large.zip", "application/zip", &bytes).await;
    let url = announced["upload_url"].as_str().unwrap();
    assert!(!url.starts_with(&board.files().store().url()), "it goes through the proxy: {url}");
    let done = alice.completes(&announced).await.is(200);
    assert_eq!(done["file_size"], FILE_BYTES);
    let upload = alice.upload(&announced).await.is(200);
    let file = uploads::fetch(upload["download_url"].as_str().unwrap()).await;
    assert!(file.bytes == bytes, "the file came back changed");
}

async fn serves(kind: ProxyKind) {
    let board = Board::builder().behind(kind).limits_on().start().await;
    client_addresses_are_seen(&board).await;
    the_largest_passes(&board).await;
    sends_go_on(kind, &board).await;
    kills_are_hidden(kind, &board).await;
    restarts_are_hidden(kind, &board).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_caddy_nodes_die_and_restart_unnoticed() {
    serves(ProxyKind::Caddy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_haproxy_nodes_die_and_restart_unnoticed() {
    serves(ProxyKind::Haproxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_nodes_die_and_restart_unnoticed() {
    serves(ProxyKind::Nginx).await;
}

/// Edges ping every 25 s; the proxies' own defaults are one minute or less.
#[test]
fn a_socket_on_which_nothing_happens_outlives_the_proxies_defaults() {
    let [caddy, haproxy, nginx] = ALL.map(shipped_proxy);
    for option in ["read_timeout", "write_timeout", "stream_timeout"] {
        assert!(!caddy.contains(option), "Caddy keeps sockets for ever unless it is told");
    }
    assert!(haproxy.contains("\n\ttimeout tunnel 1h\n"));
    let sockets = nginx.split("location ~ ^/ws(/|$)").nth(1).unwrap().split('}').next().unwrap();
    for option in ["proxy_read_timeout 1h;", "proxy_send_timeout 1h;", "proxy_buffering off;"] {
        assert!(sockets.contains(option), "nginx: {option}");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_lines_for_tls_are_valid() {
    let files = [("tls.pem", TLS_PEM)];
    let caddy = shipped_proxy(ProxyKind::Caddy)
        .replace("\n:8000 {", "\nchat.example.org {")
        .replace("\n:9000 {", "\nfiles.example.org {");
    check_proxy(ProxyKind::Caddy, &caddy, &files);

    let haproxy = shipped_proxy(ProxyKind::Haproxy)
        .replace("# bind", "bind")
        .replace("# http-re", "http-re")
        .replace("/etc/haproxy/certs", "tls.pem");
    assert_eq!(haproxy.matches(" ssl crt tls.pem").count(), 2);
    assert!(haproxy.contains("\n\thttp-request redirect"));
    check_proxy(ProxyKind::Haproxy, &haproxy, &files);

    let mut nginx = shipped_proxy(ProxyKind::Nginx);
    for option in ["listen", "ssl_certificate", "ssl_protocols", "add_header"] {
        nginx = nginx.replace(&format!("# {option}"), option);
    }
    for name in ["chat", "files"] {
        for ending in ["pem", "key"] {
            nginx = nginx.replace(&format!("/etc/nginx/{name}.example.org.{ending}"), "tls.pem");
        }
    }
    assert_eq!(nginx.matches("ssl http2;").count(), 2);
    // Checking binds the ports, and who is not root may not have the first.
    nginx = nginx.replace("listen 443", &format!("listen {}", free_port()));
    nginx = nginx.replace("listen 9443", &format!("listen {}", free_port()));
    check_proxy(ProxyKind::Nginx, &nginx, &files);
}
