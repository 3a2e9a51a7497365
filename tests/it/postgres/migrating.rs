//! `chatboard migrate`, whatever else goes on.

use sqlx::{Connection, Executor, PgConnection};

use super::{Running, command, empty_database, fails, said, succeeds};

const INVALID: &str = "select count(*) from pg_index where not indisvalid";

async fn number(database: &str, sql: &'static str) -> i64 {
    let mut conn = PgConnection::connect(database).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
}

async fn change(database: &str, sql: &'static str) {
    let mut conn = PgConnection::connect(database).await.unwrap();
    conn.execute(sqlx::raw_sql(sql)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_migrations_at_once_both_succeed() {
    for round in 0..5 {
        let database = empty_database().await;
        let (one, other) =
            tokio::join!(command(&database, &["migrate"]), command(&database, &["migrate"]));
        for output in [one, other] {
            assert!(output.status.success(), "round {round}: {}", said(&output));
        }
        assert_eq!(number(&database, INVALID).await, 0);
        let applied = "select count(*) from _sqlx_migrations where success";
        assert!(number(&database, applied).await >= 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_an_interrupted_migration_left_is_made_again() {
    let database = empty_database().await;
    store::migrate(&database).await.unwrap();
    // As a migration leaves it that is cut off while it makes the index, and just after that.
    change(
        &database,
        "update pg_index set indisvalid = false where indexrelid = 'messages_search_idx'::regclass;
         delete from _sqlx_migrations where version in (6, 10)",
    )
    .await;
    let said = succeeds(&database, &["migrate"]).await;
    for index in ["messages_search_idx", "messages_upload_idx"] {
        assert!(said.contains(&format!("index {index} was left by an interrupted")), "{said}");
    }
    assert_eq!(number(&database, INVALID).await, 0);
    let made = "select count(*) from pg_class
                where relname in ('messages_search_idx', 'messages_upload_idx')";
    assert_eq!(number(&database, made).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_binary_leaves_a_newer_schema_alone_unless_that_says_otherwise() {
    let database = empty_database().await;
    store::migrate(&database).await.unwrap();
    change(
        &database,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from the future', true, '', 0)",
    )
    .await;
    let known = store::known_version();
    let said = succeeds(&database, &["migrate"]).await;
    let newer = format!("schema is at 9999, newer than this version's {known}: nothing to do");
    assert!(said.contains(&newer), "{said}");
    let api = Running::start("api", &database, &[]).await;
    api.ready(200).await;
    drop(api);

    change(&database, "update schema_requirements set minimum_version = 9999").await;
    let said = fails(&database, &["migrate"]).await;
    assert!(said.contains("run a newer chatboard"), "{said}");
    let api = Running::start("api", &database, &[]).await;
    let body = api.ready(503).await;
    let detail = body["checks"]["postgres"]["detail"].as_str().unwrap();
    assert!(detail.contains("serves only versions that know 9999"), "{body}");
    assert_eq!(api.asks_postgres().await.0, 503);
}
