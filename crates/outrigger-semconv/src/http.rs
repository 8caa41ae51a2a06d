//! Requests that the service answers, and those that it makes. Convention: [HTTP metrics](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/).

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

/// From the request's arrival at the layer to the end of the response body.
pub const SERVER_REQUEST_DURATION: Metric = metric(
    "http.server.request.duration",
    "http_server_request_duration_seconds",
    Kind::Histogram(buckets::REQUEST_SECONDS),
    Unit::Seconds,
    &[
        label::HTTP_REQUEST_METHOD,
        label::URL_SCHEME,
        label::HTTP_ROUTE,
        label::HTTP_RESPONSE_STATUS_CODE,
        label::ERROR_TYPE,
    ],
    Library,
    "Duration of HTTP server requests, to the end of the response body.",
);

/// Requests in flight.
pub const SERVER_ACTIVE_REQUESTS: Metric = metric(
    "http.server.active_requests",
    "http_server_active_requests",
    Kind::Gauge,
    Unit::One,
    &[label::HTTP_REQUEST_METHOD, label::URL_SCHEME],
    Library,
    "HTTP server requests in flight.",
);

/// From the call of the client to the end of the response body.
pub const CLIENT_REQUEST_DURATION: Metric = metric(
    "http.client.request.duration",
    "http_client_request_duration_seconds",
    Kind::Histogram(buckets::REQUEST_SECONDS),
    Unit::Seconds,
    &[
        label::HTTP_REQUEST_METHOD,
        label::SERVER_ADDRESS,
        label::SERVER_PORT,
        label::URL_TEMPLATE,
        label::HTTP_RESPONSE_STATUS_CODE,
        label::ERROR_TYPE,
    ],
    Library,
    "Duration of HTTP client requests, to the end of the response body.",
);

/// Calls in flight.
pub const CLIENT_ACTIVE_REQUESTS: Metric = metric(
    "http.client.active_requests",
    "http_client_active_requests",
    Kind::Gauge,
    Unit::One,
    &[label::HTTP_REQUEST_METHOD, label::SERVER_ADDRESS, label::SERVER_PORT],
    Library,
    "HTTP client requests in flight.",
);

/// This module's metrics.
pub const ALL: &[Metric] =
    &[SERVER_REQUEST_DURATION, SERVER_ACTIVE_REQUESTS, CLIENT_REQUEST_DURATION, CLIENT_ACTIVE_REQUESTS];
