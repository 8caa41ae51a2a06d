//! Requests: `cargo run --release -p features --bin http`, then look at <http://127.0.0.1:9464/metrics>.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    let app = Router::new()
        .route("/hello/{name}", get(|Path(name): Path<String>| async move { format!("Hello, {name}!\n") }))
        .layer(metrics.http_layer()); // last, so that it sees every route

    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("curl http://127.0.0.1:8080/hello/you; curl http://127.0.0.1:9464/metrics");
    axum::serve(listener, app).await?;
    Ok(())
}
