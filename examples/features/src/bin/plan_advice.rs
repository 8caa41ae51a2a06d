//! Advice from query plans, on a PostgreSQL of yours, where it makes and drops the table `outrigger_example`:
//! `DATABASE_URL=postgres://localhost/postgres cargo run --release -p features --bin plan_advice`. It ends by itself.

use std::time::Duration;

use outrigger::db::PlanAdvice;
use sqlx::PgPool;

const TABLE: &str = "\
    DROP TABLE IF EXISTS outrigger_example; \
    CREATE TABLE outrigger_example (id bigint PRIMARY KEY, customer bigint NOT NULL, total numeric NOT NULL); \
    INSERT INTO outrigger_example SELECT n, n % 5000, n FROM generate_series(1, 100000) n; \
    ANALYZE outrigger_example";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    // A service leaves the threshold at 100 ms; here, everything is slow.
    let metrics = outrigger::install()?.slow_queries(Duration::ZERO);
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1/postgres".to_owned());
    let pool = PgPool::connect(&url).await?;
    sqlx::raw_sql(TABLE).execute(&pool).await?;

    let _advisor = metrics.plan_advice(&pool, PlanAdvice::new());
    sqlx::query("SELECT * FROM outrigger_example WHERE customer = $1")
        .bind(7_i64)
        .fetch_all(metrics.timed(&pool))
        .await?;

    // The plan is asked for beside the service's work; the log has the advice.
    let findings = || {
        let page = metrics.render().unwrap_or_default();
        page.lines()
            .filter(|line| line.contains("db_collection_name=\"outrigger_example\",db_plan"))
            .map(str::to_owned)
            .collect()
    };
    for _ in 0..50 {
        let findings: Vec<String> = findings();
        if !findings.is_empty() {
            println!("{}", findings.join("\n"));
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sqlx::raw_sql("DROP TABLE outrigger_example").execute(&pool).await?;
    Ok(())
}
