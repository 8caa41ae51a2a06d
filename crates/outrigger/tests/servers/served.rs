//! A service under test, and what its page has to say.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use outrigger::Metrics;
use outrigger_semconv::{http, label};
use tokio::net::TcpListener;

use crate::support::{Page, wait_for_page};

/// A service that answers on loopback, and its metrics.
pub(crate) struct Served {
    pub(crate) metrics: Metrics,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Behind axum's own server.
    pub(crate) async fn by_axum(metrics: Metrics, app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { metrics, address }
    }

    /// Waits until so many requests are in flight.
    pub(crate) async fn in_flight(&self, requests: u32) {
        let wanted = f64::from(requests);
        wait_for_page(&self.metrics, "they are in flight", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == wanted)
            .await;
    }

    /// Waits until requests are counted with exactly these labels so many times.
    pub(crate) async fn counted(&self, what: &str, labels: &Labels, times: u64) {
        let labels: Vec<(&str, &str)> = labels.0.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let what = format!("{what}: {labels:?} {times}");
        let count = |page: &Page| page.count(&http::SERVER_REQUEST_DURATION, &labels);
        let page = wait_for_page(&self.metrics, &what, |page| count(page) >= times).await;
        assert_eq!(count(&page), times, "{what}\n{}", page.text());
    }

    /// Waits until nothing is in flight, and holds that so many requests were counted in all.
    pub(crate) async fn ended(&self, total: u64) {
        wait_for_page(&self.metrics, "nothing is in flight", |page| page.sum(&http::SERVER_ACTIVE_REQUESTS) == 0.0)
            .await;
        // The next page: on that one, a series that was made while it was written is missing.
        let page = Page::of(&self.metrics);
        assert_eq!(page.total(&http::SERVER_REQUEST_DURATION), total, "{}", page.text());
    }
}

/// The labels of a request.
#[derive(Clone)]
pub(crate) struct Labels(Vec<(&'static str, String)>);

impl Labels {
    pub(crate) fn of(method: &str, route: &str) -> Self {
        Self(vec![])
            .with(label::HTTP_REQUEST_METHOD, method)
            .with(label::URL_SCHEME, "http")
            .with(label::HTTP_ROUTE, route)
    }

    pub(crate) fn status(self, status: &str) -> Self {
        self.with(label::HTTP_RESPONSE_STATUS_CODE, status)
    }

    pub(crate) fn error(self, error: &str) -> Self {
        self.with(label::ERROR_TYPE, error)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, value.to_owned()));
        self
    }
}

/// Routes with every kind of answer, without the layer.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/text", get(|| async { "text" }))
        .route("/chunks", get(|| async { Body::from_stream(stream::iter(["a", "b"].map(Ok::<_, Infallible>))) }))
        .route("/file", get(file))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/refuse", post(|| async { StatusCode::PAYLOAD_TOO_LARGE }))
        .route("/endless", get(|| async { endless() }))
        .route("/aborted", get(|| async { aborted() }))
        .route("/events", get(|| async { ([(header::CONTENT_TYPE, "text/event-stream")], endless()) }))
        .route("/never", get(pending::<&'static str>))
        .route("/panic", get(|| async { panic!("on purpose") as &'static str }))
}

/// As file servers answer: a length in the headers, and a body that does not know its own.
async fn file() -> impl IntoResponse {
    let body = Body::from_stream(stream::iter(["fi", "le"].map(Ok::<_, Infallible>)));
    ([(header::CONTENT_LENGTH, "4")], body)
}

/// Says something, and then nothing more, without an end. Whether the client is there is the server's to see.
pub(crate) fn endless() -> Body {
    Body::from_stream(stream::iter([Ok::<_, Infallible>("tick")]).chain(stream::pending()))
}

fn aborted() -> Body {
    let failure = stream::once(async { Err(std::io::Error::other("the disk is gone")) });
    Body::from_stream(stream::iter([Ok("some ")]).chain(failure))
}
