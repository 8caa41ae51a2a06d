//! `/metrics`: the page, in the format that its reader likes best, sent as it is made.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

#[cfg(feature = "recorder")]
use super::body::Pieces;
use super::body::Unsent;
use crate::Metrics;
use crate::metrics::Page;

pub(super) fn routes() -> Router<Metrics> {
    // gzip alone, by flate2 in Rust: nothing to compile in C. At its fastest: a page is read once, a few metres away,
    // and repeats itself so much that this is most of the gain.
    let compression = CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest);
    Router::new().route("/metrics", get(page).layer(compression))
}

async fn page(
    State(metrics): State<Metrics>,
    method: Method,
    #[cfg_attr(not(feature = "recorder"), allow(unused_variables, reason = "there is one format then"))]
    headers: HeaderMap,
) -> Response {
    let head = method == Method::HEAD;
    match metrics.page() {
        None => (StatusCode::SERVICE_UNAVAILABLE, NO_PAGE).into_response(),
        Some(Page::Text(_)) if head => typed(TEXT, Body::new(Unsent)),
        Some(Page::Text(render)) => {
            let render = render.clone();
            // A page of many thousand series takes tens of milliseconds.
            match made(move || render()).await {
                Ok(page) => typed(TEXT, page.into()),
                Err(not_made) => not_made,
            }
        }
        #[cfg(feature = "recorder")]
        Some(Page::Recorder(recorder)) => {
            let format = outrigger_recorder::PageFormat::from_accept(&accept(&headers));
            let recorder = recorder.clone();
            // All collectors run before the first piece, the service's own too.
            let body = match head {
                true => Ok(Body::new(Unsent)),
                false => made(move || recorder.page(format)).await.map(|page| Body::new(Pieces::new(page))),
            };
            let mut response = match body {
                Ok(body) => typed(format.content_type(), body),
                Err(not_made) => return not_made,
            };
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
            response
        }
    }
}

/// Makes a page away from the threads that answer requests; what makes it may block, and may panic.
async fn made<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(make).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the metrics page could not be rendered");
        (StatusCode::INTERNAL_SERVER_ERROR, NOT_RENDERED).into_response()
    })
}

/// All `Accept` headers as one.
#[cfg(feature = "recorder")]
fn accept(headers: &HeaderMap) -> String {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

fn typed(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const NO_PAGE: &str = "these metrics have no page: use the Metrics that outrigger::install() returns, \
    or say how the page is made with Metrics::with_page\n";
const NOT_RENDERED: &str = "the page could not be rendered: see the service's log\n";
