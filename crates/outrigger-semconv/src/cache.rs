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

/// What the entries take.
pub const SIZE: Metric = metric(
    "cache.size",
    "cache_size_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[label::CACHE_NAME],
    Library,
    "Size of the entries in the cache, as the cache itself weighs them.",
);

/// Entries that left, by cause.
pub const EVICTIONS: Metric = metric(
    "cache.evictions",
    "cache_evictions_total",
    Kind::Counter,
    Unit::One,
    &[label::CACHE_NAME, label::CACHE_EVICTION_CAUSE],
    Library,
    "Values that left the cache, by cause (expired, explicit, replaced or size).",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[REQUESTS, LOAD_DURATION, ENTRIES, SIZE, EVICTIONS];
