//! Other layers round and within ours, and no router at all.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, header};
use axum::routing::{get, post};
use futures_util::stream;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use outrigger::Metrics;
use outrigger_exposition::{Point, Value};
use outrigger_semconv::{Metric, http, label};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::http1::{read_until, request};
use crate::served::{Labels, Served, routes};
use crate::support::{Page, wait_for_page};

pub(crate) async fn compression_is_counted_inside_and_outside(metrics: Metrics) {
    let app = || routes().route("/big", get(|| async { "paddle ".repeat(20_000) }));
    let inside = app().layer(CompressionLayer::new()).layer(metrics.http_layer());
    let outside = app().layer(metrics.http_layer()).layer(CompressionLayer::new());
    for (times, app) in [(1, inside), (2, outside)] {
        let served = Served::by_axum(metrics.clone(), app).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        for (method, path, status) in
            [("GET", "/big", "200"), ("HEAD", "/big", "200"), ("GET", "/nothing", "204"), ("GET", "/text", "200")]
        {
            client.write_all(compressed(method, path).as_bytes()).await.unwrap();
            let head = read_until(&mut client, "\r\n\r\n").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
            match (method, path) {
                ("GET", "/big") => {
                    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
                    let read = read_bytes_until(&mut client, b"\r\n0\r\n\r\n").await;
                    assert!(read < 10_000, "{read} bytes are not compressed");
                }
                // Too small to be worth it.
                ("GET", "/text") => assert_eq!(read_until(&mut client, "text").await, "text"),
                _ => {}
            }
            served.counted(path, &Labels::of(method, path).status(status), times).await;
        }
        client.write_all(compressed("GET", "/endless").as_bytes()).await.unwrap();
        read_until(&mut client, "\r\n\r\n").await;
        served.in_flight(1).await;
        drop(client);
        let cut = Labels::of("GET", "/endless").status("200").error("cancelled");
        served.counted("the client left", &cut, times).await;
        served.ended(5 * times).await;
    }
}

pub(crate) async fn sizes_are_those_of_the_bytes_on_the_wire(metrics: Metrics) {
    let big = || "paddle ".repeat(20_000);
    let app = routes().route("/big", get(async move || big())).route("/chunked", post(|body: Bytes| async { body }));
    // Compression is inside of the layer, so that it sees what goes out.
    let app = app.layer(CompressionLayer::new()).layer(metrics.http_layer().body_sizes());
    let served = Served::by_axum(metrics, app).await;
    for http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
        let chunks = Body::from_stream(stream::iter(["one ", "two "].map(Ok::<_, Infallible>)));
        let requests: [(&str, &str, Body, u64); 6] = [
            ("GET", "/big", Body::empty(), 0),
            ("HEAD", "/big", Body::empty(), 0),
            ("GET", "/nothing", Body::empty(), 0),
            ("POST", "/echo", Body::from("text"), 4),
            ("POST", "/chunked", chunks, 8),
            // Announced, but not read.
            ("POST", "/refuse", Body::from("text"), 4),
        ];
        for (method, path, body, sent) in requests {
            let request = Request::builder().method(method).uri(format!("http://{}{path}", served.address));
            let request = request.header(header::ACCEPT_ENCODING, "gzip").body(body).expect("a request");
            let before = sizes(&served, method, path).await;
            let response = client.request(request).await.expect("an answer");
            let received = response.into_body().collect().await.expect("a body").to_bytes().len() as u64;
            assert!(path != "/big" || received < 10_000, "{received} bytes are not compressed");
            let after = wait_for_sizes(&served, method, path, before.0 + 1).await;
            let measured = (after.1 - before.1, after.2 - before.2);
            assert_eq!(measured, (sent as f64, received as f64), "{method} {path}, HTTP/2: {http2}");
        }
    }
}

async fn wait_for_sizes(served: &Served, method: &str, path: &str, count: u64) -> (u64, f64, f64) {
    wait_for_page(&served.metrics, path, |page| sizes_on(page, method, path).0 == count).await;
    sizes(served, method, path).await
}

async fn sizes(served: &Served, method: &str, path: &str) -> (u64, f64, f64) {
    sizes_on(&Page::of(&served.metrics), method, path)
}

/// How many responses of a route there were, and the bytes of their requests and theirs.
fn sizes_on(page: &Page, method: &str, path: &str) -> (u64, f64, f64) {
    let of = |metric: &Metric| {
        let family = page.family(metric).map(|family| family.points.as_slice()).unwrap_or_default();
        let has = |point: &Point, name: &str, value: &str| {
            point.labels.iter().any(|label| label.name == name && label.value == value)
        };
        let points = family
            .iter()
            .filter(|point| has(point, label::HTTP_ROUTE, path) && has(point, label::HTTP_REQUEST_METHOD, method));
        points.fold((0, 0.0), |(count, sum), point| match &point.value {
            Value::Histogram(histogram) => (count + histogram.count(), sum + histogram.sum.unwrap_or_default()),
            other => panic!("{other:?}"),
        })
    };
    let (requests, responses) = (of(&http::SERVER_REQUEST_BODY_SIZE), of(&http::SERVER_RESPONSE_BODY_SIZE));
    (responses.0.min(requests.0), requests.1, responses.1)
}

pub(crate) async fn a_caught_panic_is_the_answer_that_it_becomes(metrics: Metrics) {
    let inside = routes().layer(CatchPanicLayer::new()).layer(metrics.http_layer());
    let outside = routes().layer(metrics.http_layer()).layer(CatchPanicLayer::new());
    let seen_inside = Labels::of("GET", "/panic").status("500").error("500");
    // What is caught further out has not been answered here.
    let seen_outside = Labels::of("GET", "/panic").error("panic");
    for (total, app, seen) in [(1, inside, seen_inside), (2, outside, seen_outside)] {
        let served = Served::by_axum(metrics.clone(), app).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(request("GET", "/panic").as_bytes()).await.unwrap();
        let head = read_until(&mut client, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        served.counted("it panicked", &seen, 1).await;
        served.ended(total).await;
    }
}

pub(crate) async fn bare_hyper_without_a_router_is_counted(metrics: Metrics) {
    let service = metrics.http_layer().layer(service_fn(async |request: Request<hyper::body::Incoming>| {
        let body = Full::<&[u8]>::new(if request.uri().path() == "/text" { b"text" } else { b"" });
        Ok::<_, Infallible>(Response::new(body))
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = Served { metrics, address: listener.local_addr().unwrap() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let mut client = TcpStream::connect(served.address).await.unwrap();
    for path in ["/text", "/empty", "/text"] {
        client.write_all(request("GET", path).as_bytes()).await.unwrap();
        read_until(&mut client, "\r\n\r\n").await;
        if path == "/text" {
            assert_eq!(read_until(&mut client, "text").await, "text");
        }
    }
    served.counted("no route", &Labels::of("GET", label::UNMATCHED_ROUTE).status("200"), 3).await;
    served.ended(3).await;
}

fn compressed(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\naccept-encoding: gzip\r\n\r\n")
}

async fn read_bytes_until(client: &mut TcpStream, end: &[u8]) -> usize {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(client.read_u8().await.expect("there is more to come"));
    }
    read.len()
}
