//! Cache metrics: hits, misses, and what it costs to fill the cache.
//!
//! [`CacheMetrics`] counts for any cache; with the feature `moka`, [`MokaCache`] wraps moka's future cache and counts by
//! itself.
//!
//! ```
//! use std::collections::HashMap;
//! use outrigger::{Metrics, cache::CacheMetrics};
//!
//! struct Names {
//!     cached: HashMap<u64, String>,
//!     metrics: CacheMetrics,
//! }
//!
//! impl Names {
//!     async fn name(&mut self, id: u64) -> Result<String, std::io::Error> {
//!         if let Some(name) = self.cached.get(&id) {
//!             self.metrics.hit();
//!             return Ok(name.clone());
//!         }
//!         self.metrics.miss();
//!         let name = self.metrics.load(read_name(id)).await?;
//!         self.cached.insert(id, name.clone());
//!         self.metrics.entries(self.cached.len() as u64);
//!         Ok(name)
//!     }
//! }
//!
//! async fn read_name(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("name {id}"))
//! }
//!
//! let names = Names { cached: HashMap::new(), metrics: CacheMetrics::new(&Metrics::global(), "names") };
//! # let _ = names;
//! ```
//!
//! # What it emits
//!
//! All with `cache_name`.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `cache_requests_total` | counter | `cache_result` = `hit`, `miss` |
//! | `cache_load_duration_seconds` | histogram | `error_type` on failure: `error`, `cancelled` (dropped before its end), `panic` |
//! | `cache_entries` | gauge | |
//!
//! A look-up that waits for another's load of the same key is a miss: the value was not there. So misses may exceed
//! loads, and the difference is what single flight saved. Counting costs one atomic addition per look-up.

mod load;
#[cfg(feature = "moka")]
mod moka;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Label};
use outrigger_semconv::{cache, label};

pub use self::load::Load;
#[cfg(feature = "moka")]
pub use self::moka::MokaCache;

use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge, register_histogram};

/// The metrics of one cache. A cheap clone. See the [module](self).
#[derive(Clone)]
pub struct CacheMetrics {
    series: Arc<CacheSeries>,
}

struct CacheSeries {
    metrics: Metrics,
    name: Cow<'static, str>,
    hits: Late<Counter>,
    misses: Late<Counter>,
    entries: Late<Gauge>,
    loads: [Late<Histogram>; LoadOutcome::COUNT],
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadOutcome {
    Loaded,
    Error,
    Cancelled,
    Panic,
}

impl CacheMetrics {
    /// Metrics for the cache of this name.
    #[must_use]
    pub fn new(metrics: &Metrics, name: impl Into<Cow<'static, str>>) -> Self {
        let cache = Self {
            series: Arc::new(CacheSeries {
                metrics: metrics.clone(),
                name: name.into(),
                hits: Late::default(),
                misses: Late::default(),
                entries: Late::default(),
                loads: Default::default(),
            }),
        };
        // A counter that has not counted yet must be there at zero, else its first rise is invisible to `rate`.
        cache.requests("hit").increment(0);
        cache.requests("miss").increment(0);
        cache
    }

    /// Counts a look-up that found its value.
    pub fn hit(&self) {
        self.requests("hit").increment(1);
    }

    /// Counts a look-up that did not.
    pub fn miss(&self) {
        self.requests("miss").increment(1);
    }

    /// Times the loading of a value, and whether it failed; its clock starts at the first poll.
    pub fn load<F, T, E>(&self, load: F) -> Load<F>
    where
        F: Future<Output = Result<T, E>>,
    {
        Load::new(self.clone(), load)
    }

    /// Sets the number of entries in the cache.
    #[allow(clippy::cast_precision_loss, reason = "a cache of 2^53 entries fits in no memory")]
    pub fn entries(&self, entries: u64) {
        let series = &self.series;
        let gauge = series
            .entries
            .get(&series.metrics, |recorder| register_gauge(recorder, &cache::ENTRIES, vec![series.label()]));
        gauge.set(entries as f64);
    }

    fn requests(&self, result: &'static str) -> Counter {
        let series = &self.series;
        let slot = if result == "hit" { &series.hits } else { &series.misses };
        slot.get(&series.metrics, |recorder| {
            register_counter(recorder, &cache::REQUESTS, vec![series.label(), Label::new(label::CACHE_RESULT, result)])
        })
    }

    fn loaded(&self, outcome: LoadOutcome, seconds: f64) {
        let series = &self.series;
        let Some(slot) = series.loads.get(outcome as usize) else { return };
        let histogram = slot.get(&series.metrics, |recorder| {
            let mut labels = vec![series.label()];
            labels.extend(outcome.error_type().map(|error| Label::new(label::ERROR_TYPE, error)));
            register_histogram(recorder, &cache::LOAD_DURATION, labels)
        });
        histogram.record(seconds);
    }
}

impl fmt::Debug for CacheMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheMetrics").field("name", &self.series.name).finish_non_exhaustive()
    }
}

impl CacheSeries {
    fn label(&self) -> Label {
        Label::new(label::CACHE_NAME, self.name.clone())
    }
}

impl LoadOutcome {
    const COUNT: usize = 4;

    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Loaded => None,
            Self::Error => Some("error"),
            Self::Cancelled => Some("cancelled"),
            Self::Panic => Some("panic"),
        }
    }
}
