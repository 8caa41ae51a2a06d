//! Redis: `REDIS_URL=redis://127.0.0.1/ cargo run --release -p features --bin redis`, which prints what it has counted.

use outrigger::cache::CacheMetrics;
use redis::AsyncCommands;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;

    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let sessions = CacheMetrics::new(&metrics, "sessions");
    let mut redis = metrics.timed_redis(connection).count_look_ups(sessions); // from here on as before

    let () = redis.set_ex("session:1", "Ada", 60).await?;
    let known: Option<String> = redis.get("session:1").await?;
    let unknown: Option<String> = redis.get("session:2").await?;
    println!("{known:?} {unknown:?}");
    let (visits,): (u64,) = redis::pipe().incr("visits", 1).query_async(&mut redis).await?;
    println!("{visits} visits");

    let page = metrics.render().unwrap_or_default();
    let shown =
        |line: &&str| line.starts_with("cache_") || line.starts_with("db_client_operation_duration_seconds_count");
    page.lines().filter(shown).for_each(|line| println!("{line}"));
    Ok(())
}
