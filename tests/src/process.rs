//! Real processes of the binary, for tests that kill them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::wait::eventually;

/// How long a process may take until it is ready.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The `chatboard` binary that belongs to this test run: Cargo puts it beside the tests' folder.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests lie in deps/");
    let binary = folder.join("chatboard");
    assert!(binary.is_file(), "{} is missing", binary.display());
    binary
}

/// An address that is free now, for a process that binds it itself.
pub(crate) fn free_address() -> String {
    let port = devstack::ports::free_port(None).expect("a port is free");
    format!("127.0.0.1:{port}")
}

/// A role in a process of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    role: &'static str,
    environment: Vec<(String, String)>,
    operations: String,
    child: Option<Child>,
}

/// What a process has written to its stderr so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// Reads to the end in a thread of its own.
    fn of(stderr: ChildStderr) -> Self {
        let log = Self::default();
        let of_thread = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut text = of_thread.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        log
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that holds all of some words; returns it.
    pub async fn line_with(&self, words: &[&str]) -> String {
        eventually(&format!("the log says {words:?}"), START_PATIENCE, || {
            let text = self.text();
            let found = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
            std::future::ready(found.map(str::to_owned))
        })
        .await
    }
}

impl Process {
    /// Starts a role; wait for it with [`Self::ready`].
    pub fn start(role: &'static str, operations: &str, environment: Vec<(String, String)>) -> Self {
        let operations = operations.to_owned();
        let mut process = Self { role, environment, operations, child: None };
        process.start_again();
        process
    }

    /// Starts a role whose stderr goes where the test says.
    pub fn start_with_stderr(
        role: &'static str,
        environment: Vec<(String, String)>,
        stderr: impl Into<Stdio>,
    ) -> Self {
        let port = devstack::ports::free_port(None).expect("a port is free");
        let operations = format!("127.0.0.1:{port}");
        let mut process = Self { role, environment, operations, child: None };
        process.spawn(stderr.into(), "info");
        process
    }

    /// Starts a role whose log the test reads.
    pub fn start_with_log(role: &'static str, environment: Vec<(String, String)>) -> (Self, Log) {
        let mut process = Self::start_with_stderr(role, environment, Stdio::piped());
        let stderr = process.child.as_mut().and_then(|child| child.stderr.take());
        (process, Log::of(stderr.expect("stderr is a pipe")))
    }

    /// What it plays.
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Where its operations port is: `127.0.0.1:1234`.
    pub fn operations(&self) -> &str {
        &self.operations
    }

    /// A setting that it was started with.
    pub fn setting(&self, name: &str) -> &str {
        let found = self.environment.iter().rfind(|(one, _)| one == name);
        found.map_or("", |(_, value)| value)
    }

    /// Starts another of the same role beside it.
    #[must_use]
    pub fn another(&self) -> Self {
        let port = devstack::ports::free_port(None).expect("a port is free");
        Self::start(self.role, &format!("127.0.0.1:{port}"), self.environment.clone())
    }

    /// Starts another of the same role, with some variables of its own.
    #[must_use]
    pub fn another_with(&self, variables: &[(&str, &str)]) -> Self {
        let port = devstack::ports::free_port(None).expect("a port is free");
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| variables.iter().all(|(own, _)| own != name));
        let own = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        environment.extend(own);
        Self::start(self.role, &format!("127.0.0.1:{port}"), environment)
    }

    /// Halts it (SIGSTOP) until [`Self::resume`].
    pub fn halt(&self) {
        self.signal("-STOP");
    }

    /// Lets it run again (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill is there");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Starts it again, after [`Self::kill`].
    pub fn start_again(&mut self) {
        let stderr = match std::env::var_os("CHATBOARD_TEST_LOGS") {
            Some(_) => Stdio::inherit(),
            None => Stdio::null(),
        };
        self.spawn(stderr, "warn");
    }

    fn spawn(&mut self, stderr: Stdio, filter: &str) {
        assert!(self.child.is_none(), "{} runs already", self.role);
        let child = Command::new(binary())
            .arg(self.role)
            .env_clear()
            .env("CHATBOARD_LOG", filter)
            .envs(self.environment.iter().cloned())
            .env("CHATBOARD_OPS_ADDR", &self.operations)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// Starts another of the same role that writes everything it has to say to `stderr`; returns
    /// it with the address of its REST listener.
    pub fn another_logging_to(&self, stderr: Stdio) -> (Self, String) {
        let port = || devstack::ports::free_port(None).expect("a port is free");
        let (operations, http) = (port(), format!("127.0.0.1:{}", port()));
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != "CHATBOARD_HTTP_ADDR");
        environment.push(("CHATBOARD_HTTP_ADDR".to_owned(), http.clone()));
        let operations = format!("127.0.0.1:{operations}");
        let mut process = Self { role: self.role, environment, operations, child: None };
        process.spawn(stderr, "debug");
        (process, http)
    }

    /// Runs a command of the binary with the same settings, changed by `more`, to its end; returns
    /// whether it succeeded and what it wrote to stderr.
    pub fn command(&self, arguments: &[&str], more: &[(&str, &str)]) -> (bool, String) {
        let output = Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a process of ours can be killed");
            child.wait().expect("a killed process ends");
        }
    }

    /// Asks it to stop (SIGTERM), and returns its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.stop_within(START_PATIENCE).await
    }

    /// Asks it to stop (SIGTERM), waits for at most `patience`, and returns its exit code.
    pub async fn stop_within(&mut self, patience: Duration) -> Option<i32> {
        self.signal("-TERM");
        let mut child = self.child.take().expect("it runs");
        let status = eventually("the process stops", patience, || {
            let ended = child.try_wait().expect("a process of ours can be waited for");
            std::future::ready(ended)
        });
        status.await.code()
    }

    /// Waits until it ends by itself; its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        let status = eventually("the process ends", START_PATIENCE, || {
            std::future::ready(child.try_wait().expect("a process of ours can be waited for"))
        });
        status.await.code()
    }

    /// Its pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Bytes of memory that it holds, while it runs.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it has held at once, while it runs.
    pub fn peak_resident_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let pid = self.pid().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| {
            line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok()
        });
        kilobytes.unwrap_or(0) * 1024
    }

    /// A metric without labels, as it says it now; 0 when it does not answer.
    pub async fn metric(&self, http: &reqwest::Client, name: &str) -> f64 {
        let Ok(response) = http.get(format!("http://{}/metrics", self.operations)).send().await
        else {
            return 0.0;
        };
        let text = response.text().await.unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// What it says of its readiness, with the status; `None` while it does not answer.
    pub async fn readiness(&self, http: &reqwest::Client) -> Option<(u16, serde_json::Value)> {
        let address = format!("http://{}/health/ready", self.operations);
        let response = http.get(address).send().await.ok()?;
        Some((response.status().as_u16(), response.json().await.ok()?))
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self, http: &reqwest::Client) {
        let address = format!("http://{}/health/ready", self.operations);
        let (role, child) = (self.role, &mut self.child);
        eventually(&format!("{role} is ready"), START_PATIENCE, || {
            let ended = child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "{role} has ended: {ended:?}; CHATBOARD_TEST_LOGS=1 says why");
            let answer = http.get(&address).send();
            async {
                let body: serde_json::Value = answer.await.ok()?.json().await.ok()?;
                (body["status"] == "ok").then_some(())
            }
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
