//! Handles for what has no series of its own, counting what comes to them.

use metrics::{CounterFn, GaugeFn, HistogramFn};
use std::sync::Arc;

use crate::family::Shared;
use crate::sync::{AtomicU64, Ordering};

/// Passes on to a metric's overflow series, and counts.
#[derive(Debug)]
pub(crate) struct Overflow<C> {
    cell: Arc<C>,
    shared: Arc<Shared>,
}

impl<C> Overflow<C> {
    pub(crate) const fn new(cell: Arc<C>, shared: Arc<Shared>) -> Self {
        Self { cell, shared }
    }

    fn count(&self, observations: u64) -> &C {
        self.shared.dropped.fetch_add(observations, Ordering::Relaxed);
        &self.cell
    }
}

impl<C: CounterFn> CounterFn for Overflow<C> {
    fn increment(&self, value: u64) {
        self.count(1).increment(value);
    }

    fn absolute(&self, value: u64) {
        self.count(1).absolute(value);
    }
}

impl<C: GaugeFn> GaugeFn for Overflow<C> {
    fn increment(&self, value: f64) {
        self.count(1).increment(value);
    }

    fn decrement(&self, value: f64) {
        self.count(1).decrement(value);
    }

    fn set(&self, value: f64) {
        self.count(1).set(value);
    }
}

impl<C: HistogramFn> HistogramFn for Overflow<C> {
    fn record(&self, value: f64) {
        self.count(1).record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.count(count as u64).record_many(value, count);
    }
}

/// Keeps nothing but the number of observations.
#[derive(Debug, Default)]
pub(crate) struct Nowhere {
    pub(crate) dropped: AtomicU64,
}

impl Nowhere {
    fn count(&self, observations: u64) {
        self.dropped.fetch_add(observations, Ordering::Relaxed);
    }
}

impl CounterFn for Nowhere {
    fn increment(&self, _: u64) {
        self.count(1);
    }

    fn absolute(&self, _: u64) {
        self.count(1);
    }
}

impl GaugeFn for Nowhere {
    fn increment(&self, _: f64) {
        self.count(1);
    }

    fn decrement(&self, _: f64) {
        self.count(1);
    }

    fn set(&self, _: f64) {
        self.count(1);
    }
}

impl HistogramFn for Nowhere {
    fn record(&self, _: f64) {
        self.count(1);
    }

    fn record_many(&self, _: f64, count: usize) {
        self.count(count as u64);
    }
}
