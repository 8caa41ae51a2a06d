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
//! | `http_server_request_duration_seconds` | histogram | `http_request_method`, `url_scheme`, `http_route`, `http_response_status_code`, `error_type` on failure, `rpc_grpc_status_code` on gRPC responses, [labels of your own](RequestLabel) |
//! | `http_server_active_requests` | gauge | `http_request_method`, `url_scheme` |
//! | `http_server_request_time_to_first_byte_seconds` | histogram | as the duration; with [`time_to_first_byte`](HttpMetricsLayer::time_to_first_byte) |
//! | `http_server_request_body_size_bytes`, `http_server_response_body_size_bytes` | histograms | as the duration; with [`body_sizes`](HttpMetricsLayer::body_sizes) |
//! | `http_request_duration_seconds`, `http_requests_total` | histogram, counter | `method`, `endpoint`, `status`; with [`Naming::Classic`] or [`Naming::Both`] |
//! | `active_connections` | gauge | none; with the same |
//!
//! `http_route` is the template that axum matched (`/products/{id}`), never the path that a client sent; a request
//! that no route matched counts as `_unmatched`, and an unknown method as `_OTHER`. There is no `Host` label.
//! `url_scheme` is the request URI's; where it has none, as in HTTP/1, it is `http`, or what [`HttpMetricsLayer::https`]
//! says. The buckets are the catalogue's; the recorder changes them, see `outrigger::builder()`.
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
//! | the body failed, or ended before its announced length | the code | `body_error` |
//! | the handler or the body panicked | none, or the code if it was sent | `panic` |
//! | the inner service failed without a response | none | `service_error` |
//! | a gRPC status for which the server answers (2, 4, 12, 13, 14, 15) | the code | its name, such as `UNAVAILABLE` |
//!
//! A 5xx that is cut short keeps its code as `error_type`. With tower-http's `CatchPanic` inside this layer, a panic
//! is seen as the 500 that it becomes. Server-sent events and upgrades are timed to their headers, since their length
//! says nothing about the service; [`HttpMetricsLayer::until_headers`] asks for the same everywhere. A stream of events
//! counts as active until it ends, and has no response size. An upgraded connection, such as a WebSocket, is no longer
//! an HTTP request and not active.
//!
//! Requests that take longer than two seconds are logged: see [`HttpMetricsLayer::slow_requests`].
//!
//! With the feature `exemplars`, a request leaves the trace that is current when it arrives or when its headers are ready. A
//! layer that opens spans, such as tower-http's `TraceLayer`, must therefore stand outside of this one: add it after this
//! one.
//!
//! # Round other services
//!
//! The layer goes round any tower service of HTTP requests, with hyper or tonic below it. Where no router of axum has
//! matched a route, [`route_with`](HttpMetricsLayer::route_with) names it; without, all is `_unmatched`:
//!
//! ```
//! use axum::{body::Body, http::{Request, Response}};
//! use outrigger::Metrics;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let layer = Metrics::global().http_layer().route_with(|_, uri| match uri.path() {
//!     "/greeter.Greeter/SayHello" => Some("/greeter.Greeter/SayHello"),
//!     _ => None,
//! });
//! let service = ServiceBuilder::new().layer(layer).service(service_fn(async |_: Request<Body>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(Body::from("hello")))
//! }));
//! # let _ = service;
//! ```
//!
//! The server of tonic takes the layer as it is. To have a route for each service instead of naming methods, put it
//! round tonic's routes as a router of axum: `Routes::new(service).into_axum_router().layer(metrics.http_layer())`.
//!
//! ```
//! use outrigger::Metrics;
//! use tonic::{service::Routes, transport::Server};
//!
//! # async fn serve(routes: Routes) -> Result<(), Box<dyn std::error::Error>> {
//! let layer = Metrics::global().http_layer().route_with(|_, uri| match uri.path() {
//!     "/greeter.Greeter/SayHello" => Some("/greeter.Greeter/SayHello"),
//!     _ => None,
//! });
//! Server::builder().layer(layer).add_routes(routes).serve("127.0.0.1:50051".parse()?).await?;
//! # Ok(()) }
//! ```
//!
//! A deadline that tonic's server enforces is outside of the layer: such a call counts as `cancelled`.
//!
//! # Cost and limits
//!
//! On a router no lock, no hash of a string and no allocation in the steady state, save the box that axum makes for each
//! body of a type that is not its own; `until_headers` avoids it. One layer round a service of more than eight routes and
//! methods looks the rest up in a table, by a hash under a read lock; so does what goes to `_other`. `cargo verify` holds
//! the number of instructions.
//!
//! 1,000 label sets per metric and [`Metrics`]; the rest goes to the route `_other` and is counted in
//! `outrigger_series_dropped_total`. Wrapped round a router from outside, or inside of `nest_service` round a service
//! that is no router, the layer sees no template: add it with `Router::layer`, last, since routes and fallbacks that are
//! added later are not covered. Each layer round a service counts: two of them see a request twice.
//!
//! [`Metrics`]: crate::Metrics
//! [`tower`]: https://docs.rs/tower

mod body;
mod custom;
mod endpoint;
mod future;
mod grpc;
mod headers;
mod held;
mod in_flight;
mod labels;
mod layer;
mod series;
mod service;
mod site;
mod size;

pub use self::body::ResponseBody;
pub use self::custom::RequestLabel;
pub use self::future::ResponseFuture;
pub use self::headers::{HeadersFuture, HttpHeaders, HttpHeadersLayer};
pub use self::layer::{HttpMetricsLayer, Naming};
pub(crate) use self::series::Series;
pub use self::service::HttpMetrics;
