//! A Postgres that has no connections left.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};
use testkit::{DEADLINE, Servers, eventually};

use super::{Running, number};

/// Connections of all processes together.
const CONNECTIONS_MAX: usize = 16;
/// How long connections that are not needed any more may take to be given back.
const GIVEN_BACK: Duration = Duration::from_secs(60);

/// A database with the schema whose owner may hold few connections; its addresses as the owner, and
/// as a superuser, who is not counted.
async fn small_database() -> (String, String) {
    let servers = Servers::shared().await;
    let name = format!("small_{}", number());
    servers.make_empty_database(&name).await;
    let limit = format!("connection limit {CONNECTIONS_MAX}");
    servers.run_sql(&format!("create role {name} login password 'small' {limit}")).await;
    servers.run_sql(&format!("alter database {name} owner to {name}")).await;
    let port = servers.postgres.port();
    let database = format!("postgres://{name}:small@127.0.0.1:{port}/{name}");
    store::migrate(&database).await.unwrap();
    (database, servers.postgres.database_url(&name))
}

async fn held_by(database: &str, name: &str) -> i64 {
    let mut conn = PgConnection::connect(database).await.unwrap();
    let held: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
             where application_name = $1 and datname = current_database()",
    )
    .bind(name)
    .fetch_one(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_starved_process_says_why_and_is_ready_later_while_others_stay_ready() {
    let (database, _) = small_database().await;
    let first = Running::start("api", &database, &[]).await;
    first.ready(200).await;
    // Others take all that is left.
    let mut others = Vec::new();
    while let Ok(conn) = PgConnection::connect(&database).await {
        others.push(conn);
        assert!(others.len() <= CONNECTIONS_MAX);
    }
    let starved = Running::start("janitor", &database, &[]).await;
    let body = starved.ready(503).await;
    let detail = body["checks"]["postgres"]["detail"].as_str().unwrap();
    assert!(detail.contains("too many connections"), "{body}");
    starved.says(&["ERROR", "Postgres at 127.0.0.1", "too many connections"]).await;
    // More requests than it has connections: its readiness does not wait for them.
    let burst = join_all((0..40).map(|_| first.asks_postgres()));
    let (answers, readiness) = tokio::join!(burst, first.readiness());
    assert_eq!(readiness.0, 200, "{}", readiness.1);
    assert!(answers.iter().all(|(status, _)| matches!(status, 401 | 429 | 503)), "{answers:?}");

    for conn in others {
        conn.close().await.unwrap();
    }
    starved.ready(200).await;
    first.ready(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_a_burst_took_are_given_back_while_light_load_goes_on() {
    let (database, superuser) = small_database().await;
    let settings = [
        ("CHATBOARD_DATABASE_CONNECTIONS", "12"),
        ("CHATBOARD_SIGN_INS_PER_MINUTE", "0"),
        ("CHATBOARD_REQUESTS_PER_MINUTE", "0"),
    ];
    let api = Running::start("api", &database, &settings).await;
    api.ready(200).await;
    let peak = eventually("a burst takes connections", DEADLINE, || async {
        join_all((0..60).map(|_| api.asks_postgres())).await;
        let held = held_by(&superuser, "chatboard api").await;
        (held >= 6).then_some(held)
    })
    .await;
    assert!(peak <= 12, "no more than the process may hold: {peak}");
    eventually("they are given back", GIVEN_BACK, || async {
        api.asks_postgres().await;
        (held_by(&superuser, "chatboard api").await <= 5).then_some(())
    })
    .await;
}
