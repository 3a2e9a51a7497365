//! What is driven: a deployment that runs, or a private one of separate real processes.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use runtime::tokens::SigningKeys;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::http::Rest;
use crate::options::Options;
use crate::process::Process;
use crate::servers::Servers;

/// How long a role may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the relay may take to catch up between two parts.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The release build, seen from the bench's own executable in `target/release/deps`.
const BINARY: &str = "../chatboard";

/// A deployment, driven over loopback alone. Dropping it ends the processes it started.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The api that commits in groups.
    pub(crate) api: SocketAddr,
    /// The api that commits each send by itself; a running deployment has none.
    pub(crate) api_ungrouped: Option<SocketAddr>,
    /// The edges.
    pub(crate) edges: Vec<SocketAddr>,
    /// Where the scene is set.
    pub(crate) db: PgPool,
    /// What its tokens are signed with.
    pub(crate) keys: SigningKeys,
    /// Where the bus is.
    pub(crate) nats_url: String,
    /// Whose CPU and memory can be read.
    pub(crate) processes: Vec<Process>,
    // Ended in this order: what uses Postgres and NATS goes first.
    ungrouped: Mutex<Option<Child>>,
    roles: Mutex<Option<Roles>>,
    _servers: Option<Servers>,
    /// On the disk that is measured.
    pub(crate) dir: PathBuf,
}

impl Deployment {
    /// What the options name: `--api`, or a private one.
    ///
    /// # Errors
    /// When it cannot be reached or started.
    pub(crate) async fn open(options: &Options) -> anyhow::Result<Self> {
        let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let deployment = match &options.api {
            Some(api) => Self::attach(options, api, dir).await?,
            None => Self::start(options, dir).await?,
        };
        let fsync = sqlx::query_scalar!(r#"select current_setting('fsync') as "fsync!""#)
            .fetch_one(&deployment.db)
            .await?;
        ensure!(fsync == "on", "Postgres runs with fsync {fsync}: its figures would mean nothing");
        Ok(deployment)
    }

    async fn attach(options: &Options, api: &str, dir: PathBuf) -> anyhow::Result<Self> {
        let (Some(database), Some(nats_url), Some(key_file)) =
            (&options.database_url, &options.nats_url, &options.key_file)
        else {
            bail!("--api needs --database-url, --nats-url and --key-file");
        };
        let api = loopback(api)?;
        let mut edges = Vec::new();
        for edge in &options.ws {
            edges.push(loopback(edge)?);
        }
        if edges.is_empty() {
            edges.push(api);
        }
        let edge = |&pid: &u32| Process { role: "edge", pid };
        Ok(Self {
            api,
            api_ungrouped: None,
            ungrouped: Mutex::new(None),
            edges,
            db: pool(database).await?,
            keys: SigningKeys::parse(&std::fs::read_to_string(key_file)?)?,
            nats_url: nats_url.clone(),
            processes: options.edge_pid.iter().map(edge).collect(),
            roles: Mutex::new(None),
            _servers: None,
            dir,
        })
    }

    async fn start(options: &Options, dir: PathBuf) -> anyhow::Result<Self> {
        let binary = binary(options)?;
        let servers = Servers::start(options, &binary).await?;
        let database = servers.database_url();
        store::migrate(&database).await.context("migrating the private database")?;
        let key = SigningKeys::generate()?;
        let run = dir.join(format!("chatboard-bench-{}", std::process::id()));
        std::fs::create_dir_all(&run)?;
        std::fs::write(run.join("key.pem"), &key)?;
        let nats_url = servers.nats_url();
        let mut roles = Roles {
            binary,
            settings: settings(&database, &nats_url, &run),
            run,
            children: Vec::new(),
            processes: servers.processes()?,
        };
        let api = roles.start("api", &[]).await?;
        let api_ungrouped = roles.start("api", &[("CHATBOARD_POST_BATCH_MAX", "1")]).await?;
        let ungrouped = roles.children.pop();
        let mut edges = Vec::new();
        for _ in 0..options.edges {
            edges.push(roles.start("edge", &[]).await?);
        }
        roles.start("relay", &[]).await?;
        roles.start("webhooks", &[]).await?;
        Ok(Self {
            api,
            api_ungrouped: Some(api_ungrouped),
            ungrouped: Mutex::new(ungrouped),
            edges,
            db: pool(&database).await?,
            keys: SigningKeys::parse(&key)?,
            nats_url,
            processes: roles.processes.clone(),
            roles: Mutex::new(Some(roles)),
            _servers: Some(servers),
            dir,
        })
    }

    /// Waits until the relay has caught up, so that one part's work is not done in the next; how
    /// long that took.
    ///
    /// # Errors
    /// When it takes longer than two minutes.
    pub(crate) async fn settle(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        loop {
            let left = sqlx::query_scalar!(r#"select count(*) as "count!" from outbox"#)
                .fetch_one(&self.db)
                .await?;
            if left == 0 {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < SETTLE_TIMEOUT, "{left} rows are still in the outbox");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the api that commits each send by itself: it takes its share of what edges ask, too,
    /// so figures of sends by socket would be half its own.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) async fn end_ungrouped(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.ungrouped.lock().await.take() {
            child.kill().await.context("ending the api without group commit")?;
        }
        Ok(())
    }

    /// Starts a janitor, which looks at once whether there is something to do.
    ///
    /// # Errors
    /// When the deployment is not a private one, or it does not start.
    pub(crate) async fn start_janitor(&self) -> anyhow::Result<Process> {
        let mut roles = self.roles.lock().await;
        let roles = roles.as_mut().context("a janitor is started in a private deployment alone")?;
        roles.start("janitor", &[]).await?;
        roles.processes.last().cloned().context("the janitor has just ended")
    }

    /// The last `seq` of each room.
    ///
    /// # Errors
    /// When Postgres is away.
    pub(crate) async fn heads(&self, rooms: &[i64]) -> anyhow::Result<Vec<u64>> {
        let heads = sqlx::query_scalar!(
            "select rooms.last_seq from unnest($1::bigint[]) with ordinality as asked (id, n)
             join rooms on rooms.id = asked.id order by asked.n",
            rooms,
        )
        .fetch_all(&self.db)
        .await?;
        Ok(heads.into_iter().map(|head| u64::try_from(head).unwrap_or(0)).collect())
    }

    /// The edges' processes.
    pub(crate) fn edge_processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|process| process.role == "edge")
    }
}

/// Starts roles.
#[derive(Debug)]
struct Roles {
    binary: PathBuf,
    settings: Vec<(&'static str, String)>,
    run: PathBuf,
    children: Vec<Child>,
    processes: Vec<Process>,
}

impl Roles {
    /// Starts a role, waits until it is ready, and gives its public address.
    async fn start(
        &mut self,
        role: &'static str,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<SocketAddr> {
        let (address, operations) = (free_address()?, free_address()?);
        let log_path = self.run.join(format!("{role}-{}.log", self.children.len()));
        let log = std::fs::File::create(&log_path)?;
        let mut command = Command::new(&self.binary);
        command.arg(role).env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.envs(extra.iter().copied());
        command.env("CHATBOARD_HTTP_ADDR", address.to_string());
        command.env("CHATBOARD_WS_ADDR", address.to_string());
        command.env("CHATBOARD_OPS_ADDR", operations.to_string());
        command.env("CHATBOARD_PUBLIC_URL", format!("http://{address}"));
        command.current_dir(&self.run).stdin(std::process::Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {role}"))?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while !is_ready(operations).await {
            let ended = child.try_wait()?;
            let is_late = Instant::now() > deadline;
            if ended.is_some() || is_late {
                let log = std::fs::read_to_string(&log_path).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                bail!("{role} did not become ready ({ended:?}): {}", last.join(" | "));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let pid = child.id().context("the role has just ended")?;
        self.processes.push(Process { role, pid });
        self.children.push(child);
        Ok(address)
    }
}

fn settings(database: &str, nats: &str, run: &Path) -> Vec<(&'static str, String)> {
    let off = || "0".to_owned();
    vec![
        ("CHATBOARD_DATABASE_URL", database.to_owned()),
        ("CHATBOARD_NATS_URL", nats.to_owned()),
        ("CHATBOARD_SIGNING_KEY_FILE", run.join("key.pem").display().to_string()),
        ("CHATBOARD_REQUESTS_PER_MINUTE", off()),
        ("CHATBOARD_SIGN_INS_PER_MINUTE", off()),
        ("CHATBOARD_SOCKET_FRAMES_PER_SECOND", off()),
        ("CHATBOARD_USER_FRAMES_PER_SECOND", off()),
        ("CHATBOARD_USER_REPLAY_KIB_PER_SECOND", off()),
        ("CHATBOARD_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8".to_owned()),
        ("CHATBOARD_LOG", "warn".to_owned()),
    ]
}

async fn is_ready(operations: SocketAddr) -> bool {
    let Ok(mut rest) = Rest::open(operations).await else { return false };
    rest.call("GET /health/ready", "", None).await.is_ok_and(|answer| answer.status == 200)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn binary(options: &Options) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|deps| deps.join(BINARY));
    let path = options.binary.clone().or(beside).context("this program lies nowhere")?;
    path.canonicalize().with_context(|| {
        format!("{} is missing: run `cargo build --release -p chatboard`", path.display())
    })
}

async fn pool(url: &str) -> anyhow::Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(2).connect(url).await;
    pool.context("connecting to Postgres")
}

/// The address of an `http`, `https` or `ws` URL, which must be this machine's.
fn loopback(url: &str) -> anyhow::Result<SocketAddr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.replace("localhost", "127.0.0.1");
    let address: SocketAddr =
        authority.parse().with_context(|| format!("{url} is no address with a port"))?;
    ensure!(is_own(address.ip()), "{url} is not on loopback: only that is driven");
    Ok(address)
}

fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_driven() {
        assert_eq!(loopback("http://127.0.0.1:8080/").unwrap().port(), 8080);
        assert_eq!(loopback("ws://localhost:9000").unwrap().port(), 9000);
        assert_eq!(loopback("http://[::1]:8080").unwrap().port(), 8080);
        for other in ["http://192.0.2.1:80", "http://example.org:80", "http://127.0.0.1"] {
            assert!(loopback(other).is_err(), "{other}");
        }
    }
}
