//! Thousands of clients that cut their connections and streams wherever they happen to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use futures_util::{StreamExt, stream};
use h2::Reason;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use outrigger::Metrics;
use outrigger::http::Naming;
use outrigger_semconv::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::util::MapRequestLayer;

use crate::http1::request;
use crate::http2;
use crate::served::{Served, routes};
use crate::support::wait_for_page;

const PATHS: [&str; 8] = ["/text", "/chunks", "/file", "/nothing", "/missing", "/endless", "/never", "/aborted"];

pub(crate) async fn cut_connections_leave_nothing_behind(metrics: Metrics) {
    cut_connections(metrics, |metrics, routes| routes.layer(metrics.http_layer())).await;
}

pub(crate) async fn cut_connections_leave_nothing_behind_with_everything_on(metrics: Metrics) {
    cut_connections(metrics, |metrics, routes| {
        let layer = metrics.http_layer().body_sizes().time_to_first_byte().slow_requests(None).naming(Naming::Both);
        routes.layer(layer)
    })
    .await;
}

pub(crate) async fn cut_connections_leave_nothing_behind_until_headers(metrics: Metrics) {
    cut_connections(metrics, |metrics, routes| routes.layer(metrics.http_layer().until_headers())).await;
}

async fn cut_connections(metrics: Metrics, layered: impl FnOnce(&Metrics, Router) -> Router) {
    const CONNECTIONS: u64 = 4_000;
    let storm = Storm::over(metrics, CONNECTIONS, layered).await;
    let address = storm.served.address;
    let clients = (0..CONNECTIONS).map(|seed| async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut requests = String::new();
        for _ in 0..random.usize(1..=4) {
            let method = ["GET", "GET", "HEAD", "POST", "BREW"][random.usize(..5)];
            let path = PATHS[random.usize(..PATHS.len())];
            requests += &request(method, path);
            // hyper does not see that a client has left while another request of it waits to be read.
            if ["/endless", "/never"].contains(&path) {
                break;
            }
        }
        // A part of what there is to say, then a part of what there is to hear.
        let said = random.usize(..=requests.len()).max(requests.len() * usize::from(random.bool()));
        // The server may have closed first, after an aborted body.
        let _ = client.write_all(&requests.as_bytes()[..said]).await;
        let mut left = if random.bool() { random.usize(..400) } else { 0 };
        while left > 0 {
            let mut heard = [0; 64];
            tokio::select! {
                read = client.read(&mut heard) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left = left.saturating_sub(read),
                },
                // Some answers never come.
                () = async { for _ in 0..200 { tokio::task::yield_now().await } } => break,
            }
        }
    });
    stream::iter(clients).for_each_concurrent(40, |client| client).await;
    storm.blows_over(CONNECTIONS / 2).await;
}

pub(crate) async fn cut_streams_leave_nothing_behind(metrics: Metrics) {
    cut_streams(metrics, |metrics, routes| routes.layer(metrics.http_layer())).await;
}

pub(crate) async fn cut_streams_leave_nothing_behind_until_headers(metrics: Metrics) {
    cut_streams(metrics, |metrics, routes| routes.layer(metrics.http_layer().until_headers())).await;
}

async fn cut_streams(metrics: Metrics, layered: impl FnOnce(&Metrics, Router) -> Router) {
    const CONNECTIONS: u64 = 300;
    const STREAMS: usize = 20;
    let storm = Storm::over(metrics, CONNECTIONS, layered).await;
    let address = storm.served.address;
    let clients = (0..CONNECTIONS).map(|seed| async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let (client, connection) = http2::connect(address).await;
        let (cut, abort) = (random.usize(..STREAMS * 2), random.bool());
        let streams = (0..STREAMS).map(|_| {
            let (client, mut random) = (client.clone(), random.fork());
            async move {
                let path = PATHS[random.usize(..PATHS.len())];
                let (response, mut stream) = http2::start(&client, "GET", path).await;
                for _ in 0..random.usize(..50) {
                    tokio::task::yield_now().await;
                }
                if random.bool() || path == "/never" {
                    return stream.send_reset(Reason::CANCEL);
                }
                let Ok(response) = response.await else { return };
                let mut body = response.into_body();
                match path {
                    "/endless" => drop(body.data().await),
                    _ if random.bool() => drop(http2::read(body).await),
                    _ => {}
                }
            }
        });
        // Some connections end with streams in the middle.
        stream::iter(streams).take(cut).for_each_concurrent(STREAMS, |stream| stream).await;
        if abort {
            connection.abort();
        }
        drop(client);
        let _ = connection.await;
    });
    stream::iter(clients).for_each_concurrent(10, |client| client).await;
    storm.blows_over(CONNECTIONS * 5).await;
}

/// A service that counts for itself what reaches it, and knows when its connections have ended.
struct Storm {
    served: Served,
    reached: Arc<AtomicU64>,
    connections: tokio::task::JoinHandle<()>,
}

impl Storm {
    /// `layered` puts the layer round a router that it is given.
    async fn over(metrics: Metrics, connections: u64, layered: impl FnOnce(&Metrics, Router) -> Router) -> Self {
        let reached = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&reached);
        let count = MapRequestLayer::new(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            request
        });
        let app = layered(&metrics, routes().layer(count));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = Served { metrics, address: listener.local_addr().unwrap() };
        let connections = tokio::spawn(async move {
            let mut open = JoinSet::new();
            for _ in 0..connections {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let service = TowerToHyperService::new(app.clone());
                open.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            while open.join_next().await.is_some() {}
        });
        Self { served, reached, connections }
    }

    /// Once all connections have ended: every request that reached the service was counted once, and none is left.
    async fn blows_over(self, at_least: u64) {
        self.connections.await.expect("the server lives");
        wait_for_page(&self.served.metrics, "nothing is in flight", |page| {
            page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0
        })
        .await;
        let reached = self.reached.load(Ordering::Relaxed);
        assert!(reached >= at_least, "only {reached} requests reached the service");
        self.served.ended(reached).await;
    }
}
