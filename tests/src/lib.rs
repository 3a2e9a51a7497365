//! What the black-box tests stand on: a private deployment for each test, and people who use it.
//!
//! [`Board::start`] makes a database from a migrated template, takes a NATS prefix, and runs api,
//! relay and edges in this process on real listeners. Postgres and nats-server are started once
//! for each run, by the code that `chatboard dev` uses; tests that kill servers have their own
//! ([`Builder::own_servers`]). [`Person`] speaks REST, [`Socket`] speaks WebSocket and checks on
//! every frame that a room's events come in order, each exactly once.
//!
//! **Invariants:** every wait has a deadline; nothing here looks into the system under test but
//! through its public surface, except where the record itself is what a test is about.

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must panic, and says why"
)]

mod board;
mod builder;
mod contract;
mod crowd;
mod files;
mod follower;
pub mod http;
mod limits;
mod mailbox;
mod name_server;
mod nats_process;
mod person;
mod process;
mod processes;
mod proxied;
mod receiver;
mod reply;
mod seen;
mod servers;
mod serving;
mod snapshot;
mod socket;
mod storm;
pub mod uploads;
mod wait;
mod watchdog;

pub use board::{Board, Holding, Team};
pub use builder::Builder;
pub use devstack::mail_sink::Mail;
pub use files::Files;
pub use follower::Follower;
pub use mailbox::Mailbox;
pub use name_server::NameServer;
pub use nats_process::{NATS_PASSWORD, NATS_TLS_PEM, NatsProcess, nats_environment, shipped};
pub use person::{PASSWORD, Person, foreign_keys};
pub use process::{Log, Process, binary};
pub use proxied::{ProxyKind, TLS_PEM, check_proxy, shipped_proxy};
pub use receiver::{Reaction, Received, Receiver};
pub use reply::Reply;
pub use seen::{Event, Seen};
pub use servers::Servers;
pub use snapshot::{root, snapshot};
pub use socket::{Closed, Opening, Socket};
pub use storm::{Report, Storm};
pub use wait::{DEADLINE, eventually, spawn, within};

/// The smallest picture: a PNG of one pixel.
pub const PNG: &[u8] = include_bytes!("pixel.png");

/// A JSON value, as every answer and frame is one.
pub use serde_json::{Value, json};
