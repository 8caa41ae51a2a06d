//! Database queries: `cargo run --release -p features --bin database`, then look at <http://127.0.0.1:9464/metrics>.

use std::time::Duration;

use outrigger::db::TimedPool;
use sqlx::Sqlite;
use sqlx::sqlite::SqlitePoolOptions;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    // One connection, since each has a database of its own in memory.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    // The one line that an existing program adds; its queries stay as they are.
    let pool = metrics.timed_pool("shop", pool).role("primary");

    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER NOT NULL)").execute(&pool).await?;
    println!("curl http://127.0.0.1:9464/metrics | grep ^db_client");
    loop {
        order(&pool, 42).await?;
        let (count, sum): (i64, i64) =
            sqlx::query_as("SELECT count(*), sum(total) FROM orders").fetch_one(&pool).await?;
        println!("{count} orders, {sum} in total");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn order(pool: &TimedPool<Sqlite>, total: i64) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO orders (total) VALUES ($1)").bind(total).execute(&mut *tx).await?;
    tx.commit().await
}
