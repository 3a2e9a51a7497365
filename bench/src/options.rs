//! What can be asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// What is printed when no scenario is named.
pub(crate) const LIST: &str = "\
scenarios (cargo bench -p bench -- <scenario>):
  machine   the machine's own limits: a loopback send, an fsync, a NATS hop
  send      durable sends, closed loop, with and without group commit
  fanout    deliveries: one big room, many small rooms, paced with latencies
  idle      resident memory of an edge per idle socket
  storm     connects per second
  history   reads of 50 messages per second
  bigroom   a send into a room of 10,000 beside one into a room of 10
  webhooks  deliveries to one endpoint beside 500 that never answer
  hookcost  a send into an organization with 50 webhooks beside one with none
  retention sends while a million expired messages are removed
  search    searches in a million messages
  all       all of them, one after another
see bench/README.md";

/// The load generator of ChatBoard.
#[derive(Debug, Parser)]
#[command(name = "load", after_help = LIST)]
pub(crate) struct Options {
    /// What to run.
    pub(crate) scenario: Option<Scenario>,
    /// Start a private deployment of separate processes: what is done without --api.
    #[arg(long, conflicts_with = "api")]
    pub(crate) start: bool,
    /// The running deployment's REST address, such as <http://127.0.0.1:8080>. Loopback only.
    #[arg(long, requires_all = ["database_url", "nats_url", "key_file"])]
    pub(crate) api: Option<String>,
    /// The running deployment's edges, comma-separated; by default the same as --api.
    #[arg(long, value_delimiter = ',')]
    pub(crate) ws: Vec<String>,
    /// The processes of the running deployment's edges, for their memory and CPU.
    #[arg(long, value_delimiter = ',')]
    pub(crate) edge_pid: Vec<u32>,
    /// The Postgres to set the scene in; with --start, used instead of a private one.
    #[arg(long)]
    pub(crate) database_url: Option<String>,
    /// The deployment's NATS; with --start, used instead of a private one.
    #[arg(long)]
    pub(crate) nats_url: Option<String>,
    /// The running deployment's signing keys, to mint the tokens of the scene's people.
    #[arg(long)]
    pub(crate) key_file: Option<PathBuf>,
    /// Edges to start.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) edges: u8,
    /// The chatboard binary to start; by default the one that `cargo build --release` made.
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
    /// Where the private deployment keeps its data: on the disk that is to be measured.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// How long each part of a scenario lasts, at most 60 s.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) seconds: u16,
    /// How often the compared parts of a scenario take turns, at most 20.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) rounds: u8,
    /// Idle sockets of `idle` and connects of `storm`, at most 12,000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=12_000))]
    pub(crate) sockets: u16,
    /// Expired messages of `retention`, at most ten million.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    pub(crate) expired: u32,
    /// Characters of a message's body; its frame is some 250 bytes longer.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(32..=4_000))]
    pub(crate) body: u16,
    /// Writes the figures to this file as JSON, too.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// What `cargo bench` passes; means nothing.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Options {
    /// How long each part lasts.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The machine's own limits.
    Machine,
    /// Durable sends.
    Send,
    /// Deliveries.
    Fanout,
    /// Memory of idle sockets.
    Idle,
    /// Connects.
    Storm,
    /// Reads of history.
    History,
    /// A room of 10,000.
    Bigroom,
    /// Endpoints that hang.
    Webhooks,
    /// What webhooks cost who sends.
    Hookcost,
    /// A million expired messages.
    Retention,
    /// Searches in a million messages.
    Search,
    /// Everything.
    All,
}
