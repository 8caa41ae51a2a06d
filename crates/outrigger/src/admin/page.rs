//! `/metrics`: the page, compressed for those who like it so.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::body::Unsent;
use crate::Metrics;

pub(super) fn routes() -> Router<Metrics> {
    // gzip alone, by flate2 in Rust: nothing to compile in C. The fastest: a page is read once, a few metres away, and repeats itself so much that this is most of the gain.
    let compression = CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest);
    Router::new().route("/metrics", get(page).layer(compression))
}

async fn page(State(metrics): State<Metrics>, method: Method) -> Response {
    let head = method == Method::HEAD;
    match metrics.page() {
        None => (StatusCode::SERVICE_UNAVAILABLE, NO_PAGE).into_response(),
        Some(_) if head => typed(TEXT, Body::new(Unsent)),
        Some(render) => {
            let render = Arc::clone(render);
            // A page of many thousand series takes tens of milliseconds: too long for a thread that answers requests.
            match tokio::task::spawn_blocking(move || render()).await {
                Ok(page) => typed(TEXT, page.into()),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the metrics page could not be rendered");
                    (StatusCode::INTERNAL_SERVER_ERROR, NOT_RENDERED).into_response()
                }
            }
        }
    }
}

fn typed(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const NO_PAGE: &str = "these metrics have no page: use the Metrics that outrigger::install() returns, \
    or say how the page is made with Metrics::with_page\n";
const NOT_RENDERED: &str = "the page could not be rendered: see the service's log\n";
