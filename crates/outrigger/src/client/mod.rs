//! Metrics of the HTTP calls that a service makes, as a [`tower`] layer and as a middleware of reqwest: how many, how
//! long, to whom, with which outcome, and how many right now.
//!
//! ```
//! use http_body_util::Empty;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use outrigger::{Metrics, client::UrlTemplate};
//! use tower::{Layer, ServiceExt};
//!
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
//! let client = Metrics::global().client_layer().layer(client);
//!
//! let request = http::Request::get("http://stock.example/products/7")
//!     .extension(UrlTemplate("/products/{id}")) // optional: tells one kind of call from another
//!     .body(Empty::new())?;
//! let response = client.oneshot(request).await?;
//! # let _ = response; Ok(()) }
//! ```
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `http_client_request_duration_seconds` | histogram | `http_request_method`, `server_address`, `server_port`, `url_template` if given, `http_response_status_code`, `error_type` on failure |
//! | `http_client_active_requests` | gauge | `http_request_method`, `server_address`, `server_port` |
//!
//! `server_address` is the host of the URI, or else of the `Host` header, in lower case; `server_port` its port, or
//! else the scheme's default one. A label is absent where the request does not say. Paths and queries are no labels:
//! give a [`UrlTemplate`] to tell kinds of calls apart. An unknown method is `_OTHER`.
//!
//! # When a call has ended
//!
//! At the end of the response body. The clock starts when the service is called, so connecting is part of it, and so
//! are the redirects and retries of everything inside the layer. Each call counts once, however it ends:
//!
//! | ending | `http_response_status_code` | `error_type` |
//! |---|---|---|
//! | answered | the code | none; from 400 on the code, since a client's error is its own |
//! | no connection could be made: refused, unreachable, unknown name, TLS | none | `connect_error` |
//! | a timeout that is set inside this layer, or the system's, also while connecting | none | `timeout` |
//! | the peer closed the connection before the headers | none | `connection_closed` |
//! | any other failure before the headers | none | `request_error` |
//! | the body failed: by a timeout, otherwise | the code | `timeout`, `body_error` |
//! | the caller, or a timeout outside this layer, dropped the call before the headers | none | `cancelled` |
//! | the same with some of the body unread | the code | `cancelled` |
//! | the inner service or the body panicked | none, or the code if it came | `panic` |
//!
//! A response from 400 on keeps its code as `error_type`, also if its body is never read. Server-sent events and
//! upgrades are timed to their headers, since their length says nothing about the peer;
//! [`ClientMetricsLayer::until_headers`] asks for the same everywhere. Such a call stays active until its body is
//! dropped.
//!
//! # What an error is
//!
//! The type of an error decides, and the types of its sources, never its text. The layer looks into the errors of
//! hyper, hyper-util, reqwest, tower's and Tokio's timeouts, `std::io`, and boxed errors. A service whose error is of a
//! type of its own says so once, or its failures are all `request_error`:
//!
//! ```
//! # use outrigger::Metrics;
//! # use tower::Layer;
//! # async fn call() -> Result<(), tonic::transport::Error> {
//! let channel = tonic::transport::Endpoint::from_static("http://stock.example:50051").connect_lazy();
//! let channel = Metrics::global()
//!     .client_layer()
//!     .look_into::<tonic::transport::Error>()
//!     .timeout_is::<tonic::TimeoutExpired>()
//!     .layer(channel);
//! # let _ = channel; Ok(()) }
//! // let client = StockClient::new(channel);
//! ```
//!
//! Calls over gRPC have an HTTP status, nearly always 200, which is what is counted here.
//!
//! # With reqwest
//!
//! Behind the feature `reqwest-middleware` the layer is a
//! [`reqwest_middleware::Middleware`](https://docs.rs/reqwest-middleware). Which TLS reqwest uses is left to the
//! program.
//!
//! ```
//! # #[cfg(feature = "reqwest-middleware")]
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! use outrigger::{Metrics, client::UrlTemplate};
//! use reqwest_middleware::ClientBuilder;
//!
//! let client = ClientBuilder::new(reqwest::Client::new()).with(Metrics::global().client_layer()).build();
//! let request = client.get("http://stock.example/products/7").with_extension(UrlTemplate("/products/{id}"));
//! let response = request.send().await?;
//! # let _ = response; Ok(()) }
//! ```
//!
//! # Cost and limits
//!
//! A call takes a few lookups in tables behind read locks, and one more clone of the recorder's handle. It allocates
//! nothing on its own once its series are known, save for a host with capital letters, and a box or two in reqwest's
//! middleware.
//!
//! 1,000 label sets of each metric per [`Metrics`]; the rest goes to the address `_other` and is counted in
//! `outrigger_series_dropped_total`. A host that is longer than a name can be (255 bytes) goes there too. A
//! service that calls addresses which others choose, such as webhooks, should have those calls in a client without this
//! layer, or in one on [`Metrics`] of its own, lest they use the places of the others up.
//!
//! [`tower`]: https://docs.rs/tower

mod active;
mod body;
mod call;
mod failure;
mod future;
mod labels;
#[cfg(feature = "reqwest-middleware")]
mod reqwest;
mod target;

use std::any::Any;
use std::error::Error;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::ResponseBody;
pub(crate) use self::call::Series;
pub use self::future::ResponseFuture;

use self::call::Call;
use self::failure::Known;
use self::target::Target;
use crate::Metrics;

/// What kind of call a request is: an extension of the request, for the label `url_template`.
///
/// A template as a route has it, such as `/products/{id}`. Being static, its values cannot come from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlTemplate(pub &'static str);

/// Adds request metrics to a client. See the [module](self) for what they say.
#[derive(Clone, Debug)]
pub struct ClientMetricsLayer {
    metrics: Metrics,
    settings: Settings,
}

#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    until_headers: bool,
    known: Known,
}

impl ClientMetricsLayer {
    /// A layer that writes to these metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), settings: Settings::default() }
    }

    /// Stops the clock at the response's headers instead of the end of its body.
    ///
    /// Defaults to the end of the body, save for server-sent events and upgrades.
    #[must_use]
    pub fn until_headers(mut self) -> Self {
        self.settings.until_headers = true;
        self
    }

    /// Lets the layer look into the errors of a service whose error type is `E`; the last one that is named counts.
    ///
    /// Defaults to none: without it, an error of a type that the [module](self#what-an-error-is) does not name is a
    /// `request_error`.
    #[must_use]
    pub fn look_into<E: Error + 'static>(mut self) -> Self {
        self.settings.known.service = Some(|error: &dyn Any| Some(error.downcast_ref::<E>()? as _));
        self
    }

    /// Says that an error with an `E` among its sources is a `timeout`; the last one that is named counts.
    ///
    /// Defaults to none: the timeouts of the system, hyper, reqwest, tower and Tokio are known.
    #[must_use]
    pub fn timeout_is<E: Error + 'static>(mut self) -> Self {
        self.settings.known.timeout = Some(|error| error.is::<E>());
        self
    }
}

impl Default for ClientMetricsLayer {
    fn default() -> Self {
        Self::new(&Metrics::global())
    }
}

impl<S> Layer<S> for ClientMetricsLayer {
    type Service = ClientMetrics<S>;

    fn layer(&self, inner: S) -> ClientMetrics<S> {
        ClientMetrics { inner, metrics: self.metrics.clone(), settings: self.settings }
    }
}

/// The service that [`ClientMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct ClientMetrics<S> {
    inner: S,
    metrics: Metrics,
    settings: Settings,
}

impl<S, B, R> Service<Request<B>> for ClientMetrics<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    R: Body,
    R::Error: 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let target = Target::of(request.uri(), request.headers());
        let template = request.extensions().get::<UrlTemplate>().copied();
        let mut call = Call::start(&self.metrics, request.method(), &target, template, self.settings.known);
        let inner = call.watch(|| self.inner.call(request));
        ResponseFuture::new(inner, call, self.settings.until_headers)
    }
}

impl Metrics {
    /// A layer that adds metrics to an HTTP client; shorthand for [`ClientMetricsLayer::new`].
    #[must_use]
    pub fn client_layer(&self) -> ClientMetricsLayer {
        ClientMetricsLayer::new(self)
    }
}
