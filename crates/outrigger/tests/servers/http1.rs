//! HTTP/1.1, written and read byte by byte.

use axum::Router;
use outrigger::Metrics;
use outrigger_semconv::label;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::served::{Labels, Served, routes};

pub(crate) async fn ordinary_answers_are_no_cancellations(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    // One connection, one after another: each answer is read to its end before the next request.
    let requests = [
        ("GET", "/text", "200", "text"),
        ("HEAD", "/text", "200", ""),
        ("GET", "/chunks", "200", "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
        ("HEAD", "/chunks", "200", ""),
        ("GET", "/file", "200", "file"),
        ("HEAD", "/file", "200", ""),
        ("GET", "/nothing", "204", ""),
        ("GET", "/missing", "404", ""),
        ("POST", "/text", "405", ""),
        ("BREW", "/text", "405", ""),
    ];
    for (method, path, status, body) in requests {
        client.write_all(request(method, path).as_bytes()).await.unwrap();
        let head = read_until(&mut client, "\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
        assert_eq!(read_exactly(&mut client, body.len()).await, body, "{method} {path}");
        let route = if path == "/missing" { label::UNMATCHED_ROUTE } else { path };
        let method = if method == "BREW" { label::OTHER_METHOD } else { method };
        served.counted(path, &Labels::of(method, route).status(status), 1).await;
    }
    drop(client);
    served.ended(requests.len() as u64).await;
}

pub(crate) async fn requests_may_wait_to_continue(metrics: Metrics) {
    let served = serve(metrics).await;
    let expecting =
        |path| format!("POST {path} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(expecting("/echo").as_bytes()).await.unwrap();
    let interim = read_until(&mut client, "\r\n\r\n").await;
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    served.in_flight(1).await;
    client.write_all(b"text").await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(read_exactly(&mut client, 4).await, "text");
    served.counted("continued", &Labels::of("POST", "/echo").status("200"), 1).await;

    // The handler does not want the body.
    client.write_all(expecting("/refuse").as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    served.counted("refused", &Labels::of("POST", "/refuse").status("413"), 1).await;

    // The client leaves instead of going on.
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(expecting("/echo").as_bytes()).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    client.write_all(b"te").await.unwrap();
    drop(client);
    // Either the handler sees that the body is broken and answers, or the server drops the request first.
    served.ended(3).await;
}

pub(crate) async fn requests_may_come_in_a_row(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    let row = ["/text", "/file", "/nothing", "/text"].map(|path| request("GET", path)).concat();
    client.write_all(row.as_bytes()).await.unwrap();
    for body in ["text", "file", "", "text"] {
        read_until(&mut client, "\r\n\r\n").await;
        assert_eq!(read_exactly(&mut client, body.len()).await, body);
    }
    served.counted("twice", &Labels::of("GET", "/text").status("200"), 2).await;
    served.ended(4).await;
}

pub(crate) async fn a_client_that_leaves_within_the_body_is_counted_once_as_cancelled(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/endless").as_bytes()).await.unwrap();
    read_until(&mut client, "tick").await;
    served.in_flight(1).await;
    drop(client);
    served.counted("it ends", &Labels::of("GET", "/endless").status("200").error("cancelled"), 1).await;
    served.ended(1).await;
}

pub(crate) async fn a_client_that_leaves_before_the_headers_has_no_status(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/never").as_bytes()).await.unwrap();
    served.in_flight(1).await;
    drop(client);
    served.counted("it ends", &Labels::of("GET", "/never").error("cancelled"), 1).await;
    served.ended(1).await;
}

pub(crate) async fn an_aborted_body_is_an_error(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/aborted").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server breaks off; whether that is an end or a reset is the system's choice.
    let _ = client.read_to_end(&mut answer).await;
    assert!(!answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    served.counted("it ends", &Labels::of("GET", "/aborted").status("200").error("body_error"), 1).await;
    served.ended(1).await;
}

pub(crate) async fn a_panic_closes_the_connection_and_is_counted(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/panic").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    served.counted("it ends", &Labels::of("GET", "/panic").error("panic"), 1).await;
    served.ended(1).await;
}

pub(crate) async fn events_are_timed_to_their_headers(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/events").as_bytes()).await.unwrap();
    read_until(&mut client, "tick").await;
    served.counted("before they end", &Labels::of("GET", "/events").status("200"), 1).await;
    served.in_flight(1).await;
    drop(client);
    served.ended(1).await;
}

async fn serve(metrics: Metrics) -> Served {
    let app: Router = routes().layer(metrics.http_layer());
    Served::by_axum(metrics, app).await
}

pub(crate) fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

pub(crate) async fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(client.read_u8().await.expect("there is more to come"));
    }
    String::from_utf8(read).expect("text")
}

async fn read_exactly(client: &mut TcpStream, bytes: usize) -> String {
    let mut read = vec![0; bytes];
    client.read_exact(&mut read).await.expect("there is more to come");
    String::from_utf8(read).expect("text")
}
