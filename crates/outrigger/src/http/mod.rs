//! Request metrics as a [`tower`] layer: how many, how long, with which outcome, and how many right now.
//!
//! ```
//! use axum::{Router, routing::get};
//! use outrigger::Metrics;
//!
//! let app: Router = Router::new()
//!     .route("/products/{id}", get(|| async { "a paddle" }))
//!     .layer(Metrics::global().http_layer()); // last: routes and fallbacks added later are not seen
//! # let _ = app;
//! ```
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `http_server_request_duration_seconds` | histogram | `http_request_method`, `url_scheme`, `http_route`, `http_response_status_code`, `error_type` on failure |
//! | `http_server_active_requests` | gauge | `http_request_method`, `url_scheme` |
//!
//! `http_route` is the template that axum matched (`/products/{id}`), never the path that a client sent; a request
//! that no route matched counts as `_unmatched`, and an unknown method as `_OTHER`. There is no `Host` label.
//! `url_scheme` is the request URI's; where it has none, as in HTTP/1, it is `http`, or what [`HttpMetricsLayer::https`]
//! says.
//!
//! # When a request has ended
//!
//! At the end of the response body. Each request counts once, however it ends:
//!
//! | ending | `http_response_status_code` | `error_type` |
//! |---|---|---|
//! | answered | the code | none; for 5xx the code |
//! | the client left, or a timeout outside this layer dropped the request, before the headers | none | `cancelled` |
//! | the same within the body | the code | `cancelled` |
//! | the body failed | the code | `body_error` |
//! | the handler or the body panicked | none, or the code if it was sent | `panic` |
//! | the inner service failed without a response | none | `service_error` |
//!
//! A 5xx that is cut short keeps its code as `error_type`. With tower-http's `CatchPanic` inside this layer, a panic
//! is seen as the 500 that it becomes. Server-sent events and upgrades are timed to their headers, since their length
//! says nothing about the service; [`HttpMetricsLayer::until_headers`] asks for the same everywhere. A stream of events
//! counts as active until it ends.
//!
//! # Limits
//!
//! 1,000 label sets per [`Metrics`]; the rest goes to the route `_other` and is counted in
//! `outrigger_series_dropped_total`. Behind `nest_service`, or wrapped round a router from outside, the layer sees no
//! template and says `_unmatched`: add it with `Router::layer`.
//!
//! [`tower`]: https://docs.rs/tower

mod body;
mod future;
mod in_flight;
mod labels;

use std::task::{Context, Poll};

use ::http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::ResponseBody;
pub use self::future::ResponseFuture;
pub(crate) use self::in_flight::Series;

use self::in_flight::InFlight;
use self::labels::Scheme;
use crate::Metrics;

/// Adds request metrics to a service. See the [module](self) for what they say.
#[derive(Clone, Debug)]
pub struct HttpMetricsLayer {
    metrics: Metrics,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    until_headers: bool,
    unknown_scheme: Scheme,
}

impl HttpMetricsLayer {
    /// A layer that writes to these metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), settings: Settings { until_headers: false, unknown_scheme: Scheme::Http } }
    }

    /// Stops the clock at the response's headers instead of the end of its body.
    ///
    /// Defaults to the end of the body, save for server-sent events and upgrades.
    #[must_use]
    pub fn until_headers(mut self) -> Self {
        self.settings.until_headers = true;
        self
    }

    /// Says that requests whose URI has no scheme came over TLS.
    ///
    /// Defaults to `http`. Forwarding headers are not read: a client can write them.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.settings.unknown_scheme = Scheme::Https;
        self
    }
}

impl Default for HttpMetricsLayer {
    fn default() -> Self {
        Self::new(&Metrics::global())
    }
}

impl<S> Layer<S> for HttpMetricsLayer {
    type Service = HttpMetrics<S>;

    fn layer(&self, inner: S) -> HttpMetrics<S> {
        HttpMetrics { inner, metrics: self.metrics.clone(), settings: self.settings }
    }
}

/// The service that [`HttpMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct HttpMetrics<S> {
    inner: S,
    metrics: Metrics,
    settings: Settings,
}

impl<S, B, R> Service<Request<B>> for HttpMetrics<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The matched route is on the request only: it must be read before the inner service takes it.
        let mut in_flight = InFlight::start(&self.metrics, self.settings.unknown_scheme, &request);
        let inner = in_flight.watch(|| self.inner.call(request));
        ResponseFuture::new(inner, in_flight, self.settings.until_headers)
    }
}

impl Metrics {
    /// A layer that adds request metrics to a router; shorthand for [`HttpMetricsLayer::new`].
    #[must_use]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        HttpMetricsLayer::new(self)
    }
}
