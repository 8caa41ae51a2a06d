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
        label::RPC_GRPC_STATUS_CODE,
    ],
    Library,
    "Duration of HTTP server requests, to the end of the response body.",
);

/// From the request's arrival at the layer to the response's headers. No convention exists; off by default.
pub const SERVER_REQUEST_TIME_TO_FIRST_BYTE: Metric = metric(
    "http.server.request.time_to_first_byte",
    "http_server_request_time_to_first_byte_seconds",
    Kind::Histogram(buckets::REQUEST_SECONDS),
    Unit::Seconds,
    SERVER_REQUEST_DURATION.labels,
    Library,
    "Time from an HTTP server request's arrival to the headers of its response.",
);

/// Bytes of the request's body. Off by default.
pub const SERVER_REQUEST_BODY_SIZE: Metric = metric(
    "http.server.request.body.size",
    "http_server_request_body_size_bytes",
    Kind::Histogram(buckets::BODY_BYTES),
    Unit::Bytes,
    SERVER_REQUEST_DURATION.labels,
    Library,
    "Size of HTTP server request bodies.",
);

/// Bytes of the response's body that were handed to the server. Off by default.
pub const SERVER_RESPONSE_BODY_SIZE: Metric = metric(
    "http.server.response.body.size",
    "http_server_response_body_size_bytes",
    Kind::Histogram(buckets::BODY_BYTES),
    Unit::Bytes,
    SERVER_REQUEST_DURATION.labels,
    Library,
    "Size of HTTP server response bodies as they were sent.",
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
pub const ALL: &[Metric] = &[
    SERVER_REQUEST_DURATION,
    SERVER_REQUEST_TIME_TO_FIRST_BYTE,
    SERVER_REQUEST_BODY_SIZE,
    SERVER_RESPONSE_BODY_SIZE,
    SERVER_ACTIVE_REQUESTS,
    CLIENT_REQUEST_DURATION,
    CLIENT_ACTIVE_REQUESTS,
];
