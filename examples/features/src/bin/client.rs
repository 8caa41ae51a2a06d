//! Calls to others: `cargo run --release -p features --bin client`, which prints what it has counted.

use axum::Router;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use outrigger::client::UrlTemplate;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;

    // Somebody to call.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stock = Router::new().route("/stock/{product}", get(|| async { "7" }));
    tokio::spawn(async move { axum::serve(listener, stock).await });

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let client = metrics.client_layer().layer(client); // from here on as before
    for path in ["/stock/1", "/stock/2", "/nowhere"] {
        let request = http::Request::get(format!("http://{address}{path}"))
            .extension(UrlTemplate("/stock/{product}")) // optional: tells one kind of call from another
            .body(Empty::new())?;
        let response = client.clone().oneshot(request).await?;
        println!("{path}: {}", response.status());
        response.into_body().collect().await?; // a call ends with its body
    }

    let page = metrics.render().unwrap_or_default();
    page.lines()
        .filter(|line| line.starts_with("http_client_") && !line.contains("_bucket"))
        .for_each(|line| println!("{line}"));
    Ok(())
}
