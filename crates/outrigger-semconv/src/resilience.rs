//! Retries, timeouts and circuit breakers around the calls to a dependency. No OpenTelemetry convention exists; these names are ours.

use crate::Metric;

/// This module's metrics.
pub const ALL: &[Metric] = &[];
