//! Background tasks: spawned, consuming a queue, periodic. No OpenTelemetry convention exists; these names are ours.

use crate::Metric;

/// This module's metrics.
pub const ALL: &[Metric] = &[];
