//! `deploy/postgres-roles.sh`, run as its readers run it.

use std::process::Command;

use sqlx::{Connection, Executor, PgConnection};
use testkit::{Servers, root};

/// Runs the script as a user of the test's Postgres; returns whether it succeeded and what it said.
async fn run(database: &str, user: &str, more: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new("sh");
    command
        .arg(root().join("deploy/postgres-roles.sh"))
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", Servers::shared().await.postgres.port().to_string())
        .env("PGDATABASE", database)
        .env("PGUSER", user)
        .env("PGPASSWORD", "owner-word")
        .env("APP_PASSWORD", "app-word")
        .envs(more.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn refusal(conn: &mut PgConnection, sql: &'static str) -> String {
    match conn.execute(sqlx::raw_sql(sql)).await {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_may_create_roles_makes_the_serving_role_as_often_as_wanted() {
    let servers = Servers::shared().await;
    servers.run_sql("create role roles_owner login password 'owner-word'").await;
    servers.run_sql("create database roles_test owner roles_owner").await;
    let (is_done, said) = run("roles_test", "roles_owner", &[]).await;
    assert!(!is_done && said.contains("may not create the role chatboard_app"), "{said}");

    servers.run_sql("alter role roles_owner createrole").await;
    let port = servers.postgres.port();
    let address = |user: &str| format!("postgres://{user}@127.0.0.1:{port}/roles_test");
    // Before the schema is there, after it, and once more.
    for round in 0..3 {
        let (is_done, said) = run("roles_test", "roles_owner", &[]).await;
        assert!(is_done, "round {round}: {said}");
        store::migrate(&address("roles_owner:owner-word")).await.unwrap();
    }
    let mut app = PgConnection::connect(&address("chatboard_app:app-word")).await.unwrap();
    assert_eq!(refusal(&mut app, "select password_hash from users").await, "done");
    assert_eq!(refusal(&mut app, "delete from outbox").await, "done");
    for sql in ["create table x (y int)", "drop table users", "alter table users add x int"] {
        let refused = refusal(&mut app, sql).await;
        assert!(refused.contains("denied") || refused.contains("owner"), "{sql}: {refused}");
    }
    // As a superuser, for the owner; and what may create no role keeps the one that is there.
    let url = servers.postgres.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    let owner =
        [("OWNER", "roles_owner"), ("APP_PASSWORD", "another-word"), ("PGPASSWORD", password)];
    let (is_done, said) = run("roles_test", "postgres", &owner).await;
    assert!(is_done, "{said}");
    PgConnection::connect(&address("chatboard_app:another-word")).await.unwrap();
    servers.run_sql("alter role roles_owner nocreaterole").await;
    let (is_done, said) = run("roles_test", "roles_owner", &[]).await;
    assert!(is_done && said.contains("its password stays"), "{said}");
}
