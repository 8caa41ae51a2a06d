//! Profiles on demand, and functions that are timed.

use crate::Metric;

/// This module's metrics.
pub const ALL: &[Metric] = &[];
