//! What is watched, and by which objectives.

use std::time::Duration;

/// What is watched beside the routes.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchSettings {
    /// Whether the calls to dependencies are: other services, databases, loads of caches. Default: yes.
    pub dependencies: bool,
    /// The most dependencies that are watched on one target. Default: 100.
    pub dependency_limit: usize,
    /// Whether drops and surges of traffic are. Default: yes.
    pub traffic: bool,
    /// Whether what can run full is: pools of connections, descriptors, memory, disks. Default: yes.
    pub saturation: bool,
    /// What will be full sooner than this is told. Default: 4 h.
    pub horizon: Duration,
    /// Whether other figures are, as evidence in incidents: CPU, memory, hit ratios, queues. Default: yes.
    pub figures: bool,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            dependencies: true,
            dependency_limit: 100,
            traffic: true,
            saturation: true,
            horizon: Duration::from_secs(4 * 3600),
            figures: true,
        }
    }
}

/// What the service promises: by these its error budgets are counted.
#[derive(Clone, Debug, PartialEq)]
pub struct SloSettings {
    /// Whether budgets that are spent too fast are told. They are counted all the same. Default: yes.
    pub alert: bool,
    /// The share of requests that must not fail, below 1. Default: 0.999.
    pub availability: f64,
    /// What a request may take: at best a bound of the histogram, else the next higher bound counts. Default: 200 ms.
    pub latency: Duration,
    /// The share of requests that must not take longer, below 1. Default: 0.95.
    pub latency_share: f64,
}

impl Default for SloSettings {
    fn default() -> Self {
        Self { alert: true, availability: 0.999, latency: Duration::from_millis(200), latency_share: 0.95 }
    }
}
