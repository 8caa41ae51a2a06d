//! HTTP/2, frame by frame: streams that share a connection, are reset, or end with it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response};
use axum::routing::get;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http_body::Frame;
use http_body_util::StreamBody;
use outrigger::Metrics;
use outrigger_semconv::label;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::served::{Labels, Served, routes};

pub(crate) async fn streams_share_a_connection(metrics: Metrics) {
    const STREAMS: u32 = 20;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let app = routes()
        .route(
            "/held",
            get(async move || {
                held.acquire().await.expect("it stays open").forget();
                "held"
            }),
        )
        .route("/trailers", get(|| async { with_trailers() }))
        .layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let (client, connection) = connect(served.address).await;

    let held = join_all((0..STREAMS).map(|_| send(&client, "GET", "/held")));
    let release = async {
        served.in_flight(STREAMS).await;
        gate.add_permits(STREAMS as usize);
    };
    for response in tokio::join!(held, release).0 {
        assert_eq!(read(response.expect("an answer").into_body()).await.expect("a body"), "held");
    }
    served.counted("at once", &Labels::of("GET", "/held").status("200"), STREAMS.into()).await;

    let requests = [
        ("GET", "/text", "200", "text"),
        ("HEAD", "/text", "200", ""),
        ("GET", "/chunks", "200", "ab"),
        ("GET", "/file", "200", "file"),
        ("GET", "/trailers", "200", "data"),
        ("GET", "/nothing", "204", ""),
        ("GET", "/missing", "404", ""),
        ("POST", "/text", "405", ""),
        ("BREW", "/text", "405", ""),
    ];
    for (method, path, status, body) in requests {
        let response = send(&client, method, path).await.expect("an answer");
        assert_eq!(response.status().as_str(), status, "{method} {path}");
        assert_eq!(read(response.into_body()).await.expect("a body"), body, "{method} {path}");
        let route = if path == "/missing" { label::UNMATCHED_ROUTE } else { path };
        let method = if method == "BREW" { label::OTHER_METHOD } else { method };
        served.counted(path, &Labels::of(method, route).status(status), 1).await;
    }
    let response = send(&client, "GET", "/aborted").await;
    let broken = match response {
        Ok(response) => read(response.into_body()).await.is_err(),
        Err(_) => true,
    };
    assert!(broken, "it is reset, be it before or after its headers");
    served.counted("aborted", &Labels::of("GET", "/aborted").status("200").error("body_error"), 1).await;
    // The other streams of the connection do not mind.
    assert!(send(&client, "GET", "/panic").await.is_err());
    served.counted("a panic", &Labels::of("GET", "/panic").error("panic"), 1).await;
    let response = send(&client, "GET", "/text").await.expect("an answer");
    assert_eq!(read(response.into_body()).await.expect("a body"), "text");
    drop((client, connection));
    served.ended(u64::from(STREAMS) + requests.len() as u64 + 3).await;
}

pub(crate) async fn streams_are_reset_by_the_client(metrics: Metrics) {
    let app = routes().layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let (client, _connection) = connect(served.address).await;

    let (response, mut stream) = start(&client, "GET", "/never").await;
    served.in_flight(1).await;
    stream.send_reset(Reason::CANCEL);
    assert!(response.await.is_err());
    served.counted("before the headers", &Labels::of("GET", "/never").error("cancelled"), 1).await;
    served.ended(1).await;

    let (response, mut stream) = start(&client, "GET", "/endless").await;
    let mut body = response.await.expect("an answer").into_body();
    assert_eq!(body.data().await.expect("a frame").expect("no error"), "tick");
    served.in_flight(1).await;
    stream.send_reset(Reason::CANCEL);
    let cut = Labels::of("GET", "/endless").status("200").error("cancelled");
    served.counted("within the body", &cut, 1).await;
    served.ended(2).await;

    // The connection lives on.
    let response = send(&client, "GET", "/text").await.expect("an answer");
    assert_eq!(read(response.into_body()).await.expect("a body"), "text");
    served.counted("after it", &Labels::of("GET", "/text").status("200"), 1).await;
    served.ended(3).await;
}

pub(crate) async fn streams_end_with_their_connection(metrics: Metrics) {
    let app = routes().layer(metrics.http_layer());
    let served = Served::by_axum(metrics, app).await;
    let (client, connection) = connect(served.address).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(start(&client, "GET", "/never").await);
        streams.push(start(&client, "GET", "/endless").await);
    }
    served.in_flight(10).await;
    // As when the process dies: no farewell.
    connection.abort();
    served.counted("before the headers", &Labels::of("GET", "/never").error("cancelled"), 5).await;
    // Answered at once, but the end may have come before the answer.
    served.ended(10).await;
}

pub(crate) async fn streams_outlive_the_farewell_of_the_server(metrics: Metrics) {
    let (farewell, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (said, held) = (Arc::clone(&farewell), Arc::clone(&release));
    let handler = async move || {
        held.notified().await;
        "held"
    };
    let app: Router = Router::new().route("/held", get(handler)).layer(metrics.http_layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move { said.notified().await });
    let server = tokio::spawn(server.into_future());
    let served = Served { metrics, address };

    let (client, connection) = connect(served.address).await;
    let (response, _stream) = start(&client, "GET", "/held").await;
    served.in_flight(1).await;
    farewell.notify_one();
    // GOAWAY has come when the connection takes no new streams.
    let mut new = client.clone();
    while poll_fn(|cx| new.poll_ready(cx)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    served.in_flight(1).await;
    release.notify_one();
    assert_eq!(read(response.await.expect("an answer").into_body()).await.expect("a body"), "held");
    server.await.expect("it ends").expect("without an error");
    drop((client, new, connection));
    served.counted("it was answered", &Labels::of("GET", "/held").status("200"), 1).await;
    served.ended(1).await;
}

/// A body with trailers, as gRPC has.
fn with_trailers() -> Response<Body> {
    let trailers = HeaderMap::from_iter([("checksum".parse().expect("a name"), "7".parse().expect("a value"))]);
    let frames = [Frame::data(Bytes::from("data")), Frame::trailers(trailers)];
    Response::new(Body::new(StreamBody::new(stream::iter(frames).map(Ok::<_, Infallible>))))
}

pub(crate) type H2 = SendRequest<Bytes>;

/// A connection, and the task that drives it.
pub(crate) async fn connect(address: SocketAddr) -> (H2, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (client, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    let connection = tokio::spawn(async move {
        // How it ends is for the streams to see.
        let _ = connection.await;
    });
    (client, connection)
}

pub(crate) async fn start(
    client: &H2,
    method: &str,
    path: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let uri = format!("http://test{path}");
    let request = Request::builder().method(method).uri(uri).body(()).expect("a request");
    let mut client = client.clone().ready().await.expect("the connection is up");
    client.send_request(request, true).expect("the connection is up")
}

pub(crate) async fn send(client: &H2, method: &str, path: &str) -> Result<Response<RecvStream>, h2::Error> {
    start(client, method, path).await.0.await
}

/// Reads a body to its end, trailers and all.
pub(crate) async fn read(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        read.extend_from_slice(&data);
    }
    body.trailers().await?;
    Ok(String::from_utf8(read).expect("text"))
}
