//! Request metrics, through a router as a service has it.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{FutureExt, StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use outrigger::Metrics;
use outrigger_semconv::{http, label, library};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::Page;

/// What the client, or the server for it, does with a response.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Reads the body until it says that it has ended; what hyper does.
    Reads,
    /// Drops the body unread.
    Leaves,
    /// Reads one frame and drops the body.
    LeavesAfterAFrame,
    /// Reads to the trailers and drops the body; what HTTP/2 does.
    ReadsToTheTrailers,
    /// Drops the request before there is a response.
    LeavesBeforeTheHeaders,
}

struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    client: Client,
    /// Route, status and error type.
    counted: (&'static str, &'static str, &'static str),
}

const fn case(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    client: Client,
    counted: (&'static str, &'static str, &'static str),
) -> Case {
    Case { name, method, path, client, counted }
}

const CASES: &[Case] = &[
    case("read to the end", "GET", "/items/7", Client::Reads, ("/items/{id}", "200", "")),
    case("another method", "POST", "/items/7", Client::Reads, ("/items/{id}", "405", "")),
    case("no route", "GET", "/nowhere", Client::Reads, ("_unmatched", "404", "")),
    case("HEAD, whose body nobody reads", "HEAD", "/items/7", Client::Leaves, ("/items/{id}", "200", "")),
    case("no content", "GET", "/status/204", Client::Leaves, ("/status/{code}", "204", "")),
    case("not modified", "GET", "/status/304", Client::Leaves, ("/status/{code}", "304", "")),
    case("an empty body", "GET", "/status/200", Client::Leaves, ("/status/{code}", "200", "")),
    case("a client error", "GET", "/status/404", Client::Leaves, ("/status/{code}", "404", "")),
    case("a server error", "GET", "/status/500", Client::Leaves, ("/status/{code}", "500", "500")),
    case("a stream", "GET", "/stream", Client::Reads, ("/stream", "200", "")),
    case("a stream cut short", "GET", "/stream", Client::LeavesAfterAFrame, ("/stream", "200", "cancelled")),
    case("a stream never read", "GET", "/stream", Client::Leaves, ("/stream", "200", "cancelled")),
    case("a failure cut short", "GET", "/stream/503", Client::LeavesAfterAFrame, ("/stream/{status}", "503", "503")),
    // A server stops at the announced length, and drops a body that has not said it is at its end.
    case("all announced bytes", "GET", "/announced", Client::LeavesAfterAFrame, ("/announced", "200", "")),
    case(
        "not all announced bytes",
        "GET",
        "/announced/9",
        Client::LeavesAfterAFrame,
        ("/announced/{n}", "200", "cancelled"),
    ),
    case("fewer bytes than announced", "GET", "/short", Client::Reads, ("/short", "200", "body_error")),
    case("all of it, with trailers", "GET", "/trailers", Client::ReadsToTheTrailers, ("/trailers", "200", "")),
    case("a body that fails", "GET", "/body/error", Client::Reads, ("/body/{how}", "200", "body_error")),
    case("a body that panics", "GET", "/body/panic", Client::Reads, ("/body/{how}", "200", "panic")),
    case("a handler that panics", "GET", "/panic", Client::Reads, ("/panic", "", "panic")),
    case("a handler that never answers", "GET", "/never", Client::LeavesBeforeTheHeaders, ("/never", "", "cancelled")),
    case("an upgrade", "GET", "/status/101", Client::Leaves, ("/status/{code}", "101", "")),
];

pub(crate) async fn outcomes_are_told_apart(metrics: Metrics) {
    let app = app(&metrics);
    for (index, case) in CASES.iter().enumerate() {
        let (route, status, error) = case.counted;
        let labels: Vec<(&str, &str)> = [
            (label::HTTP_REQUEST_METHOD, case.method),
            (label::URL_SCHEME, "http"),
            (label::HTTP_ROUTE, route),
            (label::HTTP_RESPONSE_STATUS_CODE, status),
            (label::ERROR_TYPE, error),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        let before = Page::of(&metrics).count(&http::SERVER_REQUEST_DURATION, &labels);
        // A task of its own, so that a panic ends there as it does in a server.
        let _ = tokio::spawn(send(app.clone(), case)).await;

        let page = Page::of(&metrics);
        let count = page.count(&http::SERVER_REQUEST_DURATION, &labels);
        assert_eq!(count, before + 1, "{}\n{}", case.name, page.text());
        assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), index as u64 + 1, "{}: once and no more", case.name);
        assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0, "{}", case.name);
    }

    // A method that nobody knows is no label of its own.
    for method in ["BREW", "WHEN"] {
        let request = Request::builder().method(method).uri("/items/7").body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("axum answers");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let page = Page::of(&metrics);
    let other = [(label::HTTP_REQUEST_METHOD, label::OTHER_METHOD), (label::URL_SCHEME, "http")];
    assert_eq!(page.number(&http::SERVER_ACTIVE_REQUESTS, &other), Some(0.0));
    let series = page.series(&http::SERVER_REQUEST_DURATION);
    assert_eq!(
        series.iter().filter(|labels| labels.get(label::HTTP_REQUEST_METHOD) == Some(&label::OTHER_METHOD)).count(),
        1
    );

    // What axum never does: a service that fails, or panics before it has a future.
    let layer = metrics.http_layer();
    let failing = layer.layer(service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(io::Error::other("down"))));
    assert!(failing.oneshot(Request::new(Body::empty())).await.is_err());
    let panicking =
        layer.layer(service_fn(|_: Request<Body>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            panic!("on purpose")
        }));
    assert!(tokio::spawn(async move { panicking.oneshot(Request::new(Body::empty())).await.is_ok() }).await.is_err());
    let page = Page::of(&metrics);
    for error in ["service_error", "panic"] {
        let labels = [
            (label::HTTP_REQUEST_METHOD, "GET"),
            (label::URL_SCHEME, "http"),
            (label::HTTP_ROUTE, label::UNMATCHED_ROUTE),
            (label::ERROR_TYPE, error),
        ];
        assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels), 1, "{error}");
    }
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn requests_in_flight_are_seen_while_they_are(metrics: Metrics) {
    let app = app(&metrics);
    let labels = [(label::HTTP_REQUEST_METHOD, "GET"), (label::URL_SCHEME, "http")];
    let active = || Page::of(&metrics).number(&http::SERVER_ACTIVE_REQUESTS, &labels);

    let mut waiting = Box::pin(app.clone().oneshot(get_request("/never")));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(active(), Some(1.0));
    let streaming = app.clone().oneshot(get_request("/stream")).await.expect("axum answers");
    assert_eq!(active(), Some(2.0), "the body is still to come");
    drop(streaming);
    assert_eq!(active(), Some(1.0));
    drop(waiting);
    assert_eq!(active(), Some(0.0));

    // A clone of the router, as each connection has one, writes to the same series.
    for _ in 0..3 {
        send(app.clone(), &CASES[0]).await;
    }
    let page = Page::of(&metrics);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", "/items/{id}", "200")), 3);
}

pub(crate) async fn streams_are_timed_to_their_headers(metrics: Metrics) {
    let events = Router::new()
        .route("/events", get(|| async { ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], frames(3)) }))
        .layer(metrics.http_layer());
    let response = events.oneshot(get_request("/events")).await.expect("axum answers");
    let labels = answered("GET", "/events", "200");
    let page = Page::of(&metrics);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels), 1, "before the stream has ended");
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 1.0, "but it is still there");

    drop(response);
    let page = Page::of(&metrics);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 1, "that it was cut is no failure, and no second request");
    assert_eq!(page.sum(&http::SERVER_ACTIVE_REQUESTS), 0.0);
}

pub(crate) async fn unmatched_paths_make_one_series(metrics: Metrics) {
    let app = app(&metrics);
    for index in 0..500 {
        let response = app.clone().oneshot(get_request(&format!("/wp-admin/{index}"))).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    }
    let page = Page::of(&metrics);
    assert_eq!(page.series(&http::SERVER_REQUEST_DURATION).len(), 1);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", label::UNMATCHED_ROUTE, "404")), 500);
}

pub(crate) async fn routes_are_templates_however_routers_are_put_together(metrics: Metrics) {
    let items = || Router::new().route("/items/{id}", get(|| async { "item" }));
    let layered = items().layer(metrics.http_layer());
    let app: Router = Router::new()
        .merge(items())
        .nest("/nested", items())
        .layer(metrics.http_layer())
        // Each sees its own requests, and so a route without the layer of the outer one.
        .nest("/inner", layered.clone())
        .nest_service("/service", layered);
    for path in ["/items/1", "/nested/items/2", "/inner/items/3", "/service/items/4", "/service/items/5"] {
        let response = app.clone().oneshot(get_request(path)).await.expect("axum answers");
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "item", "{path}");
    }
    let page = Page::of(&metrics);
    let counts = [("/items/{id}", 1), ("/nested/items/{id}", 1), ("/inner/items/{id}", 1), ("/service/items/{id}", 2)];
    for (route, count) in counts {
        let labels = answered("GET", route, "200");
        assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &labels), count, "{route}\n{}", page.text());
    }
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), 5);
}

pub(crate) async fn series_are_capped_and_the_rest_is_counted(metrics: Metrics) {
    const ROUTES: u64 = 1_100;
    const CAP: u64 = 1_000;
    let routes = (0..ROUTES).fold(Router::new(), |router, index| {
        router.route(&format!("/{index}"), get(|| async { "here" }).post(|| async { "there" }))
    });
    let app = routes.layer(metrics.http_layer());
    let ask = async |method: Method, index: u64| {
        let request =
            Request::builder().method(method).uri(format!("/{index}")).body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("axum answers");
        response.into_body().collect().await.expect("a body");
    };
    for index in 0..ROUTES {
        ask(Method::GET, index).await;
    }
    // A route that is known, but a series that is not.
    ask(Method::POST, 0).await;

    let page = Page::of(&metrics);
    let dropped = [(label::METRIC, http::SERVER_REQUEST_DURATION.name)];
    assert_eq!(page.number(&library::SERIES_DROPPED, &dropped), Some((ROUTES - CAP + 1) as f64));
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("GET", label::OTHER, "200")), ROUTES - CAP);
    assert_eq!(page.count(&http::SERVER_REQUEST_DURATION, &answered("POST", label::OTHER, "200")), 1);
    assert_eq!(page.series(&http::SERVER_REQUEST_DURATION).len() as u64, CAP + 2);
    assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), ROUTES + 1, "none is lost");
}

fn app(metrics: &Metrics) -> Router {
    Router::new()
        .route("/items/{id}", get(|| async { "an item" }))
        .route("/status/{code}", get(with_status))
        .route("/stream", get(|| async { frames(3) }))
        .route("/stream/{status}", get(async || (StatusCode::SERVICE_UNAVAILABLE, frames(3))))
        .route("/announced", get(|| async { ([(header::CONTENT_LENGTH, "5")], EndlessBody::default()) }))
        .route("/announced/{n}", get(|| async { ([(header::CONTENT_LENGTH, "9")], EndlessBody::default()) }))
        .route("/short", get(|| async { ([(header::CONTENT_LENGTH, "16")], frames(3)) }))
        .route("/trailers", get(|| async { with_trailers() }))
        .route("/body/{how}", get(with_bad_body))
        .route("/panic", get(|| async { panic!("on purpose") as &'static str }))
        .route("/never", get(|| async { pending::<&'static str>().await }))
        .layer(metrics.http_layer())
}

async fn with_status(axum::extract::Path(code): axum::extract::Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

async fn with_bad_body(axum::extract::Path(how): axum::extract::Path<String>) -> Body {
    let bad = stream::once(async move {
        if how == "panic" {
            panic!("on purpose")
        }
        Err(io::Error::other("the disk is gone"))
    });
    Body::from_stream(stream::iter([Ok(Bytes::from("some "))]).chain(bad))
}

/// A body of unknown length.
pub(crate) fn frames(count: usize) -> Body {
    Body::from_stream(stream::iter((0..count).map(|_| Ok::<_, Infallible>("frame"))))
}

/// A body that does not say that it has ended, but its trailers do.
fn with_trailers() -> Body {
    let frames = [Frame::data(Bytes::from("data")), Frame::trailers(HeaderMap::new())];
    Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)).chain(stream::pending())))
}

/// Gives five bytes, then waits for ever; never says that it has ended.
#[derive(Default)]
struct EndlessBody {
    given: bool,
}

impl http_body::Body for EndlessBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.given, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from("bytes")))))
    }
}

impl IntoResponse for EndlessBody {
    fn into_response(self) -> axum::response::Response {
        Response::new(Body::new(self))
    }
}

async fn send(app: Router, case: &Case) {
    let request = Request::builder().method(case.method).uri(case.path).body(Body::empty()).expect("a request");
    let response = app.oneshot(request);
    if let Client::LeavesBeforeTheHeaders = case.client {
        assert!(response.now_or_never().is_none());
        return;
    }
    let mut body = response.await.expect("axum answers").into_body();
    match case.client {
        Client::Reads => {
            while let (false, Some(Ok(_))) = (http_body::Body::is_end_stream(&body), body.frame().await) {}
        }
        Client::LeavesAfterAFrame => assert!(body.frame().await.is_some()),
        Client::ReadsToTheTrailers => {
            while body.frame().await.expect("there are trailers").expect("no error").is_data() {}
        }
        Client::Leaves | Client::LeavesBeforeTheHeaders => {}
    }
}

pub(crate) fn get_request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).expect("a request")
}

pub(crate) fn answered(
    method: &'static str,
    route: &'static str,
    status: &'static str,
) -> Vec<(&'static str, &'static str)> {
    vec![
        (label::HTTP_REQUEST_METHOD, method),
        (label::URL_SCHEME, "http"),
        (label::HTTP_ROUTE, route),
        (label::HTTP_RESPONSE_STATUS_CODE, status),
    ]
}
