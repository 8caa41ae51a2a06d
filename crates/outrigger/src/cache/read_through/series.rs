//! What a read-through cache counts beside its look-ups, loads and evictions.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ::metrics::{Counter, Gauge, Label};
use outrigger_semconv::{Metric, cache, label};

use crate::Metrics;
use crate::cache::CacheMetrics;
use crate::late::Late;
use crate::metrics::{register_counter, register_gauge};

pub(super) struct Series {
    pub(super) overall: CacheMetrics,
    metrics: Metrics,
    tallies: [Late<Counter>; TALLIES.len()],
    available: Late<Gauge>,
    last_available: Mutex<bool>,
    is_available_written: AtomicBool,
}

/// The counters whose labels are known before they count.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "some are of Redis"))]
pub(super) enum Tally {
    MemoryHit,
    MemoryMiss,
    Coalesced,
    Stale,
    Absent,
    Refreshed,
    RefreshFailed,
    LoadRejected,
    WaitRejected,
    RefreshRejected,
    KeyInvalidated,
    TagInvalidated,
    AllInvalidated,
    RedisHit,
    RedisMiss,
    RedisSkipped,
}

type Labels = &'static [(&'static str, &'static str)];

/// In the order of [`Tally`].
const TALLIES: [(&Metric, Labels); 16] = [
    (&cache::TIER_REQUESTS, &[(label::CACHE_TIER, "memory"), (label::CACHE_RESULT, "hit")]),
    (&cache::TIER_REQUESTS, &[(label::CACHE_TIER, "memory"), (label::CACHE_RESULT, "miss")]),
    (&cache::COALESCED, &[]),
    (&cache::STALE, &[]),
    (&cache::ABSENT, &[]),
    (&cache::REFRESHES, &[(label::OUTCOME, "success")]),
    (&cache::REFRESHES, &[(label::OUTCOME, "failure")]),
    (&cache::REJECTED, &[(label::REASON, "load")]),
    (&cache::REJECTED, &[(label::REASON, "wait")]),
    (&cache::REJECTED, &[(label::REASON, "refresh")]),
    (&cache::INVALIDATIONS, &[(label::REASON, "key")]),
    (&cache::INVALIDATIONS, &[(label::REASON, "tag")]),
    (&cache::INVALIDATIONS, &[(label::REASON, "all")]),
    (&cache::TIER_REQUESTS, &[(label::CACHE_TIER, REDIS), (label::CACHE_RESULT, "hit")]),
    (&cache::TIER_REQUESTS, &[(label::CACHE_TIER, REDIS), (label::CACHE_RESULT, "miss")]),
    (&cache::TIER_SKIPPED, &[(label::CACHE_TIER, REDIS)]),
];

/// Those from here on are of a tier that not every cache has.
const OF_REDIS: usize = Tally::RedisHit as usize;
const REDIS: &str = "redis";

impl Series {
    pub(super) fn new(metrics: &Metrics, name: Cow<'static, str>, redis: bool) -> Self {
        let series = Self {
            overall: CacheMetrics::new(metrics, name),
            metrics: metrics.clone(),
            tallies: Default::default(),
            available: Late::default(),
            last_available: Mutex::new(true),
            is_available_written: AtomicBool::new(false),
        };
        for index in 0..if redis { TALLIES.len() } else { OF_REDIS } {
            series.add(index, 0);
        }
        if redis {
            series.redis_available(|| true);
            for error_type in ["decode", "io", "timeout"] {
                series.redis_errors(error_type, 0);
            }
        }
        series
    }

    pub(super) fn count(&self, tally: Tally) {
        self.add(tally as usize, 1);
        if tally as usize >= OF_REDIS && !self.is_available_written.load(Ordering::Relaxed) {
            let last = self.last_available.lock().unwrap_or_else(PoisonError::into_inner);
            self.write_available(*last);
        }
    }

    /// Writes whether Redis is asked. It is read while nobody else writes, so that an older word never comes last.
    pub(super) fn redis_available(&self, read: impl FnOnce() -> bool) {
        let mut last = self.last_available.lock().unwrap_or_else(PoisonError::into_inner);
        *last = read();
        self.write_available(*last);
    }

    /// Without a recorder nothing was written: once there is one, the next operation writes it.
    fn write_available(&self, available: bool) {
        let lasting = self.available.with(
            &self.metrics,
            |recorder| {
                let labels = vec![self.label(), Label::new(label::CACHE_TIER, REDIS)];
                register_gauge(recorder, &cache::TIER_AVAILABLE, labels)
            },
            |gauge| gauge.set(if available { 1.0 } else { 0.0 }),
        );
        self.is_available_written.store(lasting, Ordering::Relaxed);
    }

    /// Counts an error whose type is of a closed set. It is rare: a tier that fails is left alone.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "only Redis can fail"))]
    pub(super) fn redis_error(&self, error_type: &'static str) {
        self.redis_errors(error_type, 1);
    }

    fn redis_errors(&self, error_type: &'static str, errors: u64) {
        let labels =
            vec![self.label(), Label::new(label::CACHE_TIER, REDIS), Label::new(label::ERROR_TYPE, error_type)];
        self.metrics
            .resolve(|recorder| register_counter(recorder, &cache::TIER_ERRORS, labels))
            .handle
            .increment(errors);
    }

    fn add(&self, index: usize, value: u64) {
        let (Some(slot), Some((metric, labels))) = (self.tallies.get(index), TALLIES.get(index)) else { return };
        slot.with(
            &self.metrics,
            |recorder| {
                let fixed = labels.iter().map(|(name, value)| Label::new(*name, *value));
                register_counter(recorder, metric, std::iter::once(self.label()).chain(fixed).collect())
            },
            |counter| counter.increment(value),
        );
    }

    fn label(&self) -> Label {
        self.overall.label()
    }
}
