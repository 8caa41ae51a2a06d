//! `Timed` on the databases that services use, each a real server; skipped with a word where it is not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger::Metrics;
use outrigger_semconv::{db, label};
use outrigger_testkit::{Mariadb, Postgres};
use sqlx::{Connection, Executor, IntoArguments, MySqlPool, PgPool, Pool};
use support::Page;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_says_its_name_its_tables_and_its_codes() {
    let Some(server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    run(&metrics, &pool, "INSERT INTO items (id, name) VALUES ($1, $2)").await;
    // A cached statement and a stream of many rows, over the wire.
    let rows = "SELECT n FROM generate_series(1, 5000) AS n";
    assert_eq!(sqlx::query(rows).fetch_all(metrics.timed(&pool)).await.unwrap().len(), 5000);
    let missing = sqlx::query("SELECT * FROM public.\"No Such\"").fetch_all(metrics.timed(&pool)).await;
    assert!(missing.is_err());
    check(&metrics, "postgresql", &[("INSERT", "items", "23505"), ("SELECT", label::OTHER, "42P01")]);
    let function = [(label::DB_SYSTEM_NAME, "postgresql"), (label::DB_OPERATION_NAME, "SELECT")];
    assert_eq!(Page::of(&metrics).count(&db::CLIENT_OPERATION_DURATION, &function), 1);

    // The server goes: what the client sees is an I/O error or a lost connection, never a lost count.
    let before = Page::of(&metrics).total(&db::CLIENT_OPERATION_DURATION);
    let mut connection = pool.acquire().await.unwrap();
    tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
    assert!(sqlx::query("SELECT * FROM items").fetch_all(metrics.timed(&mut *connection)).await.is_err());
    let page = Page::of(&metrics);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), before + 1);
    let lost = page
        .series(&db::CLIENT_OPERATION_DURATION)
        .iter()
        .any(|labels| labels.get(label::ERROR_TYPE).is_some_and(|error| ["io", "57P01", "protocol"].contains(error)));
    assert!(lost, "{}", page.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_says_its_name_its_tables_and_its_codes() {
    let Some(server) = tokio::task::spawn_blocking(Mariadb::start).await.unwrap() else { return };
    let metrics = outrigger::standalone().unwrap();
    let pool = MySqlPool::connect(&server.url()).await.unwrap();
    run(&metrics, &pool, "INSERT INTO `items` (id, name) VALUES (?, ?)").await;
    assert!(sqlx::query("SELECT \"FROM x\" FROM nowhere").fetch_all(metrics.timed(&pool)).await.is_err());
    check(&metrics, "mysql", &[("INSERT", "items", "23000"), ("SELECT", "nowhere", "42S02")]);
}

/// Creates a table, inserts twice under one key, and reads, through pool, connection and transaction.
async fn run<DB: sqlx::Database>(metrics: &Metrics, pool: &Pool<DB>, insert: &'static str)
where
    for<'p> &'p Pool<DB>: Executor<'p, Database = DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i32: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let create = "CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL)";
    sqlx::query(create).execute(metrics.timed(pool)).await.unwrap();
    let insert = || sqlx::query(insert).bind(1).bind("paddle");
    insert().execute(metrics.timed(pool)).await.unwrap();
    assert!(insert().execute(metrics.timed(pool)).await.is_err());

    let mut tx = pool.begin().await.unwrap();
    sqlx::query("UPDATE items SET name = 'canoe'").execute(metrics.timed(&mut *tx)).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    connection.ping().await.unwrap();
    let rows = sqlx::query("SELECT * FROM items").fetch_all(metrics.timed(&mut *connection)).await.unwrap();
    assert_eq!(rows.len(), 1);
    sqlx::query("DELETE FROM items").execute(metrics.timed(&mut *connection)).await.unwrap();
}

fn check(metrics: &Metrics, system: &str, failures: &[(&str, &str, &str)]) {
    let page = Page::of(metrics);
    let succeeded = ["CREATE", "INSERT", "UPDATE", "SELECT", "DELETE"].map(|operation| (operation, "items", None));
    let failed = failures.iter().map(|(operation, collection, error)| (*operation, *collection, Some(*error)));
    for (operation, collection, error) in succeeded.into_iter().chain(failed) {
        let mut labels = vec![
            (label::DB_SYSTEM_NAME, system),
            (label::DB_OPERATION_NAME, operation),
            (label::DB_COLLECTION_NAME, collection),
        ];
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        assert_eq!(page.count(&db::CLIENT_OPERATION_DURATION, &labels), 1, "{labels:?}\n{}", page.text());
    }
}
