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

/// Look-ups of one tier. Those of the cache as a whole are in [`REQUESTS`], each once.
pub const TIER_REQUESTS: Metric = counter(
    "cache.tier.requests",
    "cache_tier_requests_total",
    &[label::CACHE_NAME, label::CACHE_TIER, label::CACHE_RESULT],
    "Look-ups of one tier of a cache, by result (hit or miss).",
);

/// Operations of a tier that failed. The look-up went on without it.
pub const TIER_ERRORS: Metric = counter(
    "cache.tier.errors",
    "cache_tier_errors_total",
    &[label::CACHE_NAME, label::CACHE_TIER, label::ERROR_TYPE],
    "Operations of a cache tier that failed; the look-ups went on without it.",
);

/// Operations of a tier that were left out while it was down.
pub const TIER_SKIPPED: Metric = counter(
    "cache.tier.skipped",
    "cache_tier_skipped_total",
    &[label::CACHE_NAME, label::CACHE_TIER],
    "Operations of a cache tier that were left out because it was down.",
);

/// Whether a tier is asked.
pub const TIER_AVAILABLE: Metric = metric(
    "cache.tier.available",
    "cache_tier_available",
    Kind::Gauge,
    Unit::One,
    &[label::CACHE_NAME, label::CACHE_TIER],
    Library,
    "Whether the cache tier is asked (1) or left out because it is down (0).",
);

/// Look-ups that shared a load.
pub const COALESCED: Metric = counter(
    "cache.coalesced",
    "cache_coalesced_total",
    &[label::CACHE_NAME],
    "Look-ups that waited for a load that another one had begun.",
);

/// Look-ups answered from the stale window.
pub const STALE: Metric = counter(
    "cache.stale",
    "cache_stale_total",
    &[label::CACHE_NAME],
    "Look-ups answered with a value past its time to live, while it is refreshed.",
);

/// Look-ups answered with an absence.
pub const ABSENT: Metric = counter(
    "cache.absent",
    "cache_absent_total",
    &[label::CACHE_NAME],
    "Look-ups answered with the remembered absence of a value.",
);

/// Loads in the background.
pub const REFRESHES: Metric = counter(
    "cache.refreshes",
    "cache_refreshes_total",
    &[label::CACHE_NAME, label::OUTCOME],
    "Background loads of stale values, by outcome (success or failure).",
);

/// What was refused since its bound was reached.
pub const REJECTED: Metric = counter(
    "cache.rejected",
    "cache_rejected_total",
    &[label::CACHE_NAME, label::REASON],
    "What was refused at a bound: look-ups (load or wait), refreshes (refresh).",
);

/// Invalidations that the service asked for.
pub const INVALIDATIONS: Metric = counter(
    "cache.invalidations",
    "cache_invalidations_total",
    &[label::CACHE_NAME, label::REASON],
    "Invalidations, by what was invalidated (key, tag or all).",
);

const fn counter(
    otel: &'static str,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(otel, name, Kind::Counter, Unit::One, labels, Library, help)
}

/// This module's metrics.
pub const ALL: &[Metric] = &[
    REQUESTS,
    LOAD_DURATION,
    ENTRIES,
    SIZE,
    EVICTIONS,
    TIER_REQUESTS,
    TIER_ERRORS,
    TIER_SKIPPED,
    TIER_AVAILABLE,
    COALESCED,
    STALE,
    ABSENT,
    REFRESHES,
    REJECTED,
    INVALIDATIONS,
];
