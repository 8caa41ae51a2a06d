//! The series of one metric, capped: what is found here need not be asked of the recorder.
//!
//! A series has one label with an open set of values (the route, the collection: the row's name) and a rest whose
//! values are closed sets (the key). Past the cap on series, new ones are folded into the row `_other` and counted.

use std::collections::HashMap;
use std::hash::Hash;
#[cfg(feature = "db")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ::metrics::{Counter, Histogram, Label, Recorder};
use outrigger_semconv::{Metric, label, library};

use crate::Metrics;
use crate::late::Late;
use crate::metrics::{Resolved, register_counter, register_histogram};

/// The labels beside the open one: a type, so that their number can be reviewed.
pub(crate) trait LabelSet: Copy + Eq + Hash {
    /// All labels of the series, the row's included.
    fn labels(self, row: &str) -> Vec<Label>;
    /// What is left of this key when the overflow row is full too: only whether it failed.
    fn folded(self) -> Self;
}

/// What a series is written through.
pub(crate) trait Instrument: Clone {
    fn register(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Self;
    fn record(&self, value: f64);
}

impl Instrument for Histogram {
    fn register(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Self {
        register_histogram(recorder, metric, labels)
    }

    fn record(&self, value: f64) {
        Self::record(self, value);
    }
}

/// Counts how often something was recorded.
impl Instrument for Counter {
    fn register(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Self {
        register_counter(recorder, metric, labels)
    }

    fn record(&self, _value: f64) {
        self.increment(1);
    }
}

/// All series of one histogram.
pub(crate) type Histograms<K> = Table<K, Histogram>;

/// All series of one metric.
pub(crate) struct Table<K, I> {
    metric: &'static Metric,
    limit: usize,
    rows: RwLock<Rows<K, I>>,
    overflow: Arc<Row<K, I>>,
    /// Series in `rows`; locked while one is added.
    count: Mutex<usize>,
    dropped: Late<Counter>,
}

type Rows<K, I> = HashMap<Box<str>, Arc<Row<K, I>>>;

/// The series that share one value of the open label.
pub(crate) struct Row<K, I = Histogram> {
    name: Box<str>,
    series: RwLock<HashMap<K, I>>,
}

impl<K: LabelSet, I: Instrument> Table<K, I> {
    pub(crate) fn new(metric: &'static Metric, limit: usize) -> Self {
        Self {
            metric,
            limit,
            rows: RwLock::default(),
            overflow: Arc::new(Row::new(label::OTHER)),
            count: Mutex::new(0),
            dropped: Late::default(),
        }
    }

    /// The row of a name: its own, or the overflow row when there are as many rows as series are allowed.
    pub(crate) fn row(&self, name: &str) -> Arc<Row<K, I>> {
        {
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(row) = rows.get(name) {
                return Arc::clone(row);
            }
            // Rows are never taken away, so that this stays true.
            if rows.len() >= self.limit {
                return Arc::clone(&self.overflow);
            }
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= self.limit && !rows.contains_key(name) {
            return Arc::clone(&self.overflow);
        }
        Arc::clone(rows.entry(name.into()).or_insert_with(|| Arc::new(Row::new(name))))
    }

    /// Records one observation.
    pub(crate) fn record(&self, metrics: &Metrics, row: &Arc<Row<K, I>>, key: K, value: f64) {
        match self.handle(metrics, row, key) {
            Some(handle) => handle.record(value),
            None if metrics.is_installed() => self.record_overflow(metrics, key, value),
            None => row.register(metrics, self.metric, key).handle.record(value),
        }
    }

    /// As [`record`](Self::record), through a place where the series' handle is kept once there is one to keep.
    #[cfg(feature = "db")]
    pub(crate) fn record_through(
        &self,
        slot: Option<&OnceLock<I>>,
        metrics: &Metrics,
        row: &Arc<Row<K, I>>,
        key: K,
        value: f64,
    ) {
        if let Some(handle) = slot.and_then(OnceLock::get) {
            return handle.record(value);
        }
        match slot.zip(self.handle(metrics, row, key)) {
            Some((slot, handle)) => slot.get_or_init(|| handle).record(value),
            None => self.record(metrics, row, key, value),
        }
    }

    /// The handle of a series, for callers who keep it. `None` while no recorder is installed, and for what goes to the
    /// overflow row, where each observation is counted: [`record`](Self::record) knows the way.
    pub(crate) fn handle(&self, metrics: &Metrics, row: &Arc<Row<K, I>>, key: K) -> Option<I> {
        if Arc::ptr_eq(row, &self.overflow) {
            return None;
        }
        let known = row.get(&key);
        if known.is_some() || !metrics.is_installed() {
            return known;
        }
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added it while this one waited.
        let known = row.get(&key);
        if known.is_some() || *count >= self.limit {
            return known;
        }
        *count += 1;
        Some(row.add(metrics, self.metric, key))
    }

    fn record_overflow(&self, metrics: &Metrics, key: K, value: f64) {
        self.dropped
            .get(metrics, |recorder| {
                register_counter(recorder, &library::SERIES_DROPPED, vec![Label::new(label::METRIC, self.metric.name)])
            })
            .increment(1);
        if let Some(handle) = self.overflow.get(&key) {
            return handle.record(value);
        }
        let key = if self.overflow.len() < OVERFLOW_SERIES { key } else { key.folded() };
        self.overflow.add(metrics, self.metric, key).record(value);
    }
}

impl<K: LabelSet, I: Instrument> Row<K, I> {
    fn new(name: &str) -> Self {
        Self { name: name.into(), series: RwLock::default() }
    }

    fn get(&self, key: &K) -> Option<I> {
        self.series.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn add(&self, metrics: &Metrics, metric: &Metric, key: K) -> I {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.entry(key).or_insert_with(|| self.register(metrics, metric, key).handle).clone()
    }

    fn register(&self, metrics: &Metrics, metric: &Metric, key: K) -> Resolved<I> {
        metrics.resolve(|recorder| I::register(recorder, metric, key.labels(&self.name)))
    }

    fn len(&self) -> usize {
        self.series.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Series that the overflow row may have with all their labels; beyond them, keys are folded.
const OVERFLOW_SERIES: usize = 64;
