//! Servers of our own, for `chatboard dev` and for the tests: Postgres and nats-server,
//! and in this process a mail server that only keeps what it is given ([`MailSink`]) and an object
//! store over a folder ([`ObjectStore`]).
//!
//! A server is started by a small guard process ([`guard`]) that holds a pipe to us: when we end,
//! however we end, the guard reads the end of the pipe and stops its server. What even that
//! leaves behind (a guard that was killed too) is found by its pid file and ended at the next
//! start. **Invariants:** servers listen on loopback alone; a kept data folder belongs to one
//! user and one process at a time; Postgres forces its writes to disk unless a test says
//! otherwise.
//!
//! Start with [`Postgres::start`] and [`NatsServer::start`]; [`Folder`] is `.chatboard/`.

pub mod browser;
pub mod demo;
pub mod faketime;
pub mod folder;
pub mod guard;
mod install;
pub mod mail_sink;
pub mod nats_binary;
mod nats_server;
pub mod object_store;
pub mod ports;
mod postgres;
mod postgres_binaries;
pub mod prometheus;
pub mod proxy;
mod stale;
mod system;

use std::path::PathBuf;

pub use folder::Folder;
pub use mail_sink::MailSink;
pub use nats_server::NatsServer;
pub use object_store::ObjectStore;
pub use postgres::Postgres;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `chatboard` binary, whose `guard` subcommand watches the server: this very program, or
    /// in tests what `CARGO_BIN_EXE_chatboard` names.
    pub guard: PathBuf,
    /// Where the data is kept; `None` for a folder that is removed at the end.
    pub folder: Option<PathBuf>,
    /// The port to take if it is free; otherwise any.
    pub port: Option<u16>,
    /// Whether the server is started again when it ends by itself.
    pub restarts: bool,
    /// Whether writes are forced to disk. Leave it on unless what is written is thrown away.
    pub is_durable: bool,
    /// Bytes that JetStream may store; `None` is nats-server's own default.
    pub jetstream_bytes_max: Option<u64>,
    /// The `authorization` block of a nats-server; `None` is one user with a random password.
    pub nats_authorization: Option<String>,
}

impl Options {
    /// A server whose data is removed at the end, and which stays down when it is killed.
    pub fn temporary(guard: impl Into<PathBuf>) -> Self {
        Self {
            guard: guard.into(),
            folder: None,
            port: None,
            restarts: false,
            is_durable: true,
            jetstream_bytes_max: None,
            nats_authorization: None,
        }
    }

    /// A server whose data is kept, and which is started again when it ends by itself.
    pub fn kept(guard: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), restarts: true, ..Self::temporary(guard) }
    }
}

/// Says what is going on: starting takes a while, and silence looks like a fault.
pub fn progress(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "chatboard: {text}");
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    system::is_root()
}

/// Runs what waits for processes where it blocks no task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}
