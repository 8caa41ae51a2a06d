//! Metrics of outgoing calls, against real servers and ones that misbehave.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, Uri, Version, header};
use axum::response::Redirect;
use axum::routing::get;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use outrigger::Metrics;
use outrigger::client::UrlTemplate;
use outrigger_semconv::{http, label, library};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::timeout::Timeout;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::Page;

pub(crate) async fn outcomes_are_told_apart(metrics: Metrics) {
    let server = serve().await;
    let mut calls = Calls::new(&metrics);
    let client = metrics.client_layer().layer(http1());

    for (method, path, status, error) in [
        ("GET", "/text", "200", ""),
        ("HEAD", "/text", "200", ""),
        ("GET", "/chunks", "200", ""),
        ("GET", "/status/204", "204", ""),
        ("GET", "/status/304", "304", ""),
        ("GET", "/old", "303", ""),
        ("GET", "/nowhere", "404", "404"),
        ("POST", "/text", "405", "405"),
        ("BREW", "/text", "405", "405"),
        ("GET", "/status/503", "503", "503"),
    ] {
        let response = client.clone().oneshot(request(method, server, path)).await.expect("an answer");
        response.into_body().collect().await.expect("a body");
        let method = if method == "BREW" { label::OTHER_METHOD } else { method };
        calls.counted(&format!("{method} {path}"), method, server, status, error);
    }

    // The caller does not want the rest.
    let response = client.clone().oneshot(request("GET", server, "/endless")).await.expect("an answer");
    drop(response);
    calls.counted("a body that is dropped", "GET", server, "200", "cancelled");
    let response = client.clone().oneshot(request("GET", server, "/status/404/endless")).await.expect("an answer");
    drop(response);
    calls.counted("an error whose body is dropped", "GET", server, "404", "404");
    let mut body = client.clone().oneshot(request("GET", server, "/text")).await.expect("an answer").into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    calls.counted("all bytes, but not to the end", "GET", server, "200", "");

    // Timeouts outside and inside of the layer.
    let outside = Timeout::new(client.clone(), SHORT).oneshot(request("GET", server, "/never")).await;
    assert!(outside.is_err());
    calls.counted("a timeout outside", "GET", server, "", "cancelled");
    let inside = metrics.client_layer().layer(Timeout::new(http1(), SHORT));
    assert!(inside.oneshot(request("GET", server, "/never")).await.is_err());
    calls.counted("a timeout inside", "GET", server, "", "timeout");

    // Peers that misbehave.
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    assert!(client.clone().oneshot(request("GET", nobody, "/")).await.is_err());
    calls.counted("nobody listens", "GET", nobody, "", "connect_error");
    let unknown = Request::get("http://nobody.invalid/").body(Empty::new()).expect("a request");
    assert!(client.clone().oneshot(unknown).await.is_err());
    calls.counted_at("an unknown name", 1, "GET", ("nobody.invalid", "80"), "", "connect_error");
    for (answer, status, error) in [
        ("", "", "connection_closed"),
        ("HTTP/1.1 200 O", "", "connection_closed"),
        ("what?\r\n\r\n", "", "request_error"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "200", "body_error"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "200", "body_error"),
        ("HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\nhalf", "500", "500"),
    ] {
        let peer = misbehaving(answer).await;
        if let Ok(response) = client.clone().oneshot(request("GET", peer, "/")).await {
            assert!(response.into_body().collect().await.is_err());
        }
        calls.counted(answer, "GET", peer, status, error);
    }

    // Inner services that do what clients do not.
    let panicking = metrics.client_layer().layer(service_fn(|_| async { panic!("on purpose") as Answer }));
    let call = panicking.oneshot(request("GET", server, "/"));
    assert!(tokio::spawn(call).await.is_err());
    calls.counted("a panic", "GET", server, "", "panic");
    let early = metrics
        .client_layer()
        .layer(service_fn(|_: Request<_>| -> std::future::Ready<Answer> { panic!("on purpose") }));
    let call = early.oneshot(request("GET", server, "/"));
    assert!(tokio::spawn(call).await.is_err());
    calls.counted("a panic before there is a future", "GET", server, "", "panic");
}

pub(crate) async fn calls_in_flight_are_seen_while_they_are(metrics: Metrics) {
    let server = serve().await;
    let client = metrics.client_layer().layer(http1());
    let port = server.port().to_string();
    let labels = [
        (label::HTTP_REQUEST_METHOD, "GET"),
        (label::SERVER_ADDRESS, "127.0.0.1"),
        (label::SERVER_PORT, port.as_str()),
    ];
    let active = || Page::of(&metrics).number(&http::CLIENT_ACTIVE_REQUESTS, &labels);

    let mut waiting = Box::pin(client.clone().oneshot(request("GET", server, "/never")));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(active(), Some(1.0));
    let streaming = client.clone().oneshot(request("GET", server, "/endless")).await.expect("an answer");
    assert_eq!(active(), Some(2.0), "the body is still to come");
    drop(waiting);
    assert_eq!(active(), Some(1.0));
    drop(streaming);
    assert_eq!(active(), Some(0.0));

    let events = client.oneshot(request("GET", server, "/events")).await.expect("an answer");
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), 3, "before the stream has ended");
    assert_eq!(active(), Some(1.0), "but it is still there");
    drop(events);
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), 3, "that it was cut is no second call");
    assert_eq!(page.sum(&http::CLIENT_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn labels_are_what_the_caller_says(metrics: Metrics) {
    let answer = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(frames())));
    let send = async |layer: outrigger::client::ClientMetricsLayer, uri: &str, template: Option<UrlTemplate>| {
        let mut request = Request::builder().uri(uri).header(header::HOST, "from-the-header:81");
        if let Some(template) = template {
            request = request.extension(template);
        }
        let request = request.body(Body::empty()).expect("a request");
        layer.layer(answer).oneshot(request).await.unwrap_or_else(|never| match never {})
    };
    let count = |address: &str, port: &str, template: &str, error: &str| {
        let labels: Vec<(&str, &str)> = [
            (label::HTTP_REQUEST_METHOD, "GET"),
            (label::SERVER_ADDRESS, address),
            (label::SERVER_PORT, port),
            (label::URL_TEMPLATE, template),
            (label::HTTP_RESPONSE_STATUS_CODE, "200"),
            (label::ERROR_TYPE, error),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        Page::of(&metrics).count(&http::CLIENT_REQUEST_DURATION, &labels)
    };

    let template = Some(UrlTemplate("/products/{id}"));
    drop(send(metrics.client_layer(), "https://Stock.example/products/7?secret=1", template).await);
    assert_eq!(count("stock.example", "443", "/products/{id}", "cancelled"), 1);
    drop(send(metrics.client_layer(), "/products/7", None).await);
    assert_eq!(count("from-the-header", "81", "", "cancelled"), 1);
    let response = send(metrics.client_layer().until_headers(), "http://[::1]:8080/", None).await;
    assert_eq!(count("::1", "8080", "", ""), 1, "before the body");
    drop(response);
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), 3);
    assert!(!page.text().contains("secret") && !page.text().contains("products/7"), "{}", page.text());
}

pub(crate) async fn addresses_are_capped_and_the_rest_is_counted(metrics: Metrics) {
    const ADDRESSES: u64 = 1_100;
    const CAP: u64 = 1_000;
    let answer = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let client = metrics.client_layer().layer(answer);
    let call = async |uri: String| {
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        client.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    };
    for index in 0..ADDRESSES {
        call(format!("http://{index}.example/")).await;
    }
    call("http://0.example/".to_owned()).await;
    call(format!("http://{}.example/", "long".repeat(100))).await;

    let page = Page::of(&metrics);
    for metric in [&http::CLIENT_REQUEST_DURATION, &http::CLIENT_ACTIVE_REQUESTS] {
        let dropped = page.number(&library::SERIES_DROPPED, &[(label::METRIC, metric.name)]);
        let expected = ADDRESSES - CAP + 1;
        assert!(dropped.is_some_and(|dropped| dropped >= (expected - 1) as f64), "{}: {dropped:?}", metric.name);
        let series = page.series(metric);
        let others = series.iter().filter(|labels| labels.get(label::SERVER_ADDRESS) == Some(&label::OTHER)).count();
        assert!((1..=2).contains(&others), "{}: {others}", metric.name);
        assert!(series.len() as u64 <= CAP + 2, "{}: {}", metric.name, series.len());
    }
    assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), ADDRESSES + 2, "none is lost");
    assert_eq!(page.sum(&http::CLIENT_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn http_2_and_grpc_channels_are_counted_alike(metrics: Metrics) {
    let server = serve().await;
    let mut calls = Calls::new(&metrics);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let client = metrics.client_layer().layer(client);
    // Several streams of one connection at once.
    let responses = (0..8).map(|_| client.clone().oneshot(request("GET", server, "/chunks")));
    for response in futures_util::future::join_all(responses).await {
        let response = response.expect("an answer");
        assert_eq!(response.version(), Version::HTTP_2);
        response.into_body().collect().await.expect("a body");
    }
    calls.counted_times("streams at once", 8, "GET", server, "200", "");
    // The reset may overtake the headers.
    let (status, error) = match client.clone().oneshot(request("GET", server, "/body/error")).await {
        Ok(response) => {
            assert!(response.into_body().collect().await.is_err());
            ("200", "body_error")
        }
        Err(_) => ("", "request_error"),
    };
    calls.counted("a stream that the server resets", "GET", server, status, error);
    drop(client.clone().oneshot(request("GET", server, "/endless")).await.expect("an answer"));
    calls.counted("a stream that the caller resets", "GET", server, "200", "cancelled");

    let layer = metrics.client_layer().look_into::<tonic::transport::Error>().timeout_is::<tonic::TimeoutExpired>();
    let endpoint = |address: SocketAddr| {
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an endpoint")
    };
    let grpc = |address: SocketAddr, path: &str| {
        Request::post(format!("http://{address}{path}")).body(tonic::body::Body::empty()).expect("a request")
    };
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let mut channel = layer.layer(endpoint(nobody).connect_lazy());
    assert!(channel.ready().await.expect("it is lazy").call(grpc(nobody, "/")).await.is_err());
    calls.counted("nobody listens", "POST", nobody, "", "connect_error");
    let mut channel = layer.layer(endpoint(server).timeout(SHORT).connect_lazy());
    assert!(channel.ready().await.expect("it is lazy").call(grpc(server, "/never")).await.is_err());
    calls.counted("the channel's timeout", "POST", server, "", "timeout");
    let mut channel = layer.layer(endpoint(server).connect_lazy());
    let response = channel.ready().await.expect("it is lazy").call(grpc(server, "/chunks")).await.expect("an answer");
    response.into_body().collect().await.expect("a body");
    calls.counted("answered", "POST", server, "200", "");
}

pub(crate) async fn calls_that_are_cut_anywhere_are_counted_once(metrics: Metrics) {
    const CALLS: u64 = 800;
    const PATHS: [&str; 7] = ["/text", "/chunks", "/status/503", "/nowhere", "/endless", "/never", "/body/error"];
    let server = serve().await;
    let http1 = metrics.client_layer().layer(http1());
    let http2: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let http2 = metrics.client_layer().layer(http2);
    let calls = (0..CALLS).map(|seed| {
        let client = if seed % 2 == 0 { &http1 } else { &http2 };
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let path = PATHS[random.usize(..PATHS.len())];
            let call = async {
                let Ok(response) = client.clone().oneshot(request("GET", server, path)).await else { return };
                let mut body = response.into_body();
                for _ in 0..random.usize(..3) {
                    let _ = body.frame().await;
                }
                if path != "/endless" && random.bool() {
                    let _ = body.collect().await;
                }
            };
            let yields = fastrand::Rng::with_seed(!seed).usize(..100);
            let patience = async {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                // Else a call of no patience would never begin.
                biased;
                () = call => {}
                () = patience => {}
            }
        }
    });
    stream::iter(calls).for_each_concurrent(30, |call| call).await;
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), CALLS, "{}", page.text());
    assert_eq!(page.sum(&http::CLIENT_ACTIVE_REQUESTS), 0.0, "{}", page.text());
    let outcomes: HashSet<&str> = page
        .series(&http::CLIENT_REQUEST_DURATION)
        .into_iter()
        .map(|labels| labels.get(label::ERROR_TYPE).copied().unwrap_or("none"))
        .collect();
    for outcome in ["none", "cancelled", "503", "404"] {
        assert!(outcomes.contains(outcome), "{outcome} did not come to pass: {outcomes:?}");
    }
}

pub(crate) async fn reqwest_is_counted_too(metrics: Metrics) {
    let server = serve().await;
    let mut calls = Calls::new(&metrics);
    let build = |client: reqwest::ClientBuilder| {
        let client = client.no_proxy().build().expect("a client");
        reqwest_middleware::ClientBuilder::new(client).with(metrics.client_layer()).build()
    };
    let client = build(reqwest::Client::builder());
    let url = |path: &str| format!("http://{server}{path}");

    let response = client.get(url("/text")).send().await.expect("an answer");
    assert_eq!((response.url().as_str(), response.content_length()), (url("/text").as_str(), Some(4)));
    assert_eq!(response.remote_addr(), Some(server));
    assert_eq!(response.text().await.expect("a body"), "text");
    calls.counted("answered", "GET", server, "200", "");
    let response = client.get(url("/old")).send().await.expect("an answer");
    assert_eq!(response.url().as_str(), url("/text"), "where it was redirected to");
    assert_eq!(response.text().await.expect("a body"), "text");
    calls.counted("redirected, as one call", "GET", server, "200", "");
    let response = client.head(url("/text")).send().await.expect("an answer");
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "4");
    drop(response);
    calls.counted("HEAD", "HEAD", server, "200", "");
    let response = client.post(url("/text")).body("text").send().await.expect("an answer");
    assert!(response.error_for_status().is_err());
    calls.counted("an error", "POST", server, "405", "405");
    drop(client.get(url("/endless")).send().await.expect("an answer"));
    calls.counted("a body that is dropped", "GET", server, "200", "cancelled");

    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let error = client.get(format!("http://{nobody}/")).send().await.expect_err("nobody listens");
    assert!(error.is_connect());
    calls.counted("nobody listens", "GET", nobody, "", "connect_error");
    let hasty = build(reqwest::Client::builder().timeout(Duration::from_secs(1)));
    assert!(hasty.get(url("/never")).send().await.expect_err("a timeout").is_timeout());
    calls.counted("a timeout", "GET", server, "", "timeout");
    let response = hasty.get(url("/stalling")).send().await.expect("an answer");
    assert!(response.bytes().await.expect_err("a timeout").is_timeout());
    calls.counted("a timeout within the body", "GET", server, "200", "timeout");
    for (answer, status, error) in
        [("", "", "connection_closed"), ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "200", "body_error")]
    {
        let peer = misbehaving(answer).await;
        if let Ok(response) = client.get(format!("http://{peer}/")).send().await {
            assert!(response.bytes().await.is_err());
        }
        calls.counted(answer, "GET", peer, status, error);
    }
    let mut left = Box::pin(client.get(url("/never")).send());
    assert!(left.as_mut().now_or_never().is_none());
    drop(left);
    calls.counted("a call that is dropped", "GET", server, "", "cancelled");

    // What another middleware says is looked into as well.
    let failing = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(metrics.client_layer())
        .with(TimesOut)
        .build();
    assert!(failing.get(url("/text")).send().await.is_err());
    calls.counted("another middleware's timeout", "GET", server, "", "timeout");

    let request = client.get(url("/text")).with_extension(UrlTemplate("/{file}"));
    request.send().await.expect("an answer").bytes().await.expect("a body");
    let page = Page::of(&metrics);
    let series = page.series(&http::CLIENT_REQUEST_DURATION);
    assert!(series.iter().any(|labels| labels.get(label::URL_TEMPLATE) == Some(&"/{file}")), "{}", page.text());
}

/// A middleware whose error is its own.
struct TimesOut;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for TimesOut {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut axum::http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(std::io::Error::from(std::io::ErrorKind::TimedOut)))
    }
}

/// Long enough for a call over loopback to begin.
const SHORT: Duration = Duration::from_millis(50);

type Answer = Result<Response<Body>, Box<dyn Error + Send + Sync>>;

fn http1() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(method: &str, server: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    let uri: Uri = format!("http://{server}{path}").parse().expect("a URI");
    Request::builder().method(method).uri(uri).body(Empty::new()).expect("a request")
}

async fn serve() -> SocketAddr {
    let endless = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let failing = || {
        let failure = stream::once(async { Err(std::io::Error::other("the disk is gone")) });
        Body::from_stream(stream::iter([Ok("some ")]).chain(failure))
    };
    let stalling = || Body::from_stream(stream::iter([Ok::<_, Infallible>("some ")]).chain(stream::pending()));
    let app = Router::new()
        .route("/text", get(|| async { "text" }))
        .route("/chunks", get(|| async { frames() }).post(|| async { frames() }))
        .route("/status/{code}", get(with_status))
        .route("/status/404/endless", get(move || async move { (StatusCode::NOT_FOUND, endless()) }))
        .route("/old", get(|| async { Redirect::to("/text") }))
        .route("/endless", get(move || async move { endless() }))
        .route("/stalling", get(move || async move { stalling() }))
        .route("/events", get(move || async move { ([(header::CONTENT_TYPE, "text/event-stream")], endless()) }))
        .route("/body/error", get(move || async move { failing() }))
        .route("/never", get(pending::<&'static str>).post(pending::<&'static str>));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn with_status(axum::extract::Path(code): axum::extract::Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

/// A body of unknown length.
fn frames() -> Body {
    Body::from_stream(stream::iter(["a", "b", "c"].map(Ok::<_, Infallible>)))
}

/// A server that reads one request, writes this, and closes.
async fn misbehaving(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(answer.as_bytes()).await.expect("it still listens");
    });
    address
}

/// Follows what is counted, call by call.
struct Calls<'a> {
    metrics: &'a Metrics,
    seen: HashMap<Vec<(&'static str, String)>, u64>,
}

impl<'a> Calls<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        Self { metrics, seen: HashMap::new() }
    }

    #[track_caller]
    fn counted(&mut self, name: &str, method: &str, server: SocketAddr, status: &str, error: &str) {
        self.counted_times(name, 1, method, server, status, error);
    }

    /// Holds that these calls were counted with these labels, and nothing else was.
    #[track_caller]
    fn counted_times(&mut self, name: &str, times: u64, method: &str, server: SocketAddr, status: &str, error: &str) {
        let target = (server.ip().to_string(), server.port().to_string());
        self.counted_at(name, times, method, (&target.0, &target.1), status, error);
    }

    #[track_caller]
    fn counted_at(
        &mut self,
        name: &str,
        times: u64,
        method: &str,
        (address, port): (&str, &str),
        status: &str,
        error: &str,
    ) {
        let labels: Vec<(&'static str, String)> = [
            (label::HTTP_REQUEST_METHOD, method),
            (label::SERVER_ADDRESS, address),
            (label::SERVER_PORT, port),
            (label::HTTP_RESPONSE_STATUS_CODE, status),
            (label::ERROR_TYPE, error),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
        let seen = self.seen.entry(labels.clone()).or_default();
        *seen += times;
        let seen = *seen;

        let page = Page::of(self.metrics);
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(page.count(&http::CLIENT_REQUEST_DURATION, &labels), seen, "{name}\n{}", page.text());
        let total: u64 = self.seen.values().sum();
        assert_eq!(page.total(&http::CLIENT_REQUEST_DURATION), total, "{name}: once and no more");
        assert_eq!(page.sum(&http::CLIENT_ACTIVE_REQUESTS), 0.0, "{name}");
    }
}
