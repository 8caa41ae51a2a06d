//! What the library says of itself and of the service that it is in.

use crate::{Emitter::Library, Kind, Metric, Unit, label, metric};

/// The service's identity, always 1.
pub const TARGET_INFO: Metric = metric(
    "target.info",
    "target_info",
    Kind::Gauge,
    Unit::One,
    &[label::SERVICE_NAME, label::SERVICE_VERSION],
    Library,
    "The service that these metrics are of; always 1.",
);

/// What was built, from what, by which compiler.
pub const BUILD_INFO: Metric = metric(
    "build.info",
    "build_info",
    Kind::Gauge,
    Unit::One,
    &[label::VERSION, label::REVISION, label::RUST_VERSION, label::PROFILE],
    Library,
    "The build that runs; always 1.",
);

/// Times the admin listener could not be bound.
pub const ADMIN_BIND_FAILURES: Metric = metric(
    "outrigger.admin.bind_failures",
    "outrigger_admin_bind_failures_total",
    Kind::Counter,
    Unit::One,
    &[],
    Library,
    "Times the admin listener could not be bound; the service goes on without it.",
);

/// Observations that have no series of their own.
pub const SERIES_DROPPED: Metric = metric(
    "outrigger.series.dropped",
    "outrigger_series_dropped_total",
    Kind::Counter,
    Unit::One,
    &[label::METRIC],
    Library,
    "Observations without a series of their own: their metric had reached its cap on series, or was refused.",
);

/// Observations that no histogram can hold.
pub const OBSERVATIONS_INVALID: Metric = metric(
    "outrigger.observations.invalid",
    "outrigger_observations_invalid_total",
    Kind::Counter,
    Unit::One,
    &[label::METRIC],
    Library,
    "Observations left out of a histogram because they were NaN or infinite.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[TARGET_INFO, BUILD_INFO, ADMIN_BIND_FAILURES, SERIES_DROPPED, OBSERVATIONS_INVALID];
