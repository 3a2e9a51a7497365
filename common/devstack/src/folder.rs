//! The folder `.chatboard/`: the data of `chatboard dev`, and where everything is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::system;

/// The folder, locked: one process at a time uses it. Dropping it unlocks.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Where everything is, for scripts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Endpoints {
    /// The process that serves all of it.
    pub pid: u32,
    /// REST.
    pub api: String,
    /// Edges: WebSockets are at `/ws/` of each.
    pub edges: Vec<String>,
    /// Metrics and health.
    pub operations: String,
    /// Postgres, with its password.
    pub postgres: String,
    /// NATS.
    pub nats: String,
    /// The object store: our own, unless another is set.
    pub s3: Option<String>,
    /// Where mails are handed over: our own sink, which delivers nothing, unless another is set.
    pub smtp: Option<String>,
    /// The page that shows caught mails; none where mails go to a server that is set.
    pub mail: Option<String>,
}

/// The ports of the last start, by what listened there: links and sign-ins outlive a restart.
pub type Ports = BTreeMap<String, u16>;

impl Folder {
    /// Opens the folder, made if need be, and locks it.
    ///
    /// # Errors
    /// When it is another user's, or another process uses it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot make the data folder {}", path.display()))?;
        let path = path.canonicalize()?;
        let owner = path.metadata()?.uid();
        if owner != system::uid() {
            bail!(
                "the data folder {} belongs to another user (uid {owner}, we are {}): run as that \
                 user, name another folder by CHATBOARD_DATA_DIR, or remove it",
                path.display(),
                system::uid()
            );
        }
        let lock = lock(&path)?;
        let _ = std::fs::remove_file(path.join("endpoints.json"));
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ports of the last start.
    pub fn ports(&self) -> Ports {
        let text = std::fs::read_to_string(self.path.join("ports.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Remembers ports for later starts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self, ports: &Ports) -> anyhow::Result<()> {
        self.write("ports.json", &serde_json::to_string_pretty(ports)?)
    }

    /// Tells where everything is. Scripts may take the file's existence for readiness.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish(&self, endpoints: &Endpoints) -> anyhow::Result<()> {
        self.write("endpoints.json", &serde_json::to_string_pretty(endpoints)?)
    }

    /// Takes the endpoints back: nothing is there any more.
    pub fn withdraw(&self) {
        let _ = std::fs::remove_file(self.path.join("endpoints.json"));
    }

    /// Whole or not at all, and readable by its owner alone: it may hold passwords.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| writeln!(file, "{text}"))
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The system takes the lock back when we end, however we end.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!(
                "ChatBoard runs in {} already (process {}): stop it first, or name another folder \
                 by CHATBOARD_DATA_DIR",
                folder.display(),
                pid.trim()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}
