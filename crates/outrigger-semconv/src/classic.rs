//! The older names of request metrics, for dashboards from before the conventions. Emitted only when a layer is asked to.

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

/// As `http_server_request_duration_seconds`.
pub const HTTP_REQUEST_DURATION: Metric = metric(
    "http_request_duration",
    "http_request_duration_seconds",
    Kind::Histogram(buckets::REQUEST_SECONDS),
    Unit::Seconds,
    &[label::METHOD, label::ENDPOINT, label::STATUS],
    Library,
    "Duration of HTTP requests, to the end of the response body (classic name).",
);

/// Requests that have ended.
pub const HTTP_REQUESTS: Metric = metric(
    "http_requests",
    "http_requests_total",
    Kind::Counter,
    Unit::One,
    &[label::METHOD, label::ENDPOINT, label::STATUS],
    Library,
    "HTTP requests that have ended (classic name).",
);

/// Requests in flight, of all methods.
pub const ACTIVE_CONNECTIONS: Metric = metric(
    "active_connections",
    "active_connections",
    Kind::Gauge,
    Unit::One,
    &[],
    Library,
    "HTTP requests in flight (classic name).",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[HTTP_REQUEST_DURATION, HTTP_REQUESTS, ACTIVE_CONNECTIONS];
