//! nats-servers with configurations of their own, the shipped ones among them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::builder::Builder;
use crate::wait::{DEADLINE, eventually};

/// Every password of a shipped configuration. Digits, which nats-server reads as a number unless
/// they stand in quotes.
pub const NATS_PASSWORD: &str = "12345678";
/// A certificate of 127.0.0.1 and localhost, signed by itself, and its key.
pub const NATS_TLS_PEM: &str = include_str!("nats_tls.pem");
/// Whose passwords the shipped configurations take from the environment.
const USERS: [&str; 9] =
    ["api", "edge", "relay", "webhooks", "notifier", "operator", "migrate", "sys", "all"];

/// A nats-server of one test. Dropping it ends it.
#[derive(Debug)]
pub struct NatsProcess {
    child: Mutex<Child>,
    port: u16,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Drop for NatsProcess {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl NatsProcess {
    /// Starts one with this configuration, in which `{port}` and `{store}` are replaced.
    pub async fn start(configuration: &str, environment: &[(String, String)]) -> Self {
        let port = devstack::ports::free_port(None).expect("a port is free");
        Self::start_on(port, configuration, environment).await
    }

    /// As [`Self::start`], on a port that is free.
    pub async fn start_on(
        port: u16,
        configuration: &str,
        environment: &[(String, String)],
    ) -> Self {
        let name = format!("chatboard-test-nats-{port}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let with_ports = |text: &str| {
            let store = folder.join("store").display().to_string();
            text.replace("{port}", &port.to_string()).replace("{store}", &store)
        };
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        // A file may include the shipped one, which then lies beside it.
        std::fs::write(folder.join("server.conf"), with_ports(&shipped("server.conf")))
            .expect("a file can be written");
        let file = folder.join("started.conf");
        std::fs::write(&file, with_ports(configuration)).expect("a file can be written");
        let child = Mutex::new(run(&folder, environment));
        let server = Self { child, port, folder, environment: environment.to_vec() };
        server.listens().await;
        server
    }

    async fn listens(&self) {
        eventually("nats-server listens", DEADLINE, || {
            let ended = self.child().try_wait().expect("a process of ours can be waited for");
            assert!(ended.is_none(), "nats-server has ended: {}", self.log());
            let port = self.port;
            async move { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop) }
        })
        .await;
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills it (SIGKILL); its store stays.
    pub fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts it again after [`Self::kill`], on the same port and store.
    pub async fn start_again(&self) {
        *self.child() = run(&self.folder, &self.environment);
        self.listens().await;
    }

    /// Starts as many as a file of `nats/` is for.
    pub(crate) async fn all_shipped(file: &str) -> Vec<Self> {
        if file == "cluster.conf" { Self::cluster().await } else { vec![Self::shipped(file).await] }
    }

    /// Starts three with the shipped cluster configuration.
    pub async fn cluster() -> Vec<Self> {
        let free_port = || devstack::ports::free_port(None).expect("a port is free");
        let ports = [free_port(), free_port(), free_port()];
        let routes =
            ports.map(|port| format!("\"nats://cluster:{NATS_PASSWORD}@127.0.0.1:{port}\""));
        let mut servers = Vec::new();
        for (number, port) in (1..).zip(ports) {
            let mut environment = nats_environment(&format!("n{number}"));
            let password = format!("\"{NATS_PASSWORD}\"");
            environment.push(("NATS_CLUSTER_PASSWORD".to_owned(), password));
            environment.push(("NATS_ROUTES".to_owned(), format!("[{}]", routes.join(", "))));
            let listen = format!("listen: \"127.0.0.1:{port}\"");
            let configuration = shipped("cluster.conf").replace("port: 6222", &listen);
            servers.push(Self::start(&configuration, &environment).await);
        }
        servers
    }

    /// Starts one with a file of `nats/`, but for its ports and its folder.
    pub async fn shipped(name: &str) -> Self {
        Self::start(&shipped(name), &nats_environment("n1")).await
    }

    /// Where it is, without sign-in.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where a user of a shipped configuration reaches it.
    pub fn url_of(&self, user: &str) -> String {
        format!("nats://{user}:{NATS_PASSWORD}@{}", self.address())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The lines of its log about things that a user tried and may not do.
    pub fn violations(&self) -> Vec<String> {
        let log = self.log();
        log.lines().filter(|line| line.contains("Violation")).map(str::to_owned).collect()
    }
}

/// Starts a nats-server in its folder.
fn run(folder: &Path, environment: &[(String, String)]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    Command::new(devstack::nats_binary::find().expect("there is a nats-server"))
        .arg("-c")
        .arg(folder.join("started.conf"))
        .envs(environment.iter().cloned())
        .stdout(Stdio::null())
        .stderr(log.expect("a file can be made"))
        .spawn()
        .expect("nats-server starts")
}

/// Where a user reaches servers of a shipped configuration.
pub(crate) fn urls_of(servers: &[NatsProcess], user: &str) -> String {
    servers.iter().map(|server| server.url_of(user)).collect::<Vec<_>>().join(",")
}

/// A file of `nats/` with places for ports and folder.
pub fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nats").join(name);
    let text = std::fs::read_to_string(&path).expect("the file is there");
    text.replace("port: 4222", "listen: \"127.0.0.1:{port}\"")
        .replace("http: \"127.0.0.1:8222\"", "")
        .replace("/data", "{store}")
}

/// What the shipped configurations take from the environment.
pub fn nats_environment(server: &str) -> Vec<(String, String)> {
    let password = |user: &str| {
        (format!("NATS_{}_PASSWORD", user.to_uppercase()), format!("\"{NATS_PASSWORD}\""))
    };
    let mut environment: Vec<_> = USERS.into_iter().map(password).collect();
    environment.push(("NATS_SERVER_NAME".to_owned(), server.to_owned()));
    environment
}

impl Builder {
    /// The roles run as processes on a nats-server with this file of `nats/`, each as its own user;
    /// with `all.conf`, one process plays all of them; with `cluster.conf`, there are three servers.
    #[must_use]
    pub fn shipped_nats(mut self, file: &'static str) -> Self {
        self.shipped_nats = Some(file);
        self.processes()
    }
}
