//! Retries, timeouts and circuit breakers around the calls to a dependency. No OpenTelemetry convention exists; these
//! names are ours.

use crate::{Emitter::Library, Kind, Metric, Unit, label, metric};

const DEPENDENCY: &[&str] = &[label::DEPENDENCY];

/// Calls that ended in the timeout of their caller.
pub const TIMEOUTS: Metric = metric(
    "resilience.timeouts",
    "resilience_timeouts_total",
    Kind::Counter,
    Unit::One,
    DEPENDENCY,
    Library,
    "Calls to a dependency that took longer than their caller would wait.",
);

/// Attempts after the first.
pub const RETRIES: Metric = metric(
    "resilience.retries",
    "resilience_retries_total",
    Kind::Counter,
    Unit::One,
    DEPENDENCY,
    Library,
    "Calls to a dependency that were made again after a failure.",
);

/// Calls whose last attempt failed too.
pub const RETRIES_EXHAUSTED: Metric = metric(
    "resilience.retries.exhausted",
    "resilience_retries_exhausted_total",
    Kind::Counter,
    Unit::One,
    &[label::DEPENDENCY, label::REASON],
    Library,
    "Calls to a dependency that failed after all of their attempts, by what ended them: attempts, budget.",
);

/// Which state the breaker is in.
pub const BREAKER_STATE: Metric = metric(
    "resilience.breaker.state",
    "resilience_breaker_state",
    Kind::Gauge,
    Unit::One,
    &[label::DEPENDENCY, label::BREAKER_STATE],
    Library,
    "1 for the state that the circuit breaker is in, 0 for the others.",
);

/// Changes of state, by the new one.
pub const BREAKER_TRANSITIONS: Metric = metric(
    "resilience.breaker.transitions",
    "resilience_breaker_transitions_total",
    Kind::Counter,
    Unit::One,
    &[label::DEPENDENCY, label::BREAKER_STATE],
    Library,
    "Changes of a circuit breaker's state, by the state that it went to.",
);

/// What became of the calls that came to the breaker.
pub const BREAKER_CALLS: Metric = metric(
    "resilience.breaker.calls",
    "resilience_breaker_calls_total",
    Kind::Counter,
    Unit::One,
    &[label::DEPENDENCY, label::BREAKER_RESULT],
    Library,
    "Calls that came to a circuit breaker, by what it made of them.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[TIMEOUTS, RETRIES, RETRIES_EXHAUSTED, BREAKER_STATE, BREAKER_TRANSITIONS, BREAKER_CALLS];
