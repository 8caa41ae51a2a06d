//! The series of one cache, and what is written to them.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::metrics::{Counter, Gauge, Histogram, Label};
use outrigger_semconv::{Metric, cache, label};

use super::load::{Clock, Load};
use crate::Metrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge, register_histogram};

/// The metrics of one cache. A cheap clone. See the [module](super).
#[derive(Clone)]
pub struct CacheMetrics {
    metrics: Metrics,
    series: Arc<CacheSeries>,
}

/// What is written for one name, by all caches that have it.
pub(crate) struct CacheSeries {
    /// The name, or `_other` past the cap.
    name: Arc<str>,
    hits: Late<Counter>,
    misses: Late<Counter>,
    evictions: [Late<Counter>; EvictionCause::ALL.len()],
    entries: Level,
    size: Level,
    loads: [Late<Histogram>; LoadOutcome::COUNT],
}

/// Why a value left a cache: the label `cache_eviction_cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionCause {
    /// `expired`: its time was over.
    Expired,
    /// `explicit`: somebody removed it.
    Explicit,
    /// `replaced`: its key has a new value.
    Replaced,
    /// `size`: the cache needed the room.
    Size,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadOutcome {
    Loaded,
    Error,
    Cancelled,
    Panic,
}

impl CacheMetrics {
    /// Metrics for the cache of this name. Beyond a thousand names, all others share `_other`.
    #[must_use]
    pub fn new(metrics: &Metrics, name: impl Into<Cow<'static, str>>) -> Self {
        let series = metrics.caches().get(metrics, &name.into(), CacheSeries::new);
        let cache = Self { metrics: metrics.clone(), series };
        // A counter that has not counted yet must be there at zero, else its first rise is invisible to `rate`.
        cache.count(&cache.series.hits, HIT, 0);
        cache.count(&cache.series.misses, MISS, 0);
        cache
    }

    /// Counts a look-up that found its value.
    #[inline]
    pub fn hit(&self) {
        self.count(&self.series.hits, HIT, 1);
    }

    /// Counts a look-up that did not.
    #[inline]
    pub fn miss(&self) {
        self.count(&self.series.misses, MISS, 1);
    }

    /// Counts a look-up by what it found, and hands that on: `cache.observe(map.get(&key))`.
    #[inline]
    pub fn observe<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_some() {
            self.hit();
        } else {
            self.miss();
        }
        found
    }

    /// Times the loading of a value, and whether it failed; its clock starts at the first poll.
    pub fn load<F, T, E>(&self, load: F) -> Load<F>
    where
        F: Future<Output = Result<T, E>>,
    {
        Load::new(self.clone(), load)
    }

    /// Times a load that blocks, and whether it failed.
    ///
    /// # Errors
    /// The load's own.
    pub fn load_blocking<T, E>(&self, load: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut clock = Clock::started(self.clone());
        let loaded = load();
        clock.stop(if loaded.is_ok() { LoadOutcome::Loaded } else { LoadOutcome::Error });
        loaded
    }

    /// Counts a value that left the cache.
    ///
    /// [`count_evictions`](Self::count_evictions) makes the counters appear before the first one leaves.
    pub fn evicted(&self, cause: EvictionCause) {
        self.evictions(cause, 1);
    }

    /// Makes the counters of [`evicted`](Self::evicted) appear at zero, for a cache that reports evictions.
    pub fn count_evictions(&self) {
        for cause in EvictionCause::ALL {
            self.evictions(cause, 0);
        }
    }

    /// Sets the number of entries in the cache. Costs next to nothing while the number stays the same.
    pub fn entries(&self, entries: u64) {
        self.follow_entries(|| entries);
    }

    /// Sets the size of the cache in bytes. Costs next to nothing while the size stays the same.
    pub fn size_bytes(&self, bytes: u64) {
        self.follow_size(|| bytes);
    }

    /// Reads the number of entries, and writes it if it has changed.
    #[inline]
    pub(super) fn follow_entries(&self, read: impl Fn() -> u64) {
        self.series.entries.follow(self, read);
    }

    /// Reads the size in bytes, and writes it if it has changed.
    #[inline]
    pub(super) fn follow_size(&self, read: impl Fn() -> u64) {
        self.series.size.follow(self, read);
    }

    pub(super) fn label(&self) -> Label {
        Label::new(label::CACHE_NAME, Arc::clone(&self.series.name))
    }

    #[inline]
    fn count(&self, slot: &Late<Counter>, result: &'static str, looked_up: u64) {
        let labels = || vec![self.label(), Label::new(label::CACHE_RESULT, result)];
        slot.with(
            &self.metrics,
            |recorder| register_counter(recorder, &cache::REQUESTS, labels()),
            |counter| counter.increment(looked_up),
        );
    }

    fn evictions(&self, cause: EvictionCause, left: u64) {
        let Some(slot) = self.series.evictions.get(cause as usize) else { return };
        let labels = || vec![self.label(), Label::new(label::CACHE_EVICTION_CAUSE, cause.label())];
        slot.with(
            &self.metrics,
            |recorder| register_counter(recorder, &cache::EVICTIONS, labels()),
            |counter| counter.increment(left),
        );
    }

    pub(super) fn loaded(&self, outcome: LoadOutcome, seconds: f64) {
        let Some(slot) = self.series.loads.get(outcome as usize) else { return };
        let labels = || {
            let mut labels = vec![self.label()];
            labels.extend(outcome.error_type().map(|error| Label::new(label::ERROR_TYPE, error)));
            labels
        };
        slot.with(
            &self.metrics,
            |recorder| register_histogram(recorder, &cache::LOAD_DURATION, labels()),
            |histogram| histogram.record(seconds),
        );
    }
}

impl fmt::Debug for CacheMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheMetrics").field("name", &self.series.name).finish_non_exhaustive()
    }
}

impl CacheSeries {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            hits: Late::default(),
            misses: Late::default(),
            evictions: Default::default(),
            entries: Level::new(&cache::ENTRIES),
            size: Level::new(&cache::SIZE),
            loads: Default::default(),
        }
    }
}

/// A gauge that is written only when its value has changed, so that it can be followed at every call.
struct Level {
    metric: &'static Metric,
    gauge: Late<Gauge>,
    /// What was written last; `UNWRITTEN` at first.
    written: AtomicU64,
    /// Held while one writes. What is written is read under it, so that an older value never comes last.
    writing: Mutex<()>,
}

impl Level {
    const UNWRITTEN: u64 = u64::MAX;

    fn new(metric: &'static Metric) -> Self {
        let written = AtomicU64::new(Self::UNWRITTEN);
        Self { metric, gauge: Late::default(), written, writing: Mutex::new(()) }
    }

    #[inline]
    fn follow(&self, cache: &CacheMetrics, read: impl Fn() -> u64) {
        if read() != self.written.load(Ordering::Relaxed) {
            self.write(cache, read);
        }
    }

    #[cold]
    #[allow(clippy::cast_precision_loss, reason = "a cache of 2^53 entries or bytes fits in no memory")]
    fn write(&self, cache: &CacheMetrics, read: impl Fn() -> u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let value = read();
        let lasting = self.gauge.with(
            &cache.metrics,
            |recorder| register_gauge(recorder, self.metric, vec![cache.label()]),
            |gauge| gauge.set(value as f64),
        );
        // Without a recorder nothing was written: the next call shall try again.
        if lasting {
            self.written.store(value, Ordering::Relaxed);
        }
    }
}

impl EvictionCause {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 4] = [Self::Expired, Self::Explicit, Self::Replaced, Self::Size];

    const fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Explicit => "explicit",
            Self::Replaced => "replaced",
            Self::Size => "size",
        }
    }
}

impl LoadOutcome {
    const COUNT: usize = 4;

    const fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Loaded => None,
            Self::Error => Some("error"),
            Self::Cancelled => Some("cancelled"),
            Self::Panic => Some("panic"),
        }
    }
}

const HIT: &str = "hit";
const MISS: &str = "miss";
