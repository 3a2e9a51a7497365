//! A Postgres that cannot be used, and why.

use std::time::Instant;

use testkit::{DEADLINE, Servers, eventually};

use super::{Running, empty_database, fails, free_address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmigrated_database_is_named_and_served_once_it_is_migrated() {
    let database = empty_database().await;
    let (api, janitor) = tokio::join!(
        Running::start("api", &database, &[]),
        Running::start("janitor", &database, &[]),
    );
    for role in [&api, &janitor] {
        let body = role.ready(503).await;
        let detail = body["checks"]["postgres"]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("has no schema"), "{body}");
        assert!(detail.contains("run `chatboard migrate`"), "{body}");
    }
    let (status, problem) = api.asks_postgres().await;
    assert_eq!((status, &problem["code"]), (503, &"unavailable".into()));
    assert!(!api.log().contains("bug"), "{}", api.log());

    store::migrate(&database).await.unwrap();
    api.ready(200).await;
    janitor.ready(200).await;
    eventually("it serves", DEADLINE, || async {
        (api.asks_postgres().await.0 == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_too_old_is_named() {
    use sqlx::{Connection, Executor, PgConnection};
    let database = empty_database().await;
    store::migrate(&database).await.unwrap();
    let mut conn = PgConnection::connect(&database).await.unwrap();
    let older = "delete from _sqlx_migrations where version > 5";
    conn.execute(sqlx::raw_sql(older)).await.unwrap();
    let relay = Running::start("relay", &database, &[]).await;
    let body = relay.ready(503).await;
    let detail = body["checks"]["postgres"]["detail"].as_str().unwrap();
    let needs = store::known_version();
    let said = format!("the schema is at 5, this version needs {needs}: run `chatboard migrate`");
    assert_eq!(detail, said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_or_database_is_named_as_the_operators_fault() {
    let servers = Servers::shared().await;
    let port = servers.postgres.port();
    let wrong_password = format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres");
    let wrong_database = servers.postgres.database_url("no_such_database");
    for (url, parts) in [
        (wrong_password, ["password authentication failed", "user \"postgres\""]),
        (wrong_database, ["does not exist", "database \"no_such_database\""]),
    ] {
        let api = Running::start("api", &url, &[]).await;
        api.ready(503).await;
        let (status, problem) = api.asks_postgres().await;
        assert_eq!((status, &problem["code"]), (503, &"unavailable".into()));
        let place = format!("Postgres at 127.0.0.1:{port}");
        let line = api.says(&["ERROR", &place, parts[0], parts[1]]).await;
        assert_eq!(api.log().matches("ERROR").count(), 1, "once a minute: {}", api.log());
        let password = url.split([':', '@']).nth(2).unwrap().to_owned();
        assert!(!line.contains(&password) && !api.log().contains(&password), "{line}");
        assert!(!api.log().contains("bug"), "{}", api.log());
        let said = fails(&url, &["migrate"]).await;
        assert!(said.contains(parts[0]) && said.contains(parts[1]), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_port_is_named_within_seconds() {
    let address = free_address();
    let url = format!("postgres://chatboard:secret@{address}/chatboard");
    let started = Instant::now();
    let said = fails(&url, &["migrate"]).await;
    assert!(said.contains(&address) && said.contains("refused"), "{said}");
    assert!(started.elapsed() < DEADLINE, "within its deadline");
    let api = Running::start("api", &url, &[]).await;
    api.says(&["ERROR", &address, "refused"]).await;
    let body = api.ready(503).await;
    assert!(body["checks"]["postgres"]["detail"].as_str().unwrap().contains("refused"), "{body}");
    assert_eq!(api.asks_postgres().await.0, 503);
}
