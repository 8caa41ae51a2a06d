//! Caches in or beside the service. No OpenTelemetry convention exists; these names are ours.

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

/// Look-ups, by result.
pub const REQUESTS: Metric = metric(
    "cache.requests",
    "cache_requests_total",
    Kind::Counter,
    Unit::One,
    &[label::CACHE_NAME, label::CACHE_RESULT],
    Library,
    "Cache look-ups, by result (hit or miss).",
);

/// Filling the cache after a miss.
pub const LOAD_DURATION: Metric = metric(
    "cache.load.duration",
    "cache_load_duration_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    &[label::CACHE_NAME, label::ERROR_TYPE],
    Library,
    "Duration of the loads that fill the cache after a miss.",
);

/// Entries held now.
pub const ENTRIES: Metric = metric(
    "cache.entries",
    "cache_entries",
    Kind::Gauge,
    Unit::One,
    &[label::CACHE_NAME],
    Library,
    "Entries in the cache.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[REQUESTS, LOAD_DURATION, ENTRIES];
