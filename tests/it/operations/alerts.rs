//! The alerts: by figures made up (promtool), and the quick ones by their real faults, with a real
//! Prometheus that scrapes real processes every second.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devstack::prometheus::{Programs, programs};
use testkit::{Board, Person, Process, eventually, json, root};
use tokio::sync::OnceCell;

use super::jetstream::{STORE_BYTES, fill_store, free_store};
use super::with;

/// Set to `required` where a machine without Prometheus is a failure.
const SWITCH: &str = "CHATBOARD_TEST_PROMETHEUS";
/// How long after its fault an alert may take: the rule's own time, and a minute for the rest.
const FIRES_WITHIN: Duration = Duration::from_secs(150);

/// Prometheus, with faketime beside it; `None`, said loudly, where either is missing and nothing
/// requires them.
async fn tools() -> Option<&'static Programs> {
    static TOOLS: OnceCell<Option<Programs>> = OnceCell::const_new();
    let found = TOOLS.get_or_init(|| async {
        let finding = tokio::task::spawn_blocking(|| {
            devstack::faketime::environment(0)?;
            programs()
        });
        match finding.await.unwrap() {
            Ok(tools) => Some(tools),
            Err(error) if std::env::var_os(SWITCH).is_some_and(|value| value == "required") => {
                panic!("{error:#}")
            }
            Err(error) => {
                eprintln!("\n*** SKIPPED, the alerts are not tested: {error:#}\n");
                None
            }
        }
    });
    found.await.as_ref()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// Runs promtool, whose answer is the assertion.
fn promtool(tools: &Programs, arguments: &[&str], input: &str) {
    use std::io::Write;
    let mut command = Command::new(&tools.promtool);
    let piped = command.args(arguments).current_dir(root());
    let mut child =
        piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

fn alerts() -> BTreeSet<String> {
    let rules = file("deploy/rules.yml");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_alert_is_quiet_until_its_fault_and_fires_in_time() {
    let Some(tools) = tools().await else { return };
    promtool(tools, &["check", "rules", "deploy/rules.yml"], "");
    promtool(tools, &["test", "rules", "deploy/rules.test.yml"], "");
    let tests = file("deploy/rules.test.yml");
    for alert in alerts() {
        let fires = format!("alertname=\"{alert}\",alertstate=\"firing\"");
        assert!(tests.contains(&fires), "deploy/rules.test.yml does not test {alert}");
    }
}

#[test]
fn every_alert_has_a_section_that_says_what_to_do() {
    let docs = file("docs/operations.md");
    let described: BTreeSet<String> =
        docs.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    let of_rules = alerts();
    let missing: Vec<_> = of_rules.difference(&described).collect();
    assert!(missing.is_empty(), "docs/operations.md lacks {missing:?}");
    for alert in &of_rules {
        let url = format!("runbook_url: \"docs/operations.md#{}\"", alert.to_lowercase());
        assert!(file("deploy/rules.yml").contains(&url), "{alert} does not link its section");
    }
    let gone: Vec<_> =
        described.difference(&of_rules).filter(|name| name.starts_with("Chat")).collect();
    assert!(gone.is_empty(), "docs/operations.md describes {gone:?}, which are no alerts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_item_that_is_given_up_raises_the_alert() {
    let builder = Board::builder().processes().edges(1).webhooks();
    let board = builder.mails_after(Duration::from_secs(1)).start().await;
    let mut works = BTreeSet::new();
    for process in board.processes().await.iter() {
        let address = format!("http://{}/metrics", process.operations());
        let text = board.http().get(address).send().await.unwrap().text().await.unwrap();
        // `increase` sees a change of a series, not its first value.
        let zero = |line: &str| {
            let work =
                line.strip_prefix("chatboard_work_dead_total{work=\"")?.strip_suffix("\"} 0")?;
            Some(work.to_owned())
        };
        works.extend(text.lines().filter_map(zero));
    }
    let expected = ["mails", "recipients", "webhook_deliveries"];
    assert_eq!(works.into_iter().collect::<Vec<_>>(), expected);
}

/// A Prometheus with the shipped rules. Dropping it stops it.
struct Prometheus {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    fn start(tools: &Programs, prefix: &str, processes: &[&Process]) -> Self {
        let name = format!("chatboard-prometheus-{}-{prefix}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("rules.yml"), file("deploy/rules.yml")).unwrap();
        let mut config = "global: { scrape_interval: 1s, evaluation_interval: 1s }\n\
             rule_files: [rules.yml]\nscrape_configs:\n  - job_name: chatboard\n    static_configs:\n"
            .to_owned();
        for process in processes {
            let (address, role) = (process.operations(), process.role());
            let _ = writeln!(
                config,
                "      - {{ targets: [\"{address}\"], labels: {{ role: {role} }} }}"
            );
        }
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let port = devstack::ports::free_port(None).unwrap();
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(&tools.prometheus)
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder, address }
    }

    /// The alerts that fire now.
    async fn firing(&self, http: &reqwest::Client) -> Option<BTreeSet<String>> {
        let address = format!("http://{}/api/v1/alerts", self.address);
        let body: testkit::Value = http.get(address).send().await.ok()?.json().await.ok()?;
        let alerts = body["data"]["alerts"].as_array()?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Some(
            firing
                .filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned()))
                .collect(),
        )
    }

    /// Waits until each of these fires, the quickest named first, and prints after how long.
    async fn fires(&self, board: &Board, fault: &str, expected: &[&str]) {
        let began = Instant::now();
        for &alert in expected {
            eventually(&format!("{fault}: {alert} fires"), FIRES_WITHIN, || async {
                self.firing(board.http()).await?.contains(alert).then_some(())
            })
            .await;
            eprintln!("{fault}: {alert} fires after {:.0?}", began.elapsed());
        }
    }

    /// Waits until none of these fires.
    async fn ends(&self, board: &Board, alerts: &[&str]) {
        eventually(&format!("{alerts:?} end"), FIRES_WITHIN, || async {
            let firing = self.firing(board.http()).await?;
            alerts.iter().all(|alert| !firing.contains(*alert)).then_some(())
        })
        .await;
    }
}

/// A user who goes on writing, over REST and a socket, whatever becomes of it.
async fn write(alice: &Person, room: i64) {
    let opening = alice.opening(0, &format!("/ws/rooms/{room}/"));
    let mut open = None;
    for number in 0_u64.. {
        let body = json!({"body": "x", "nonce": format!("rest-{number}")});
        let path = format!("/messages/rooms/{room}/");
        let _ = alice.try_call("POST", &path, Some(&body)).await;
        let mut socket = match open.take() {
            Some(socket) => socket,
            None => match opening.try_connect().await {
                Ok(socket) => socket,
                Err(_) => continue,
            },
        };
        let nonce = format!("socket-{number}");
        socket.sends(json!({"type": "message", "body": "x", "nonce": nonce})).await;
        let reading = async { while socket.try_next().await.is_some() {} };
        let is_open = tokio::time::timeout(Duration::from_millis(300), reading).await.is_err();
        open = is_open.then_some(socket);
    }
}

const OF_STORE: [&str; 5] = [
    "ChatBoardConsumerStuck",
    "ChatBoardPublishRefused",
    "ChatBoardOutboxStuck",
    "ChatBoardNotReady",
    "ChatBoardNothingPlanned",
];
const OF_POSTGRES: [&str; 3] =
    ["ChatBoardPostgresDown", "ChatBoardSendsRefused", "ChatBoardNotReady"];
const OF_NATS: [&str; 3] = ["ChatBoardSendsRefused", "ChatBoardWithoutNats", "ChatBoardNotReady"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_faults_raise_their_alerts() {
    let Some(tools) = tools().await else { return };
    let builder = Board::builder().processes().edges(1).jetstream_bytes_max(STORE_BYTES);
    let board = builder.start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    board.settle().await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let settings = with(&board.settings(), &[("CHATBOARD_LOG", "debug")]);
    let mut mute = Process::start_with_stderr("relay", settings, full);
    mute.ready(board.http()).await;
    let of_clock = tokio::task::block_in_place(|| devstack::faketime::environment(30)).unwrap();
    let settings = board.settings().into_iter().chain(of_clock).collect();
    let mut wrong = Process::start_with_stderr("janitor", settings, Stdio::null());
    wrong.ready(board.http()).await;
    let prometheus = {
        let processes = board.processes().await;
        for process in processes.iter() {
            let address = format!("http://{}/metrics", process.operations());
            let text = board.http().get(address).send().await.unwrap().text().await.unwrap();
            promtool(tools, &["check", "metrics"], &text);
        }
        let all: Vec<&Process> = processes.iter().chain([&mute, &wrong]).collect();
        Prometheus::start(tools, board.prefix(), &all)
    };
    let faults = async {
        prometheus.fires(&board, "log on a full disk", &["ChatBoardLogLost"]).await;
        prometheus.fires(&board, "clock 30 s ahead", &["ChatBoardClockWrong"]).await;
        drop(wrong);
        prometheus.ends(&board, &OF_STORE).await;
        fill_store(&board).await;
        prometheus.fires(&board, "JetStream without space", &OF_STORE).await;
        free_store(&board).await;
        prometheus.ends(&board, &OF_STORE).await;
        let servers = board.servers();
        tokio::task::block_in_place(|| servers.postgres.stop_immediate()).unwrap();
        prometheus.fires(&board, "Postgres stopped", &OF_POSTGRES).await;
        tokio::task::block_in_place(|| servers.postgres.start_again()).unwrap();
        prometheus.ends(&board, &OF_POSTGRES).await;
        tokio::task::block_in_place(|| servers.nats.kill()).unwrap();
        prometheus.fires(&board, "NATS killed", &OF_NATS).await;
        tokio::task::block_in_place(|| servers.nats.start_again()).unwrap();
        prometheus.ends(&board, &OF_NATS).await;
    };
    tokio::select! {
        () = faults => {}
        () = write(&alice, room) => {}
    }
    board.settle().await;
}
