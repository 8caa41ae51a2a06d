//! The series of one histogram, found without asking the recorder, and capped.
//!
//! A series has one label with an open set of values (the route, the collection: the row's name) and a rest whose
//! values are closed sets (the key). Past the cap on series, new ones are folded into the row `_other` and counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ::metrics::{Counter, Histogram, Label};
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

/// All series of one histogram.
pub(crate) struct Histograms<K> {
    metric: &'static Metric,
    limit: usize,
    rows: RwLock<HashMap<Box<str>, Arc<Row<K>>>>,
    overflow: Arc<Row<K>>,
    /// Series in `rows`; locked while one is added.
    count: Mutex<usize>,
    dropped: Late<Counter>,
}

/// The series that share one value of the open label.
pub(crate) struct Row<K> {
    name: Box<str>,
    series: RwLock<HashMap<K, Histogram>>,
}

impl<K: LabelSet> Histograms<K> {
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
    pub(crate) fn row(&self, name: &str) -> Arc<Row<K>> {
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
    pub(crate) fn record(&self, metrics: &Metrics, row: &Arc<Row<K>>, key: K, value: f64) {
        if Arc::ptr_eq(row, &self.overflow) {
            self.record_overflow(metrics, key, value);
        } else if !row.record(key, value) {
            self.record_first(metrics, row, key, value);
        }
    }

    fn record_first(&self, metrics: &Metrics, row: &Row<K>, key: K, value: f64) {
        if !metrics.is_installed() {
            return row.register(metrics, self.metric, key).handle.record(value);
        }
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added it while this one waited.
        if row.record(key, value) {
            return;
        }
        if *count >= self.limit {
            drop(count);
            return self.record_overflow(metrics, key, value);
        }
        *count += 1;
        row.add(metrics, self.metric, key).record(value);
    }

    fn record_overflow(&self, metrics: &Metrics, key: K, value: f64) {
        self.dropped
            .get(metrics, |recorder| {
                register_counter(recorder, &library::SERIES_DROPPED, vec![Label::new(label::METRIC, self.metric.name)])
            })
            .increment(1);
        if self.overflow.record(key, value) {
            return;
        }
        if !metrics.is_installed() {
            return self.overflow.register(metrics, self.metric, key).handle.record(value);
        }
        let key = if self.overflow.len() < OVERFLOW_SERIES { key } else { key.folded() };
        self.overflow.add(metrics, self.metric, key).record(value);
    }
}

impl<K: LabelSet> Row<K> {
    fn new(name: &str) -> Self {
        Self { name: name.into(), series: RwLock::default() }
    }

    /// Records if the series is known.
    fn record(&self, key: K, value: f64) -> bool {
        match self.series.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            Some(histogram) => {
                histogram.record(value);
                true
            }
            None => false,
        }
    }

    fn add(&self, metrics: &Metrics, metric: &Metric, key: K) -> Histogram {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.entry(key).or_insert_with(|| self.register(metrics, metric, key).handle).clone()
    }

    fn register(&self, metrics: &Metrics, metric: &Metric, key: K) -> Resolved<Histogram> {
        metrics.resolve(|recorder| register_histogram(recorder, metric, key.labels(&self.name)))
    }

    fn len(&self) -> usize {
        self.series.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Series that the overflow row may have with all their labels; beyond them, keys are folded.
const OVERFLOW_SERIES: usize = 64;
