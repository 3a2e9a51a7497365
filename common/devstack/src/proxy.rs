//! A reverse proxy of the system, for the tests of the deployment files.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::guard::{Guard, Server, Signal};
use crate::{Options, install, system};

/// Folders of servers' programs that are not on everyone's `PATH`.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A reverse proxy that deployment files are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// Caddy.
    Caddy,
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
}

impl ProxyKind {
    /// The name of its program and of its package.
    fn program(self) -> &'static str {
        match self {
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// The arguments that run it in the foreground.
    fn run(self, folder: &Path, file: &Path) -> Vec<String> {
        let file = file.display();
        match self {
            Self::Caddy => words(&format!("run --adapter caddyfile --config {file}")),
            Self::Haproxy => words(&format!("-db -f {file}")),
            Self::Nginx => nginx(folder, &file.to_string()),
        }
    }

    /// The arguments that check a file.
    fn check(self, folder: &Path, file: &Path) -> Vec<String> {
        let file = file.display();
        match self {
            Self::Caddy => words(&format!("validate --adapter caddyfile --config {file}")),
            Self::Haproxy => words(&format!("-c -f {file}")),
            Self::Nginx => {
                let mut args = nginx(folder, &file.to_string());
                args.push("-t".to_owned());
                args
            }
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn nginx(folder: &Path, file: &str) -> Vec<String> {
    let folder = folder.display().to_string();
    let globals = format!("daemon off; pid {folder}/nginx.pid;");
    ["-e", "stderr", "-p", &folder, "-c", file, "-g", &globals].map(str::to_owned).to_vec()
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    guard: Guard,
    log: PathBuf,
}

impl Proxy {
    /// Starts a proxy with this configuration; it is installed first where it is missing and may be.
    ///
    /// # Errors
    /// When there is no such proxy, with the command that installs it, or it cannot be run.
    pub async fn start(
        kind: ProxyKind,
        options: Options,
        configuration: String,
    ) -> anyhow::Result<Self> {
        crate::blocking(move || Self::start_now(kind, &options, &configuration)).await
    }

    fn start_now(kind: ProxyKind, options: &Options, configuration: &str) -> anyhow::Result<Self> {
        let program = find(kind)?;
        let folder = system::temporary_folder()?;
        let file = folder.join("proxy.conf");
        std::fs::write(&file, configuration)?;
        let log = folder.join("proxy.log");
        let server = Server {
            program,
            args: kind.run(&folder, &file),
            user: None,
            cwd: folder.clone(),
            log: log.clone(),
            stop: Signal::Terminate,
            restarts: options.restarts,
            remove: Some(folder),
        };
        Ok(Self { guard: Guard::start(&options.guard, &server)?, log })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// When its guard has ended.
    pub fn is_running(&self) -> anyhow::Result<bool> {
        Ok(self.guard.pid()?.is_some())
    }
}

/// Asks a proxy whether a configuration is valid; `files` are put beside it first.
///
/// # Errors
/// When there is no such proxy, or it finds a fault: the error holds what it said.
pub fn check(kind: ProxyKind, configuration: &str, files: &[(&str, &str)]) -> anyhow::Result<()> {
    let program = find(kind)?;
    let folder = system::temporary_folder()?;
    let checked = files
        .iter()
        .chain([&("proxy.conf", configuration)])
        .try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
        .context("the files cannot be written")
        .and_then(|()| {
            let mut command = std::process::Command::new(program);
            command.current_dir(&folder).args(kind.check(&folder, &folder.join("proxy.conf")));
            system::run(&mut command)
        });
    let _ = std::fs::remove_dir_all(&folder);
    checked
}

/// Its program, installed if need be.
fn find(kind: ProxyKind) -> anyhow::Result<PathBuf> {
    let name = kind.program();
    let found = || {
        let more = SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        system::programs(name)
            .into_iter()
            .chain(more)
            .find(|program| system::is_executable(program))
    };
    if let Some(program) = found() {
        return Ok(program);
    }
    install::package(name, &format!("the tests of deploy/ need {name}"))?;
    found().with_context(|| format!("{name} was installed, and yet it is not there"))
}
