//! The slow-query log.

use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use outrigger::db::{InRequest, Operation, RequestScope};
use outrigger_semconv::{db, db_findings, label};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use crate::log::Log;
use crate::support::Page;

#[tokio::test]
async fn slow_queries_are_counted_and_logged_without_values() {
    let (log, _guard) = Log::here();
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let metrics = outrigger::standalone().unwrap().slow_queries(Duration::from_secs(3600));
    sqlx::query("SELECT 'secret'").fetch_all(metrics.timed(&pool)).await.unwrap();
    let off = outrigger::standalone().unwrap().slow_queries(None);
    sqlx::query("SELECT 'secret'").fetch_all(off.timed(&pool)).await.unwrap();
    assert_eq!(Page::of(&off).sum(&db_findings::CLIENT_SLOW_QUERIES), 0.0);
    assert_eq!(log.text(), "", "an hour is a long time");

    // Everything is slow.
    let metrics = outrigger::standalone().unwrap().slow_queries(Duration::ZERO);
    let clone = metrics.clone();
    sqlx::query("CREATE TABLE items (id INTEGER, name TEXT)").execute(clone.timed(&pool)).await.unwrap();
    let select = "SELECT 'secret', id FROM items /* secret */ WHERE name IN ('secret', 'x') AND id = ? LIMIT 5";
    sqlx::query(select).bind(7).fetch_all(clone.timed(&pool)).await.unwrap();
    let line = log.line(&["WARN", "outrigger::db", "slow query", "sqlite", "SELECT", "items", "seconds=", "rows=0"]);
    assert!(line.contains("SELECT ?, id FROM items WHERE name IN (?) AND id = ? LIMIT ?"), "{line}");
    assert!(!log.text().contains("secret"), "{line}");
    assert!(sqlx::query("SELECT nothing FROM items").fetch_all(clone.timed(&pool)).await.is_err());
    log.line(&["SELECT nothing FROM items", "error_type="]);

    let labels = |operation| {
        [(label::DB_SYSTEM_NAME, "sqlite"), (label::DB_OPERATION_NAME, operation), (label::DB_COLLECTION_NAME, "items")]
    };
    let page = Page::of(&metrics);
    assert_eq!(page.number(&db_findings::CLIENT_SLOW_QUERIES, &labels("SELECT")), Some(2.0));
    assert_eq!(page.number(&db_findings::CLIENT_SLOW_QUERIES, &labels("CREATE")), Some(1.0));
}

#[tokio::test]
async fn the_log_has_a_bound_and_the_count_has_none() {
    let (log, _guard) = Log::here();
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let metrics = outrigger::standalone().unwrap().slow_queries(Duration::ZERO);
    for _ in 0..300 {
        sqlx::query("SELECT 1").fetch_all(metrics.timed(&pool)).await.unwrap();
    }
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_SLOW_QUERIES), 300.0);
    let lines = log.text().lines().count();
    assert!((10..=200).contains(&lines), "{lines}");
}

#[tokio::test]
async fn a_wait_for_a_connection_is_no_slow_query() {
    let (log, _guard) = Log::here();
    let metrics = outrigger::standalone().unwrap().slow_queries(Duration::ZERO);
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let timed = metrics.timed_pool("items", pool.clone());
    let held = timed.acquire().await.unwrap();
    let waits = async {
        assert!(sqlx::query("SELECT 1").fetch_all(&timed).now_or_never().is_none(), "given up");
        tokio::time::pause();
        assert!(matches!(sqlx::query("SELECT 1").fetch_all(&timed).await, Err(sqlx::Error::PoolTimedOut)));
        let raw = sqlx::query("SELECT 1").fetch_all(metrics.timed(&pool)).await;
        assert!(matches!(raw, Err(sqlx::Error::PoolTimedOut)));
        tokio::time::resume();
    };
    waits.in_request(RequestScope::new(&metrics, "waits").threshold(1)).await;
    drop(held);
    let page = Page::of(&metrics);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 3, "it failed all the same");
    assert_eq!(page.sum(&db_findings::CLIENT_SLOW_QUERIES), 0.0, "{}", log.text());
    assert_eq!(page.sum(&db_findings::CLIENT_N_PLUS_ONE), 0.0);
    assert_eq!(log.text(), "");

    sqlx::query("SELECT 1").fetch_all(&timed).await.unwrap();
    assert_eq!(Page::of(&metrics).sum(&db_findings::CLIENT_SLOW_QUERIES), 1.0);
}

#[tokio::test]
async fn a_consumer_that_takes_its_time_does_not_make_a_stream_slow() {
    let threshold = Duration::from_secs(1);
    let metrics = outrigger::standalone().unwrap().slow_queries(threshold);
    let pool = metrics.timed_pool("items", SqlitePool::connect("sqlite::memory:").await.unwrap());
    let mut rows = sqlx::query("VALUES (1), (2)").fetch(&pool);
    while rows.try_next().await.unwrap().is_some() {
        std::thread::sleep(threshold);
    }
    drop(rows);
    let page = Page::of(&metrics);
    assert_eq!(page.total(&db::CLIENT_OPERATION_DURATION), 1);
    assert_eq!(page.sum(&db_findings::CLIENT_SLOW_QUERIES), 0.0);
}

#[tokio::test]
async fn of_a_text_that_is_not_understood_nothing_is_told() {
    let (log, _guard) = Log::here();
    let metrics = outrigger::standalone().unwrap().slow_queries(Duration::ZERO);
    for (system, sql) in [
        ("oracle.db", "SELECT * FROM t WHERE a = q'[it's secret]' AND b = 'x'"),
        ("clickhouse", r"SELECT * FROM t WHERE a = 'it\'s secret' AND b = 'x'"),
        ("cockroachdb", "SELECT * FROM t WHERE a = $$it's secret$$"),
        ("tidb", r"SELECT * FROM t WHERE a = 'it\'s secret'"),
    ] {
        Operation::sql(system, sql).start(&metrics).finish(None);
        let line = log.line(&["slow query", system, "SELECT"]);
        let understood = ["cockroachdb", "tidb"].contains(&system);
        assert_eq!(line.contains("SELECT * FROM t WHERE a = ?"), understood, "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}
