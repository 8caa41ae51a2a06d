//! The admin listener: `cargo run --release -p features --bin admin`, then look at <http://127.0.0.1:9464/>.
//!
//! With a token: `OUTRIGGER_ADMIN_TOKEN=s3cret cargo run ...`, then `curl -H 'Authorization: Bearer s3cret' ...`.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use sqlx::SqlitePool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init(); // what the checks say of their failures is there

    let metrics = outrigger::install()?;
    let database = SqlitePool::connect("sqlite::memory:").await?;

    let asked = database.clone();
    let admin = metrics
        .admin()
        // Ready while the database answers. Asked at most once a second, however many probe.
        .check("database", move || {
            let database = asked.clone();
            async move { sqlx::query("SELECT 1").execute(&database).await }
        })
        // A page of our own, behind the same token.
        .routes(Router::new().route("/version", get(|| async { env!("CARGO_PKG_VERSION") })))
        .link("/version", "the release that runs")
        .serve();

    let app = Router::new()
        .route("/", get(|| async { "Hello!\n" }))
        // Takes the database away, to be seen at /-/ready and in outrigger_check_up.
        .route("/break", get(async move || database.close().await))
        .layer(metrics.http_layer());

    // The end: not ready first, so that a load balancer sends its requests elsewhere, and then no more requests.
    let draining = admin.clone();
    let end = async move {
        let _ = tokio::signal::ctrl_c().await;
        draining.drain();
        println!("not ready any more: curl http://127.0.0.1:9464/-/ready");
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("curl http://127.0.0.1:9464/-/ready; curl http://127.0.0.1:8080/break; then press Ctrl+C");
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    metrics.shutdown().await;
    admin.shutdown().await;
    Ok(())
}
