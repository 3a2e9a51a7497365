//! What an operator gets wrong with Postgres, clocks and settings: nothing is lost by it, and it is
//! named.

mod clock;
mod connections;
mod migrating;
mod reaching;
mod retention;
mod roles;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::tokens::SigningKeys;
use testkit::{DEADLINE, Servers, Value, binary, eventually};

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

/// A number that no other test of this run has.
fn number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Variables that a role needs besides the database's.
async fn environment() -> Vec<(String, String)> {
    let servers = Servers::shared().await;
    let name = format!("postgres-test-{}-{}", std::process::id(), number());
    let key = std::env::temp_dir().join(format!("{name}.pem"));
    std::fs::write(&key, SigningKeys::generate().unwrap()).unwrap();
    [
        ("CHATBOARD_NATS_URL", servers.nats.url()),
        ("CHATBOARD_NATS_PREFIX", name),
        ("CHATBOARD_SIGNING_KEY_FILE", key.display().to_string()),
        ("CHATBOARD_HTTP_ADDR", free_address()),
        ("CHATBOARD_OPS_ADDR", free_address()),
        ("CHATBOARD_LOG", "info".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn free_address() -> String {
    format!("127.0.0.1:{}", devstack::ports::free_port(None).unwrap())
}

/// Runs a command of the binary to its end.
async fn command(database: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().envs(environment().await);
    command.env("CHATBOARD_DATABASE_URL", database);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a command said, and that it succeeded.
async fn succeeds(database: &str, arguments: &[&str]) -> String {
    let output = command(database, arguments).await;
    let said = said(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// What a command said, and that it failed.
async fn fails(database: &str, arguments: &[&str]) -> String {
    let output = command(database, arguments).await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    said
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

/// A role in a process of its own, whose log can be read. Dropping it kills it.
struct Running {
    child: Child,
    log: PathBuf,
    http: String,
    operations: String,
}

impl Running {
    async fn start(role: &str, database: &str, settings: &[(&str, &str)]) -> Self {
        let environment = environment().await;
        let value = |name: &str| {
            environment.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone()).unwrap()
        };
        let log = PathBuf::from(value("CHATBOARD_SIGNING_KEY_FILE")).with_extension("log");
        let child = Command::new(binary())
            .arg(role)
            .env_clear()
            .envs(environment.iter().cloned())
            .env("CHATBOARD_DATABASE_URL", database)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let (http, operations) = (value("CHATBOARD_HTTP_ADDR"), value("CHATBOARD_OPS_ADDR"));
        Self { child, log, http, operations }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line of its log that holds all of these, and returns it.
    async fn says(&self, parts: &[&str]) -> String {
        eventually(&format!("a line with {parts:?}"), DEADLINE, || async {
            let log = self.log();
            let mut lines = log.lines();
            lines.find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        })
        .await
    }

    /// Its answer to `/health/ready`, once it listens.
    async fn readiness(&self) -> (u16, Value) {
        let url = format!("http://{}/health/ready", self.operations);
        eventually("it listens", DEADLINE, || async {
            let answer = testkit::http::client(DEADLINE).get(&url).send().await.ok()?;
            Some((answer.status().as_u16(), answer.json().await.ok()?))
        })
        .await
    }

    /// Waits until it is ready (200), or is not (503); returns the body.
    async fn ready(&self, status: u16) -> Value {
        eventually(&format!("readiness {status}"), DEADLINE, || async {
            let (found, body) = self.readiness().await;
            (found == status).then_some(body)
        })
        .await
    }

    /// Its answer to a request for which it needs Postgres.
    async fn asks_postgres(&self) -> (u16, Value) {
        let answer = testkit::http::client(DEADLINE)
            .post(format!("http://{}/api/v1/auth/token/refresh/", self.http))
            .json(&testkit::json!({"refresh": "unknown"}))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until a metric, with its labels, has been set.
    async fn has_metric(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.operations);
        eventually(name, DEADLINE, || async {
            let answer = testkit::http::client(DEADLINE).get(&url).send().await.ok()?;
            let text = answer.text().await.ok()?;
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
        let _ = std::fs::remove_file(self.log.with_extension("pem"));
    }
}

/// A database without a schema.
async fn empty_database() -> String {
    let servers = Servers::shared().await;
    let name = format!("empty_{}", number());
    servers.make_empty_database(&name).await;
    servers.postgres.database_url(&name)
}
