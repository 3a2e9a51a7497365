//! A private nats-server with JetStream. It listens on loopback alone and asks for a password:
//! other users of the machine reach loopback too, and NATS is the whole chat.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::guard::{Guard, Server, Signal};
use crate::{Options, nats_binary, ports, stale, system};

/// How long a start may take, recovery of the streams included.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Whom the server lets in.
const USER: &str = "chatboard";
/// Starts that are tried: another program may take the port first.
const TRIES: u32 = 5;

/// A running nats-server. Dropping it stops it.
#[derive(Debug)]
pub struct NatsServer {
    guard: Guard,
    folder: PathBuf,
    port: u16,
    password: String,
}

impl NatsServer {
    /// Starts a nats-server.
    ///
    /// # Errors
    /// When there is none and none can be fetched, or it does not start.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        crate::blocking(move || Self::start_now(&options).context("nats-server does not start"))
            .await
    }

    fn start_now(options: &Options) -> anyhow::Result<Self> {
        let program = nats_binary::find()?;
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(system::temporary_folder()?),
        };
        let started = Self::start_in(options, &program, temporary.as_deref());
        if let (Err(_), Some(folder)) = (&started, &temporary) {
            let _ = std::fs::remove_dir_all(folder);
        }
        started
    }

    fn start_in(
        options: &Options,
        program: &Path,
        temporary: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let base = options.folder.as_deref().or(temporary).context("no folder for the data")?;
        let folder = base.join("nats");
        system::make_private_folder(&folder)?;
        stale::end(&folder.join("nats.pid"), &folder, Signal::Terminate);
        let password = password(&folder)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let port = ports::free_port(options.port)?;
            let text = configuration(&folder, port, (&password, options));
            system::write_secret(&folder.join("nats.conf"), &text)?;
            let server = Server {
                program: program.to_owned(),
                args: vec!["-c".to_owned(), folder.join("nats.conf").display().to_string()],
                user: None,
                cwd: folder.clone(),
                log: base.join("nats.log"),
                stop: Signal::Terminate,
                restarts: options.restarts,
                remove: temporary.map(Path::to_owned),
            };
            let guard = Guard::start(&options.guard, &server)?;
            let nats = Self { guard, folder: folder.clone(), port, password: password.clone() };
            match nats.wait_until_ready() {
                Ok(()) => return Ok(nats),
                Err(error) if tries == TRIES || temporary.is_some() => return Err(error),
                Err(_) => drop(nats),
            }
        }
    }

    /// Its address, with user and password.
    pub fn url(&self) -> String {
        format!("nats://{USER}:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The port that it listens on, also after it was killed and restarted.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its pid; `None` while it is down.
    ///
    /// # Errors
    /// When the guard has ended.
    pub fn pid(&self) -> anyhow::Result<Option<u32>> {
        self.guard.pid()
    }

    /// Kills it (SIGKILL) and keeps it down.
    ///
    /// # Errors
    /// When the guard has ended.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.guard.stop_server(Signal::Kill)
    }

    /// Starts it again on the same port, after [`Self::kill`]. Returns once it takes connections.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.guard.start_server()?;
        self.wait_until_ready()
    }

    /// Kills it and starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.kill()?;
        self.start_again()
    }

    /// Where JetStream keeps what it stores.
    pub fn store(&self) -> std::path::PathBuf {
        self.folder.join("jetstream")
    }

    /// Deletes all that JetStream has stored. Call it between [`Self::kill`] and
    /// [`Self::start_again`].
    ///
    /// # Errors
    /// While it runs, or when its files cannot be removed.
    pub fn wipe_store(&self) -> anyhow::Result<()> {
        if self.pid()?.is_some() {
            bail!("nats-server must be down while its store is deleted");
        }
        let store = self.store();
        if store.exists() {
            std::fs::remove_dir_all(&store)
                .with_context(|| format!("cannot remove {}", store.display()))?;
        }
        Ok(())
    }

    /// It greets who connects once it is ready.
    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !greets(self.port) {
            let log = self.folder.with_extension("log");
            if self.pid()?.is_none() || Instant::now() > deadline {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last = text.lines().last().unwrap_or_default();
                bail!("see {}: {last}", log.display());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let patience = Duration::from_secs(1);
    let Ok(stream) = TcpStream::connect_timeout(&address, patience) else { return false };
    let _ = stream.set_read_timeout(Some(patience));
    let mut greeting = String::new();
    BufReader::new(stream).read_line(&mut greeting).is_ok()
        && greeting.starts_with("INFO ")
        && greeting.contains("\"jetstream\":true")
}

/// The password of earlier starts, or a new random one.
fn password(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("nats.password");
    if file.exists() {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        return Ok(text.trim().to_owned());
    }
    let password = system::random_word()?;
    system::write_secret(&file, &password)?;
    Ok(password)
}

/// The pings find a vanished host within 15 s, where the default keeps it for minutes: who is
/// online depends on it.
fn configuration(folder: &Path, port: u16, (password, options): (&str, &Options)) -> String {
    let folder = folder.display();
    let bound = options.jetstream_bytes_max.map(|bytes| format!(", max_file_store: {bytes}"));
    let bound = bound.unwrap_or_default();
    let authorization = options.nats_authorization.clone().unwrap_or_else(|| {
        format!("authorization {{ user: \"{USER}\", password: \"{password}\" }}")
    });
    format!(
        "listen: \"127.0.0.1:{port}\"\n\
         server_name: \"chatboard-{port}\"\n\
         pid_file: \"{folder}/nats.pid\"\n\
         ping_interval: \"5s\"\n\
         ping_max: 2\n\
         max_payload: 1MB\n\
         {authorization}\n\
         jetstream {{ store_dir: \"{folder}\"{bound} }}\n"
    )
}
