//! Connection pools: `cargo run --release -p features --bin pools`, then look at <http://127.0.0.1:9464/metrics>.
//!
//! A pool of four SQLite connections with eight callers, so that some wait; with `REDIS_URL` set, a pool of bb8 beside it.

use std::time::Duration;

use outrigger::{Metrics, pool};
use sqlx::sqlite::SqlitePoolOptions;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    let orders = SqlitePoolOptions::new().max_connections(4).connect("sqlite::memory:").await?;
    let orders = pool::watch(&metrics, "orders", &orders); // gauges, while it lives
    for _ in 0..8 {
        let orders = orders.clone();
        tokio::spawn(async move {
            while let Ok(mut connection) = orders.acquire().await {
                // The connection is held until the end of this block.
                let answered = sqlx::query("SELECT 1").execute(&mut *connection).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                if answered.is_err() {
                    break;
                }
            }
        });
    }

    if let Ok(url) = std::env::var("REDIS_URL") {
        tokio::spawn(sessions(metrics.clone(), url));
    }
    println!("curl -s http://127.0.0.1:9464/metrics | grep db_client_connection");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// The same with a pool of bb8. deadpool's are watched alike.
async fn sessions(metrics: Metrics, url: String) -> Result {
    let manager = pool::TimedManager::new(&metrics, "sessions", redis::Client::open(url)?); // times each connect
    let sessions = bb8::Pool::builder().max_size(2).build(manager).await?;
    let sessions = pool::watch(&metrics, "sessions", &sessions);
    loop {
        let mut connection = sessions.get().await?;
        redis::cmd("PING").query_async::<()>(&mut *connection).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
