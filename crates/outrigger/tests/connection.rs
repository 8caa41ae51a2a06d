//! The HTTP layer behind a real server: what a client does on the wire is what is counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use outrigger::Metrics;
use outrigger_semconv::{http, label};
use support::wait_for_page;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordinary_answers_are_no_cancellations() {
    let (metrics, address) = serve().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    // One connection, one after another: each answer is read to its end before the next request.
    let requests = [
        ("GET", "/text", "200"),
        ("HEAD", "/text", "200"),
        ("GET", "/chunks", "200"),
        ("GET", "/file", "200"),
        ("GET", "/nothing", "204"),
        ("GET", "/missing", "404"),
    ];
    for (method, path, status) in requests {
        client.write_all(request(method, path).as_bytes()).await.unwrap();
        let head = read_until(&mut client, b"\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
        match (method, path) {
            ("HEAD", _) | (_, "/nothing") => {}
            (_, "/chunks") => drop(read_until(&mut client, b"0\r\n\r\n").await),
            (_, path) => read_exactly(&mut client, if path == "/missing" { 0 } else { 4 }).await,
        }
        let route = if path == "/missing" { label::UNMATCHED_ROUTE } else { path };
        let labels = labels(method, route, Some(status), None);
        wait_for_page(&metrics, path, |page| page.count(&http::SERVER_REQUEST_DURATION, &labels) == 1).await;
    }
    drop(client);
    let page = wait_for_page(&metrics, "the end", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0).await;
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 6, "{}", page.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_within_the_body_is_counted_once_as_cancelled() {
    let (metrics, address) = serve().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request("GET", "/endless").as_bytes()).await.unwrap();
    read_until(&mut client, b"tick").await;
    wait_for_page(&metrics, "it is in flight", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 1.0).await;
    drop(client);

    let labels = labels("GET", "/endless", Some("200"), Some("cancelled"));
    let page =
        wait_for_page(&metrics, "it ends", |page| page.count(&http::SERVER_REQUEST_DURATION, &labels) == 1).await;
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 1);
    wait_for_page(&metrics, "it has ended", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_the_headers_has_no_status() {
    let (metrics, address) = serve().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request("GET", "/never").as_bytes()).await.unwrap();
    wait_for_page(&metrics, "it is in flight", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 1.0).await;
    drop(client);

    let labels = labels("GET", "/never", None, Some("cancelled"));
    let page =
        wait_for_page(&metrics, "it ends", |page| page.count(&http::SERVER_REQUEST_DURATION, &labels) == 1).await;
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 1);
    wait_for_page(&metrics, "it has ended", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_closes_the_connection_and_is_counted() {
    let (metrics, address) = serve().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request("GET", "/panic").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Closed without an answer; whether that is an end or a reset is the system's choice.
    let _ = client.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    let labels = labels("GET", "/panic", None, Some("panic"));
    let page =
        wait_for_page(&metrics, "it ends", |page| page.count(&http::SERVER_REQUEST_DURATION, &labels) == 1).await;
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 1);
    wait_for_page(&metrics, "it has ended", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_hold_under_many_clients_that_come_and_go() {
    const CLIENTS: u64 = 200;
    let (metrics, address) = serve().await;
    let clients = (0..CLIENTS).map(|index| async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        let path = ["/text", "/chunks", "/endless", "/never"][index as usize % 4];
        client.write_all(request("GET", path).as_bytes()).await.unwrap();
        match path {
            "/text" | "/chunks" => drop(read_until(&mut client, b"\r\n\r\n").await),
            "/endless" => drop(read_until(&mut client, b"tick").await),
            _ => tokio::task::yield_now().await,
        }
    });
    stream::iter(clients).for_each_concurrent(20, |client| client).await;

    // A request whose client was gone before the server read it never was one.
    let page = wait_for_page(&metrics, "all have ended", |page| {
        page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0 && page.total(&http::SERVER_REQUEST_DURATION) >= CLIENTS * 3 / 4
    })
    .await;
    assert!(page.total(&http::SERVER_REQUEST_DURATION) <= CLIENTS, "{}", page.text());
    let cut = labels("GET", "/endless", Some("200"), Some("cancelled"));
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &cut), CLIENTS / 4);
}

async fn serve() -> (Metrics, SocketAddr) {
    let metrics = outrigger::standalone().unwrap();
    let endless = || {
        stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, Infallible>("tick"), ()))
        })
    };
    let app = Router::new()
        .route("/text", get(|| async { "text" }))
        .route("/chunks", get(|| async { Body::from_stream(stream::iter(["a", "b"].map(Ok::<_, Infallible>))) }))
        .route("/file", get(file))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/endless", get(move || async move { Body::from_stream(endless()) }))
        .route("/never", get(|| async { std::future::pending::<&'static str>().await }))
        .route("/panic", get(|| async { panic!("on purpose") as &'static str }))
        .layer(metrics.http_layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (metrics, address)
}

/// As file servers answer: a length in the headers, and a body that does not know its own.
async fn file() -> impl IntoResponse {
    let body = Body::from_stream(stream::iter(["fi", "le"].map(Ok::<_, Infallible>)));
    ([(header::CONTENT_LENGTH, "4")], body)
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

async fn read_until(client: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(client.read_u8().await.expect("there is more to come"));
    }
    String::from_utf8(read).expect("text")
}

async fn read_exactly(client: &mut TcpStream, bytes: usize) {
    client.read_exact(&mut vec![0; bytes]).await.expect("there is more to come");
}

fn labels<'a>(
    method: &'a str,
    route: &'a str,
    status: Option<&'a str>,
    error: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let mut labels =
        vec![(label::HTTP_REQUEST_METHOD, method), (label::URL_SCHEME, "http"), (label::HTTP_ROUTE, route)];
    labels.extend(status.map(|status| (label::HTTP_RESPONSE_STATUS_CODE, status)));
    labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
    labels
}
