//! The asynchronous runtime and the allocator.

use crate::Metric;

/// This module's metrics.
pub const ALL: &[Metric] = &[];
