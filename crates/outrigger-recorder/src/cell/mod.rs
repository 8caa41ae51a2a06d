//! Where numbers are kept: one cell per series, written without locks.

mod activity;
mod bounds;
mod counter;
mod gauge;
mod histogram;
mod lost;
mod stripes;

use std::sync::Arc;

pub(crate) use bounds::Bounds;
pub(crate) use counter::Counter;
pub(crate) use gauge::Gauge;
pub(crate) use histogram::Histogram;
pub(crate) use lost::{Nowhere, Overflow};
use outrigger_exposition::{self as exposition, Kind, Value};

use crate::family::Shared;

/// The cell of a series.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
}

impl Cell {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        match shared.kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Histogram => Self::Histogram(Arc::new(Histogram::new(Arc::clone(shared)))),
            _ => Self::Gauge(Arc::default()),
        }
    }

    /// Marks the cell as quiet and says whether it had been so, which is to say since the last call.
    pub(crate) fn quieten(&self) -> bool {
        match self {
            Self::Counter(cell) => cell.activity.quieten(),
            Self::Gauge(cell) => cell.activity.quieten(),
            Self::Histogram(cell) => cell.activity.quieten(),
        }
    }

    /// The value, as the model of a page has it.
    pub(crate) fn owned_value(&self, bounds: &[f64], counts: &mut Vec<u64>) -> Value {
        match self {
            Self::Counter(cell) => Value::Counter(cell.value() as f64),
            Self::Gauge(cell) => Value::Gauge(cell.value()),
            Self::Histogram(cell) => {
                let sum = cell.read(counts);
                Value::Histogram(exposition::Histogram {
                    bounds: bounds.to_vec(),
                    counts: counts.clone(),
                    sum: Some(sum),
                    ..exposition::Histogram::default()
                })
            }
        }
    }

    /// How many share the cell.
    pub(crate) fn holders(&self) -> usize {
        match self {
            Self::Counter(cell) => Arc::strong_count(cell),
            Self::Gauge(cell) => Arc::strong_count(cell),
            Self::Histogram(cell) => Arc::strong_count(cell),
        }
    }
}
