//! Profiles on demand, and functions that are timed.

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

/// Requests for a profile.
pub const REQUESTS: Metric = metric(
    "outrigger.profile.requests",
    "outrigger_profile_requests_total",
    Kind::Counter,
    Unit::One,
    &[label::PROFILE_TYPE, label::PROFILE_OUTCOME],
    Library,
    "Requests for a profile: taken, busy (another one was under way), invalid, cancelled, failed or unsupported.",
);

/// How long profiles took, from the request's acceptance to the finished answer.
pub const DURATION: Metric = metric(
    "outrigger.profile.duration",
    "outrigger_profile_duration_seconds",
    Kind::Histogram(buckets::TASK_SECONDS),
    Unit::Seconds,
    &[label::PROFILE_TYPE],
    Library,
    "Duration of the profiles that were taken, the making of the answer included.",
);

/// Whether a profile is under way.
pub const ACTIVE: Metric = metric(
    "outrigger.profile.active",
    "outrigger_profile_active",
    Kind::Gauge,
    Unit::One,
    &[],
    Library,
    "1 while a profile is under way, else 0.",
);

/// A function or block that the service times.
pub const SCOPE_DURATION: Metric = metric(
    "profile.scope.duration",
    "profile_scope_duration_seconds",
    Kind::Histogram(buckets::SCOPE_SECONDS),
    Unit::Seconds,
    &[label::PROFILE_SCOPE, label::ERROR_TYPE],
    Library,
    "Duration of a scope that the service named.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[REQUESTS, DURATION, ACTIVE, SCOPE_DURATION];
