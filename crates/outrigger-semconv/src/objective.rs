//! Service objectives that ship as defaults: what dashboards draw as a line and alert rules burn against.

use crate::{cache, db, http, system};

/// What is held against an objective's threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// The quantile of a histogram is at most the threshold, which is one of its bounds.
    Quantile {
        /// Between 0 and 1.
        quantile: f64,
    },
    /// A share is below the threshold.
    AtMost,
    /// A share is above the threshold.
    AtLeast,
}

/// One objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// A short name for titles and rule names.
    pub name: &'static str,
    /// The metric it speaks of.
    pub metric: &'static str,
    /// How the metric is read.
    pub measure: Measure,
    /// In the metric's base unit.
    pub threshold: f64,
}

/// 95 % of requests are answered within 200 ms.
pub const API_LATENCY: Objective = Objective {
    name: "api_latency",
    metric: http::SERVER_REQUEST_DURATION.name,
    measure: Measure::Quantile { quantile: 0.95 },
    threshold: 0.2,
};
/// 95 % of database operations take at most 100 ms.
pub const DATABASE_LATENCY: Objective = Objective {
    name: "database_latency",
    metric: db::CLIENT_OPERATION_DURATION.name,
    measure: Measure::Quantile { quantile: 0.95 },
    threshold: 0.1,
};
/// Less than 0.1 % of requests fail: an availability of 99.9 %.
pub const AVAILABILITY: Objective = Objective {
    name: "availability",
    metric: http::SERVER_REQUEST_DURATION.name,
    measure: Measure::AtMost,
    threshold: 0.001,
};
/// Less than 80 % of a pool's connections are in use.
pub const POOL_USE: Objective =
    Objective { name: "pool_use", metric: db::CLIENT_CONNECTION_COUNT.name, measure: Measure::AtMost, threshold: 0.8 };
/// More than 80 % of cache look-ups hit.
pub const CACHE_HITS: Objective =
    Objective { name: "cache_hits", metric: cache::REQUESTS.name, measure: Measure::AtLeast, threshold: 0.8 };
/// Less than 70 % of the processors are in use.
pub const CPU: Objective =
    Objective { name: "cpu", metric: system::CPU_UTILIZATION.name, measure: Measure::AtMost, threshold: 0.7 };
/// Less than 80 % of the memory is in use.
pub const MEMORY: Objective =
    Objective { name: "memory", metric: system::MEMORY_UTILIZATION.name, measure: Measure::AtMost, threshold: 0.8 };

/// Every default objective.
pub const ALL: &[Objective] = &[API_LATENCY, DATABASE_LATENCY, AVAILABILITY, POOL_USE, CACHE_HITS, CPU, MEMORY];
