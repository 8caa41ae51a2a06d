//! A whole service, measured: `cargo run --release -p features --bin service`, then look at <http://127.0.0.1:9464/>.
//!
//! The lines marked `// +` are all that Outrigger adds to it. It runs on SQLite in memory, and works without Redis too.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use outrigger::{BuildInfo, cache::CacheMetrics, db::TimedPool, redis::TimedRedis, task::Task}; // +
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use sqlx::{Sqlite, SqlitePool};
use tokio::net::TcpListener;

/// Redis is a help, and not worth a longer wait.
const PATIENCE: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Shop {
    db: TimedPool<Sqlite>,                // + for SqlitePool
    redis: TimedRedis<ConnectionManager>, // + for ConnectionManager
    mailer: Task,                         // +
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?; // + the recorder, and the process' own metrics
    metrics.build_info(&BuildInfo::new(env!("CARGO_PKG_VERSION"))); // +
    metrics.watch_runtime(); // +
    metrics.serve_admin(); // + /metrics, health and profiles on 127.0.0.1:9464

    let db = SqlitePool::connect("sqlite:file:shop?mode=memory&cache=shared").await?;
    let db = metrics.timed_pool("shop", db); // + statements, transactions, waits, N+1, slow queries
    sqlx::raw_sql(include_str!("service.sql")).execute(&db).await?;
    let redis = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let patience = ConnectionManagerConfig::new().set_number_of_retries(0).set_response_timeout(Some(PATIENCE));
    let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(redis)?, patience)?;
    let redis = metrics.timed_redis(redis).count_look_ups(CacheMetrics::new(&metrics, "products")); // + commands, hits, misses

    let app = Router::new()
        .route("/products/{id}", get(product))
        .route("/orders/{product}", post(order))
        .with_state(Shop { db, redis, mailer: metrics.task("mailer") }) // + the mailer
        .layer(metrics.n_plus_one_layer()) // + statements that repeat within a request
        .layer(metrics.http_layer()); // + last, so that it sees every route

    println!("curl http://127.0.0.1:8080/products/1; curl -X POST http://127.0.0.1:8080/orders/1");
    println!("curl http://127.0.0.1:9464/metrics");
    axum::serve(TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}

/// A product: from Redis, or else from the database.
async fn product(State(mut shop): State<Shop>, Path(id): Path<i64>) -> Result<Json<String>, StatusCode> {
    let key = format!("product:{id}");
    if let Ok(Some(name)) = shop.redis.get(&key).await {
        return Ok(Json(name));
    }
    let name = sqlx::query_scalar("SELECT name FROM products WHERE id = $1").bind(id).fetch_optional(&shop.db);
    let name: String = name.await.map_err(internal)?.ok_or(StatusCode::NOT_FOUND)?;
    let _: Result<(), _> = shop.redis.set_ex(&key, &name, 60).await;
    Ok(Json(name))
}

/// Takes a product from the shelf, writes the order down, and mails later.
async fn order(State(shop): State<Shop>, Path(product): Path<i64>) -> Result<StatusCode, StatusCode> {
    let mut tx = shop.db.begin().await.map_err(internal)?;
    let taken = sqlx::query("UPDATE products SET stock = stock - 1 WHERE id = $1 AND stock > 0").bind(product);
    if taken.execute(&mut *tx).await.map_err(internal)?.rows_affected() == 0 {
        return Err(StatusCode::CONFLICT);
    }
    sqlx::query("INSERT INTO orders (product) VALUES ($1)").bind(product).execute(&mut *tx).await.map_err(internal)?;
    tx.commit().await.map_err(internal)?;
    shop.mailer.spawn(tokio::time::sleep(Duration::from_millis(20))); // + for tokio::spawn
    Ok(StatusCode::CREATED)
}

fn internal(error: sqlx::Error) -> StatusCode {
    eprintln!("{error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
