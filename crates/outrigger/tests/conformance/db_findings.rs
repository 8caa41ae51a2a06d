//! What is found in the use of a database.

use std::time::Duration;

use outrigger::Metrics;
use outrigger::db::{InRequest, RequestScope};
use outrigger_semconv::{db_findings, label};
use sqlx::SqlitePool;

use crate::support::Page;

pub(crate) async fn slow_queries_are_counted(metrics: Metrics) {
    let pool = SqlitePool::connect("sqlite::memory:").await.expect("SQLite opens");
    let metrics = metrics.slow_queries(Duration::ZERO);
    sqlx::query("SELECT 1").fetch_all(metrics.timed(&pool)).await.expect("a row");
    let labels = [(label::DB_SYSTEM_NAME, "sqlite"), (label::DB_OPERATION_NAME, "SELECT")];
    assert_eq!(Page::of(&metrics).number(&db_findings::CLIENT_SLOW_QUERIES, &labels), Some(1.0));
}

pub(crate) async fn repeated_statements_are_counted_once_for_each_request(metrics: Metrics) {
    let pool = SqlitePool::connect("sqlite::memory:").await.expect("SQLite opens");
    let ask = async |times: u32| {
        for number in 0..times {
            sqlx::query("SELECT ?").bind(number).fetch_all(metrics.timed(&pool)).await.expect("a row");
        }
    };
    let raised = || Page::of(&metrics).number(&db_findings::CLIENT_N_PLUS_ONE, &[(label::HTTP_ROUTE, "job")]);
    ask(10).in_request(RequestScope::new(&metrics, "job")).await;
    assert_eq!(raised(), Some(0.0));
    for request in 1..=2_u8 {
        ask(30).in_request(RequestScope::new(&metrics, "job")).await;
        assert_eq!(raised(), Some(f64::from(request)));
    }
}
