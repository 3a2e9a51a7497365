//! Postgres and NATS of a private deployment: its own, or those that were named.

use std::path::Path;

use devstack::{NatsServer, Postgres};

use crate::options::Options;
use crate::process::Process;

/// The servers under a private deployment. Dropping it ends those that it started.
#[derive(Debug)]
pub(crate) struct Servers {
    postgres: Server<Postgres>,
    nats: Server<NatsServer>,
}

#[derive(Debug)]
enum Server<T> {
    /// Somebody's, at this URL.
    Named(String),
    /// Ours.
    Own(T),
}

impl Servers {
    /// Starts what the options do not name; `guard` is the chatboard binary, which watches over
    /// servers. What they write is forced to disk, and removed at the end.
    ///
    /// # Errors
    /// When a server cannot be started.
    pub(crate) async fn start(options: &Options, guard: &Path) -> anyhow::Result<Self> {
        let postgres = match &options.database_url {
            Some(url) => Server::Named(url.clone()),
            None => Server::Own(Postgres::start(devstack::Options::temporary(guard)).await?),
        };
        let nats = match &options.nats_url {
            Some(url) => Server::Named(url.clone()),
            None => Server::Own(NatsServer::start(devstack::Options::temporary(guard)).await?),
        };
        Ok(Self { postgres, nats })
    }

    /// Where Postgres is.
    pub(crate) fn database_url(&self) -> String {
        match &self.postgres {
            Server::Named(url) => url.clone(),
            Server::Own(postgres) => postgres.url(),
        }
    }

    /// Where NATS is.
    pub(crate) fn nats_url(&self) -> String {
        match &self.nats {
            Server::Named(url) => url.clone(),
            Server::Own(nats) => nats.url(),
        }
    }

    /// The processes of those that are ours.
    ///
    /// # Errors
    /// When a server has just ended.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<Process>> {
        let mut processes = Vec::new();
        if let Server::Own(postgres) = &self.postgres {
            processes.extend(postgres.pid()?.map(|pid| Process { role: "postgres", pid }));
        }
        if let Server::Own(nats) = &self.nats {
            processes.extend(nats.pid()?.map(|pid| Process { role: "nats", pid }));
        }
        Ok(processes)
    }
}
