//! The slow-query log: `cargo run --release -p features --bin slow_queries`. It ends by itself.

use std::time::Duration;

use sqlx::SqlitePool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    // 100 ms, if nothing is said.
    let metrics = outrigger::install()?.slow_queries(Duration::from_millis(20));
    let pool = SqlitePool::connect("sqlite::memory:").await?;

    // Quick: no line.
    sqlx::query("SELECT 'Ada' AS name").fetch_all(metrics.timed(&pool)).await?;
    // Slow: a line with the shape of the statement. Neither Ada nor any number is in it.
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
        SELECT count(*) FROM n WHERE 'Ada' <> i || ? -- for Ada";
    let count: i64 = sqlx::query_scalar(slow).bind("Ada").fetch_one(metrics.timed(&pool)).await?;
    println!("counted {count}");

    let page = metrics.render().unwrap_or_default();
    page.lines().filter(|line| line.starts_with("db_client_slow_queries_total")).for_each(|line| println!("{line}"));
    Ok(())
}
