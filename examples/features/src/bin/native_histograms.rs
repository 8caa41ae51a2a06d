//! Native histograms: `cargo run --release -p features --bin native_histograms`, and a Prometheus that scrapes
//! <http://127.0.0.1:9464/metrics> with `--enable-feature=native-histograms`.

use axum::Router;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Beside the classic buckets. Prometheus asks for its protobuf format and gets both; who asks for text, the classic.
    let metrics = outrigger::builder().native_histogram("http_server_request_duration_seconds").install()?;
    metrics.serve_admin();

    let app = Router::new().route("/", get(|| async { "Hello!\n" })).layer(metrics.http_layer());
    println!("curl http://127.0.0.1:8080/; curl http://127.0.0.1:9464/metrics");
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}
