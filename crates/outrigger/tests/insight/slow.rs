//! The slow-query log.

use std::time::Duration;

use outrigger_semconv::{db_findings, label};
use sqlx::SqlitePool;

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
