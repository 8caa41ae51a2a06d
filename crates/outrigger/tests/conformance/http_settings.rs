//! What the settings of the HTTP layer do.

use std::io;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use outrigger::Metrics;
use outrigger::http::{HttpMetricsLayer, Naming, RequestLabel};
use outrigger_semconv::{Metric, classic, http, label};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::http::{answered, frames, get_request};
use crate::log::Log;
use crate::support::Page;

pub(crate) async fn until_headers_and_scheme(metrics: Metrics) {
    let routes = || Router::new().route("/stream", get(|| async { frames(3) }));
    let https = routes().layer(metrics.http_layer().https().until_headers());
    let http = routes().layer(metrics.http_layer().until_headers());
    let labels = |scheme| {
        let mut labels = answered("GET", "/stream", "200");
        labels[1] = (label::URL_SCHEME, scheme);
        labels
    };
    let response = https.clone().oneshot(get_request("/stream")).await;
    let page = Page::of(&metrics);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels("https")), 1, "before the body");
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0, "which is not watched");
    drop(response);

    // What the request says of itself goes before what the layer was told.
    let absolute = Request::builder().uri("http://shop.example/stream").body(Body::empty()).expect("a request");
    drop(https.oneshot(absolute).await);
    let absolute = Request::builder().uri("https://shop.example/stream").body(Body::empty()).expect("a request");
    drop(http.clone().oneshot(absolute).await);
    let odd = Request::builder().uri("ftp://shop.example/stream").body(Body::empty()).expect("a request");
    drop(http.oneshot(odd).await);
    let page = Page::of(&metrics);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels("http")), 2);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels("https")), 2);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 4);

    // Outcomes before the headers are told apart here too.
    let layer = metrics.http_layer().until_headers();
    let failing = layer.layer(service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(io::Error::other("down"))));
    assert!(failing.oneshot(get_request("/")).await.is_err());
    // Before there is a future, and within it.
    let at_once = layer.layer(service_fn(|_: Request<Body>| -> std::future::Ready<io::Result<Response<Body>>> {
        panic!("on purpose")
    }));
    assert!(tokio::spawn(async move { at_once.oneshot(get_request("/")).await.is_ok() }).await.is_err());
    let later =
        layer.layer(service_fn(async |_: Request<Body>| -> io::Result<Response<Body>> { panic!("on purpose") }));
    assert!(tokio::spawn(later.oneshot(get_request("/"))).await.is_err());
    let never =
        layer.layer(service_fn(async |_: Request<Body>| std::future::pending::<io::Result<Response<Body>>>().await));
    assert!(futures_util::FutureExt::now_or_never(never.oneshot(get_request("/"))).is_none());
    let page = Page::of(&metrics);
    for (error, count) in [("service_error", 1), ("panic", 2), ("cancelled", 1)] {
        let labels = [
            (label::HTTP_REQUEST_METHOD, "GET"),
            (label::URL_SCHEME, "http"),
            (label::HTTP_ROUTE, label::UNMATCHED_ROUTE),
            (label::ERROR_TYPE, error),
        ];
        assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels), count, "{error}");
    }
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn body_sizes_are_what_was_sent(metrics: Metrics) {
    let app = Router::new()
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
        .route("/ignored", post(async || StatusCode::NO_CONTENT))
        .route("/page", get(async || "x".repeat(1000)))
        .route("/stream", get(|| async { frames(3) }))
        .layer(metrics.http_layer().body_sizes());
    let ask = async |method: Method, path: &str, body: Body, frames_read: usize| {
        let request = Request::builder().method(method).uri(path).body(body).expect("a request");
        let mut body = app.clone().oneshot(request).await.expect("axum answers").into_body();
        for _ in 0..frames_read {
            if !matches!(body.frame().await, Some(Ok(_))) {
                break;
            }
        }
    };
    let size = |metric: &Metric, method, route, status, error: Option<&'static str>| {
        let mut labels = answered(method, route, status);
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        let page = Page::of(&metrics);
        let histogram = page.histogram(metric, &labels);
        histogram.map(|histogram| (histogram.count(), histogram.sum.unwrap_or_default()))
    };
    let (request, response) = (&http::SERVER_REQUEST_BODY_SIZE, &http::SERVER_RESPONSE_BODY_SIZE);

    ask(Method::POST, "/upload", Body::from("12345"), usize::MAX).await;
    assert_eq!(size(request, "POST", "/upload", "200", None), Some((1, 5.0)), "announced");
    assert_eq!(size(response, "POST", "/upload", "200", None), Some((1, 1.0)));
    ask(Method::POST, "/upload", frames(4), usize::MAX).await;
    assert_eq!(size(request, "POST", "/upload", "200", None), Some((2, 25.0)), "four chunks of five");
    ask(Method::POST, "/ignored", frames(4), usize::MAX).await;
    assert_eq!(size(request, "POST", "/ignored", "204", None), Some((1, 0.0)), "nobody read it");
    assert_eq!(size(response, "POST", "/ignored", "204", None), Some((1, 0.0)));

    ask(Method::GET, "/page", Body::empty(), usize::MAX).await;
    assert_eq!(size(response, "GET", "/page", "200", None), Some((1, 1000.0)));
    assert_eq!(size(request, "GET", "/page", "200", None), Some((1, 0.0)));
    ask(Method::HEAD, "/page", Body::empty(), usize::MAX).await;
    assert_eq!(size(response, "HEAD", "/page", "200", None), Some((1, 0.0)), "nothing is sent");
    ask(Method::GET, "/stream", Body::empty(), usize::MAX).await;
    assert_eq!(size(response, "GET", "/stream", "200", None), Some((1, 15.0)));
    ask(Method::GET, "/stream", Body::empty(), 2).await;
    assert_eq!(
        size(response, "GET", "/stream", "200", Some("cancelled")),
        Some((1, 10.0)),
        "what left before the client"
    );

    // No size where the body says nothing, is not watched, or never came.
    let unsized_answers = Router::new()
        .route("/events", get(|| async { ([(header::CONTENT_TYPE, "text/event-stream")], frames(3)) }))
        .route("/never", get(|| async { std::future::pending::<()>().await }));
    let watched = unsized_answers.clone().layer(metrics.http_layer().body_sizes());
    let unwatched = Router::new()
        .route("/headers", get(|| async { "headers" }))
        .layer(metrics.http_layer().body_sizes().until_headers());
    for (app, path) in [(&watched, "/events"), (&unwatched, "/headers")] {
        let answer = app.clone().oneshot(get_request(path)).await.expect("axum answers");
        answer.into_body().collect().await.expect("a body");
        assert!(size(response, "GET", path, "200", None).is_none_or(|(count, _)| count == 0), "{path}");
        assert_eq!(Page::of(&metrics).count(&http::SERVER_REQUEST_DURATION, &answered("GET", path, "200")), 1);
    }
    let before = Page::of(&metrics).total(response);
    assert!(futures_util::FutureExt::now_or_never(watched.oneshot(get_request("/never"))).is_none());
    assert_eq!(Page::of(&metrics).total(response), before);

    // A body that has no room for a counter.
    let bare = metrics.http_layer().body_sizes().layer(service_fn(async |request: Request<StreamBody<_>>| {
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        body.map(|bytes| Response::new(Body::from(bytes)))
    }));
    let chunks = stream::iter([Ok::<_, io::Error>(Frame::data(Bytes::from("abc")))]);
    let answer = bare.oneshot(Request::new(StreamBody::new(chunks))).await.expect("it answers");
    answer.into_body().collect().await.expect("a body");
    assert!(size(request, "GET", label::UNMATCHED_ROUTE, "200", None).is_none_or(|(count, _)| count == 0));
    assert_eq!(size(response, "GET", label::UNMATCHED_ROUTE, "200", None), Some((1, 3.0)));
}

pub(crate) async fn the_first_byte_is_timed(metrics: Metrics) {
    let app =
        Router::new().route("/stream", get(|| async { frames(3) })).layer(metrics.http_layer().time_to_first_byte());
    let labels = answered("GET", "/stream", "200");
    let response = app.oneshot(get_request("/stream")).await.expect("axum answers");
    // Only real time moves the layer's clock.
    let body_begins = Instant::now() + Duration::from_millis(1);
    while Instant::now() < body_begins {}
    response.into_body().collect().await.expect("a body");
    let page = Page::of(&metrics);
    let sum = |metric| page.histogram(metric, &labels).and_then(|histogram| histogram.sum).expect("it was timed");
    let (first_byte, whole) = (sum(&http::SERVER_REQUEST_TIME_TO_FIRST_BYTE), sum(&http::SERVER_REQUEST_DURATION));
    assert!(first_byte >= 0.0 && whole - first_byte >= 0.001, "{first_byte} {whole}");
    assert_eq!(page.total(&http::SERVER_REQUEST_TIME_TO_FIRST_BYTE), 1);
}

pub(crate) async fn classes_of_status(metrics: Metrics) {
    let app = Router::new().route("/{code}", get(with_status)).layer(metrics.http_layer().group_status());
    for path in ["/200", "/201", "/404", "/503"] {
        let response = app.clone().oneshot(get_request(path)).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }
    let page = Page::of(&metrics);
    let count = |status, error: Option<&'static str>| {
        let mut labels = answered("GET", "/{code}", status);
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        page.count(&http::SERVER_REQUEST_DURATION, &labels)
    };
    assert_eq!((count("2xx", None), count("4xx", None), count("5xx", Some("5xx"))), (2, 1, 1));
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 4);
}

pub(crate) async fn classic_names(metrics: Metrics) {
    let app = |naming| {
        Router::new()
            .route("/items/{id}", get(|| async { "an item" }))
            .route("/never", get(|| async { std::future::pending::<()>().await }))
            .layer(metrics.http_layer().naming(naming))
    };
    let (classic, both) = (app(Naming::Classic), app(Naming::Both));
    let waiting = tokio::spawn(classic.clone().oneshot(get_request("/never")));
    tokio::task::yield_now().await;
    assert_eq!(Page::of(&metrics).number(&classic::ACTIVE_CONNECTIONS, &[]), Some(1.0));
    waiting.abort();
    assert!(waiting.await.is_err());
    for app in [classic, both] {
        let response = app.oneshot(get_request("/items/1")).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }

    let page = Page::of(&metrics);
    let labels = |endpoint, status| [(label::METHOD, "GET"), (label::ENDPOINT, endpoint), (label::STATUS, status)];
    for (endpoint, status, count) in [("/items/{id}", "200", 2), ("/never", "499", 1)] {
        let labels = labels(endpoint, status);
        assert_eq!(page.count(&classic::HTTP_REQUEST_DURATION, &labels), count, "{endpoint}");
        assert_eq!(page.number(&classic::HTTP_REQUESTS, &labels), Some(count as f64), "{endpoint}");
    }
    assert_eq!(page.number(&classic::ACTIVE_CONNECTIONS, &[]), Some(0.0));
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 1, "of the layer with both");
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn skipped_routes_leave_nothing(metrics: Metrics) {
    let app = Router::new()
        .route("/healthz", get(|| async { "well" }))
        .route("/items/{id}", get(|| async { "an item" }))
        .layer(metrics.http_layer().skip(["/healthz", "/favicon.ico"]));
    for path in ["/healthz", "/favicon.ico", "/items/1", "/healthz", "/elsewhere"] {
        let response = app.clone().oneshot(get_request(path)).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 2);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", "/items/{id}", "200")), 1);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", label::UNMATCHED_ROUTE, "404")), 1);
}

#[derive(Clone, Copy)]
enum Tier {
    Free,
    Paid,
    /// Not among the values.
    Unheard,
}

impl RequestLabel for Tier {
    const NAME: &'static str = "customer_tier";
    const VALUES: &'static [&'static str] = &["free", "paid"];

    fn index(&self) -> usize {
        *self as usize
    }
}

pub(crate) async fn labels_of_ones_own(metrics: Metrics) {
    let app = Router::new()
        .route("/paid", get(|| async { (Extension(Tier::Paid), "a report") }))
        .route("/plain", get(|| async { "a report" }))
        .layer(metrics.http_layer().label::<Tier>());
    let ask = async |path: &str, tier: Option<Tier>| {
        let mut request = get_request(path);
        tier.map(|tier| request.extensions_mut().insert(tier));
        let response = app.clone().oneshot(request).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    };
    ask("/plain", None).await;
    ask("/plain", Some(Tier::Free)).await;
    ask("/plain", Some(Tier::Unheard)).await;
    ask("/paid", Some(Tier::Free)).await; // what the response says goes before
    ask("/paid", None).await;

    // Not held against the catalogue, which does not know the label.
    let page = Page::read(metrics.render().expect("these metrics have a page"));
    let count = |route, tier: Option<&'static str>| {
        let mut labels = answered("GET", route, "200");
        labels.extend(tier.map(|tier| ("customer_tier", tier)));
        page.count(&http::SERVER_REQUEST_DURATION, &labels)
    };
    assert_eq!(count("/plain", None), 1);
    assert_eq!(count("/plain", Some("free")), 1);
    assert_eq!(count("/plain", Some("_other")), 1);
    assert_eq!(count("/paid", Some("paid")), 2);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 5);
}

pub(crate) async fn routes_of_ones_own(metrics: Metrics) {
    // More routes than a place finds by itself, in turn, so that each is met again.
    const ROUTES: [&str; 12] = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l"];
    let layer =
        metrics.http_layer().route_with(|_, uri| ROUTES.iter().find(|route| uri.path().starts_with(**route)).copied());
    let service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(async |_: Request<Body>| Ok::<_, io::Error>(Response::new(Body::from("here")))));
    for _ in 0..3 {
        for route in ROUTES.iter().chain(&["/elsewhere"; 2]).map(|route| format!("{route}/{}", 7)) {
            let request = Request::builder().uri(route).body(Body::empty()).expect("a request");
            let response = service.clone().oneshot(request).await.expect("it answers");
            response.into_body().collect().await.expect("a body");
        }
    }
    let page = Page::of(&metrics);
    for route in ROUTES.iter().filter(|route| **route != "/e") {
        assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", route, "200")), 3, "{route}");
    }
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", "/e", "200")), 9);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 42);
}

pub(crate) async fn grpc_statuses_are_outcomes(metrics: Metrics) {
    let answer = |content_type: &'static str, head: Option<&'static str>, trailers: Option<&'static str>| {
        let mut response = match trailers {
            Some(status) => {
                let mut map = HeaderMap::new();
                map.insert("grpc-status", status.parse().expect("a header"));
                let frames = [Ok::<_, io::Error>(Frame::data(Bytes::from("message"))), Ok(Frame::trailers(map))];
                Body::new(StreamBody::new(stream::iter(frames))).into_response()
            }
            None => Body::empty().into_response(),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
        if let Some(status) = head {
            response.headers_mut().insert("grpc-status", status.parse().expect("a header"));
        }
        response
    };
    const GRPC: &str = "application/grpc+proto";
    type Case = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>, Option<&'static str>);
    let cases: [Case; 7] = [
        (GRPC, None, Some("0"), Some("0"), None),
        (GRPC, None, Some("5"), Some("5"), None),
        (GRPC, None, Some("14"), Some("14"), Some("UNAVAILABLE")),
        (GRPC, Some("12"), None, Some("12"), Some("UNIMPLEMENTED")),
        (GRPC, None, Some("no number"), Some("2"), Some("UNKNOWN")),
        (GRPC, None, None, None, None),
        ("application/json", None, Some("14"), None, None),
    ];
    let layer: HttpMetricsLayer = metrics.http_layer().route_with(|_, _| Some("/greeter/hello"));
    for (content_type, head, trailers, status, error) in cases {
        let mut labels = answered("POST", "/greeter/hello", "200");
        labels.extend(status.map(|status| (label::RPC_GRPC_STATUS_CODE, status)));
        labels.extend(error.map(|error| (label::ERROR_TYPE, error)));
        let before = Page::of(&metrics).count(&http::SERVER_REQUEST_DURATION, &labels);
        let service =
            layer.layer(service_fn(async |_: Request<Body>| Ok::<_, io::Error>(answer(content_type, head, trailers))));
        let request = Request::builder().method("POST").version(Version::HTTP_2).uri("/hello").body(Body::empty());
        let response = service.oneshot(request.expect("a request")).await.expect("it answers");
        response.into_body().collect().await.expect("a body");
        let page = Page::of(&metrics);
        assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels), before + 1, "{labels:?}\n{}", page.text());
    }
    assert_eq!(Page::of(&metrics).total(&http::SERVER_REQUEST_DURATION), cases.len() as u64);
}

pub(crate) async fn slow_requests_are_logged(metrics: Metrics) {
    let app = |threshold: Option<Duration>| {
        Router::new().route("/{code}", get(with_status)).layer(metrics.http_layer().slow_requests(threshold))
    };
    let (log, _kept) = Log::here();
    for threshold in [None, Some(Duration::from_secs(3600)), Some(Duration::ZERO)] {
        let response = app(threshold).oneshot(get_request("/503")).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }
    let text = log.text();
    let lines: Vec<&str> = text.lines().collect();
    let [line] = lines.as_slice() else { panic!("{text}") };
    for part in ["WARN", "outrigger::http", "slow request", "GET", "/{code}", "503", "seconds="] {
        assert!(line.contains(part), "{part} in {line}");
    }

    let app = app(Some(Duration::ZERO));
    for _ in 0..30 {
        let response = app.clone().oneshot(get_request("/200")).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }
    // Thirty requests within two windows of a second, at most.
    let lines = log.text().lines().count();
    assert!((11..=21).contains(&lines), "{lines}");
}

async fn with_status(axum::extract::Path(code): axum::extract::Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}
