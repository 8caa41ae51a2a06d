//! N+1: `cargo run --release -p features --bin n_plus_one`, then ask for both lists and look at the log, and at
//! `db_client_n_plus_one_total` on <http://127.0.0.1:9464/metrics>.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use outrigger::db::{InRequest, Timed};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

/// The bad way: one query for the ids, and one more for each of them.
async fn one_by_one(State(shop): State<SqlitePool>) -> Result<Json<Vec<String>>, String> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM items").fetch_all(Timed(&shop)).await.map_err(|e| e.to_string())?;
    let mut names = Vec::new();
    for id in ids {
        let name = sqlx::query_scalar("SELECT name FROM items WHERE id = ?").bind(id).fetch_one(Timed(&shop));
        names.push(name.await.map_err(|e| e.to_string())?);
    }
    Ok(Json(names))
}

/// The good way.
async fn at_once(State(shop): State<SqlitePool>) -> Result<Json<Vec<String>>, String> {
    // A spawned task is outside of the request, unless it is told that it belongs to it.
    let query = async move { sqlx::query_scalar("SELECT name FROM items").fetch_all(Timed(&shop)).await };
    let names = tokio::spawn(query.in_current_request()).await.map_err(|e| e.to_string())?;
    Ok(Json(names.map_err(|e| e.to_string())?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::raw_sql("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").execute(&pool).await?;
    for name in ["canoe", "paddle", "mast", "sail", "float", "boom", "rope", "anchor", "bailer", "mat", "net", "hook"] {
        sqlx::query("INSERT INTO items (name) VALUES (?)").bind(name).execute(&pool).await?;
    }

    let app = Router::new()
        .route("/one-by-one", get(one_by_one))
        .route("/at-once", get(at_once))
        .layer(metrics.n_plus_one_layer())
        .layer(metrics.http_layer())
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("curl http://127.0.0.1:8080/one-by-one; curl http://127.0.0.1:8080/at-once");
    axum::serve(listener, app).await?;
    Ok(())
}
