//! What is kept for each name that a program gives (of a cache, a pool, a task, a dependency), capped.
//!
//! Whoever asks for a name twice gets the same thing twice. Past [`LIMIT`] names all others share one, `_other`, and
//! each time that it is handed out counts in `outrigger_series_dropped_total`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use ::metrics::{Counter, Label};
use outrigger_semconv::{Metric, label, library};

use crate::Metrics;
use crate::late::Late;
use crate::metrics::register_counter;

/// Names that are told apart.
const LIMIT: usize = 1000;

/// By name. What is kept must not hold [`Metrics`], which holds this.
pub(crate) struct Named<T> {
    metric: &'static Metric,
    things: RwLock<HashMap<Box<str>, Arc<T>>>,
    overflow: OnceLock<Arc<T>>,
    dropped: Late<Counter>,
}

impl<T> Named<T> {
    /// `metric` is the one that stands for the group in the count of what was dropped.
    pub(crate) fn new(metric: &'static Metric) -> Self {
        Self { metric, things: RwLock::default(), overflow: OnceLock::new(), dropped: Late::default() }
    }

    /// What is kept for a name; made at first.
    pub(crate) fn get(&self, metrics: &Metrics, name: &str, make: impl FnOnce(Arc<str>) -> T) -> Arc<T> {
        if let Some(known) = self.things.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut things = self.things.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = things.get(name) {
            return Arc::clone(known);
        }
        if things.len() < LIMIT {
            return Arc::clone(things.entry(name.into()).or_insert_with(|| Arc::new(make(name.into()))));
        }
        drop(things);
        self.dropped
            .get(metrics, |recorder| {
                register_counter(recorder, &library::SERIES_DROPPED, vec![Label::new(label::METRIC, self.metric.name)])
            })
            .increment(1);
        Arc::clone(self.overflow.get_or_init(|| Arc::new(make(label::OTHER.into()))))
    }
}
