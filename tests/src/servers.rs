//! Postgres and nats-server: one pair for each run, or a test's own.

use std::sync::atomic::{AtomicU64, Ordering};

use devstack::{NatsServer, Options, Postgres};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::process::binary;

/// The database from which each test's is copied.
const TEMPLATE: &str = "chatboard_template";

/// A Postgres and a nats-server. Dropping them stops them.
#[derive(Debug)]
pub struct Servers {
    /// The Postgres, fsync on.
    pub postgres: Postgres,
    /// The nats-server, with JetStream.
    pub nats: NatsServer,
}

impl Servers {
    /// The pair that all tests of this run share. Nobody may kill these.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Servers> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// A new pair.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// A new pair whose JetStream may store so many bytes.
    pub async fn start_with(jetstream_bytes_max: Option<u64>) -> Self {
        let of_nats = Options { jetstream_bytes_max, ..Options::temporary(binary()) };
        let (postgres, nats) = tokio::try_join!(
            Postgres::start(Options::temporary(binary())),
            NatsServer::start(of_nats),
        )
        .expect("the test servers start");
        let servers = Self { postgres, nats };
        servers.run_sql(&format!("create database {TEMPLATE}")).await;
        let template = servers.postgres.database_url(TEMPLATE);
        store::migrate(&template).await.expect("the template is migrated");
        servers
    }

    /// Makes a new database with the schema in it; returns its name.
    pub(crate) async fn make_database(&self) -> String {
        static DATABASES: AtomicU64 = AtomicU64::new(1);
        let name = format!("board_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.run_sql(&format!("create database {name} template {TEMPLATE}")).await;
        name
    }

    /// Makes a database without a schema.
    pub async fn make_empty_database(&self, name: &str) {
        self.run_sql(&format!("create database {name}")).await;
    }

    /// Runs a statement as the superuser.
    pub async fn run_sql(&self, sql: &str) {
        let mut connection =
            PgConnection::connect(&self.postgres.url()).await.expect("Postgres is there");
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("the connection closes");
    }
}

/// Sets how long a deployment keeps messages.
pub(crate) async fn set_retention(database_url: &str, days: u32) {
    let store = store::Store::connect(database_url, 1).await.expect("the address is good");
    let mut tx = store.begin().await.expect("Postgres is there");
    let days = i32::try_from(days).expect("days");
    store::actions::deployment::set_retention(&mut tx, days).await.expect("it can be set");
    let _nothing_to_publish = tx.commit().await.expect("it is committed");
    store.pool().close().await;
}
