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

/// Requests that the admin listener refused for want of its token, and wrong tokens that were sent to its probes.
pub const ADMIN_UNAUTHORIZED: Metric = metric(
    "outrigger.admin.unauthorized",
    "outrigger_admin_unauthorized_total",
    Kind::Counter,
    Unit::One,
    &[],
    Library,
    "Requests to the admin listener that were refused for want of its token, or sent a wrong one to a probe.",
);

/// What the service's own checks said last.
pub const CHECK_UP: Metric = metric(
    "outrigger.check.up",
    "outrigger_check_up",
    Kind::Gauge,
    Unit::One,
    &[label::CHECK, label::PROBE],
    Library,
    "Whether a check of the service succeeded when it ran last: 1 or 0.",
);

/// How long the service's own checks took.
pub const CHECK_DURATION: Metric = metric(
    "outrigger.check.duration",
    "outrigger_check_duration_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[label::CHECK, label::PROBE],
    Library,
    "How long a check of the service took when it ran last.",
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
pub const ALL: &[Metric] = &[
    TARGET_INFO,
    BUILD_INFO,
    ADMIN_BIND_FAILURES,
    ADMIN_UNAUTHORIZED,
    CHECK_UP,
    CHECK_DURATION,
    SERIES_DROPPED,
    OBSERVATIONS_INVALID,
];
