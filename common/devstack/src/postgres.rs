//! A private Postgres.
//!
//! It listens on loopback alone, asks for a password (other users of the machine reach loopback
//! too), and has no socket in the file system. It refuses root, so root's servers run as a
//! servant, with their data where the servant can reach it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::guard::{Guard, Server, Signal};
use crate::postgres_binaries::Binaries;
use crate::{Options, ports, progress, stale, system};

/// Where the data of root's servers lies.
const ROOTS_DATA: &str = "/var/lib/chatboard-dev";
/// Connections that it takes: many tests at once share one.
const CONNECTIONS_MAX: u32 = 500;
/// How long a start may take, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Starts that are tried: another program may take the port first, and what a killed server
/// leaves behind needs a moment to go.
const TRIES: u32 = 5;

/// A running Postgres. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    guard: Guard,
    data: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Starts a Postgres, with a new cluster where there is none.
    ///
    /// # Errors
    /// When Postgres cannot be installed, the data folder is unfit, or the server does not start.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        crate::blocking(move || Self::start_now(&options)).await
    }

    fn start_now(options: &Options) -> anyhow::Result<Self> {
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(system::temporary_folder()?),
        };
        let started = Self::start_in(options, temporary.as_deref());
        if let (Err(_), Some(folder)) = (&started, &temporary) {
            let _ = std::fs::remove_dir_all(folder);
        }
        started.context("Postgres does not start")
    }

    fn start_in(options: &Options, temporary: Option<&Path>) -> anyhow::Result<Self> {
        let servant = system::servant()?;
        let folder = match (&options.folder, temporary) {
            (Some(folder), _) => kept_folder(folder)?,
            (None, Some(folder)) => folder.to_owned(),
            (None, None) => bail!("no folder for the data"),
        };
        let data = folder.join("postgres");
        let binaries = Binaries::find(&data)?;
        stale::end(&data.join("postmaster.pid"), &data, Signal::Interrupt);
        let password = if data.join("PG_VERSION").exists() {
            std::fs::read_to_string(folder.join("postgres.password"))
                .with_context(|| format!("cannot read the password in {}", folder.display()))?
        } else {
            if temporary.is_none() {
                progress("making a Postgres cluster …");
            }
            initialize(&binaries, &folder, servant, temporary.is_some())?
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let port = ports::free_port(options.port)?;
            let mut server = server(&binaries, &data, port, options);
            server.user = servant;
            server.remove = temporary.map(Path::to_owned);
            let guard = Guard::start(&options.guard, &server)?;
            let postgres = Self { guard, data: data.clone(), port, password: password.clone() };
            match postgres.wait_until_ready() {
                Ok(()) => return Ok(postgres),
                Err(error) if tries == TRIES || temporary.is_some() => return Err(error),
                Err(_) => drop(postgres),
            }
        }
    }

    /// The address of its database `postgres`, as its superuser.
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// The address of a database of it, as its superuser.
    pub fn database_url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The folder with its cluster: to copy and replace while it is stopped.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The pid of the postmaster; `None` while it is down.
    ///
    /// # Errors
    /// When the guard has ended.
    pub fn pid(&self) -> anyhow::Result<Option<u32>> {
        self.guard.pid()
    }

    /// Stops it the hard way, as a crash would, and keeps it down.
    ///
    /// # Errors
    /// When the guard has ended.
    pub fn stop_immediate(&self) -> anyhow::Result<()> {
        self.guard.stop_server(Signal::Quit)
    }

    /// Starts it again on the same port. Returns once it takes connections.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.guard.start_server()?;
        self.wait_until_ready()
    }

    /// Stops it the hard way and starts it again, so that it has to recover.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart_immediate(&self) -> anyhow::Result<()> {
        self.stop_immediate()?;
        self.start_again()
    }

    /// The postmaster writes into its pid file what it is at, which `pg_ctl` waits for too.
    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let pid_file = self.data.join("postmaster.pid");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let Some(pid) = self.guard.pid()? else { bail!(self.last_words()) };
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            let is_its = lines.next().is_some_and(|line| line.trim() == pid.to_string());
            if is_its && lines.nth(6).is_some_and(|status| status.trim() == "ready") {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it is not ready after {} s: {}", START_TIMEOUT.as_secs(), self.last_words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn last_words(&self) -> String {
        let log = self.data.with_extension("log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let mut words = format!("see {}", log.display());
        for line in &lines[lines.len().saturating_sub(5)..] {
            let _ = write!(words, "\n  {line}");
        }
        words
    }
}

/// Where a kept cluster lies: in the folder, or for root where the servant can reach it, linked
/// from the folder.
fn kept_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    if !system::is_root() {
        return Ok(folder.to_owned());
    }
    let name = system::hex(&Sha256::digest(folder.as_os_str().as_encoded_bytes())[..8]);
    let target = Path::new(ROOTS_DATA).join(name);
    system::make_open_folder(Path::new(ROOTS_DATA))?;
    system::make_open_folder(&target)?;
    let link = folder.join("postgres");
    let data = target.join("postgres");
    if std::fs::read_link(&link).is_ok_and(|linked| linked == data) {
        return Ok(target);
    }
    // Whoever removed the folder meant to begin anew, as it would be for others than root. And a
    // copied project brings a link to another project's data with it.
    stale::end(&data.join("postmaster.pid"), &data, Signal::Quit);
    std::fs::remove_dir_all(&target)?;
    system::make_open_folder(&target)?;
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&data, &link)
        .with_context(|| format!("cannot link {} to {}", link.display(), data.display()))?;
    Ok(target)
}

/// Makes a cluster; it is there whole or not at all. Returns the superuser's password.
fn initialize(
    binaries: &Binaries,
    folder: &Path,
    servant: Option<(u32, u32)>,
    is_temporary: bool,
) -> anyhow::Result<String> {
    let password = system::random_word()?;
    let (data, new) = (folder.join("postgres"), folder.join("postgres.new"));
    let password_file = folder.join("postgres.password");
    system::write_secret(&password_file, &password)?;
    if let Some((uid, gid)) = servant {
        std::os::unix::fs::chown(&password_file, Some(uid), Some(gid))?;
    }
    // Names sort and fold case by Unicode where the system can.
    let mut done = Ok(());
    for locale in ["C.UTF-8", "C"] {
        let _ = std::fs::remove_dir_all(&new);
        system::make_private_folder(&new)?;
        let mut command = Command::new(binaries.program("initdb"));
        command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"]);
        command.arg(format!("--locale={locale}"));
        command.arg(format!("--pwfile={}", password_file.display()));
        if is_temporary {
            command.arg("--no-sync");
        }
        command.arg("-D").arg(&new).current_dir(folder);
        if let Some((uid, gid)) = servant {
            use std::os::unix::process::CommandExt;
            std::os::unix::fs::chown(&new, Some(uid), Some(gid))?;
            command.gid(gid).uid(uid);
        }
        done = system::run(&mut command);
        if done.is_ok() {
            break;
        }
    }
    done?;
    std::fs::rename(&new, &data)?;
    Ok(password)
}

fn server(binaries: &Binaries, data: &Path, port: u16, options: &Options) -> Server {
    let mut args = vec!["-D".to_owned(), data.display().to_string()];
    let mut set =
        |name: &str, value: &str| args.extend(["-c".to_owned(), format!("{name}={value}")]);
    set("listen_addresses", "127.0.0.1");
    set("port", &port.to_string());
    set("unix_socket_directories", "");
    set("max_connections", &CONNECTIONS_MAX.to_string());
    set("logging_collector", "off");
    set("log_destination", "stderr");
    set("timezone", "UTC");
    // The search index writes many whole pages, for which other transactions wait at their commit.
    set("wal_compression", "on");
    if !options.is_durable {
        set("fsync", "off");
    }
    Server {
        program: binaries.program("postgres"),
        args,
        user: None,
        cwd: data.to_owned(),
        log: data.with_extension("log"),
        // What is thrown away needs no checkpoint.
        stop: if options.folder.is_some() { Signal::Interrupt } else { Signal::Quit },
        restarts: options.restarts,
        remove: None,
    }
}
