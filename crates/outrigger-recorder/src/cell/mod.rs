//! Where numbers are kept: one cell per series, written without locks.

mod activity;
mod bounds;
mod counter;
#[cfg(feature = "exemplars")]
mod exemplars;
mod gauge;
mod histogram;
mod lost;
#[cfg(all(test, outrigger_loom))]
mod models;
mod native;
mod stripes;

use std::sync::Arc;

pub(crate) use bounds::Bounds;
pub(crate) use counter::Counter;
pub(crate) use gauge::Gauge;
pub(crate) use histogram::Histogram;
pub(crate) use lost::{Nowhere, Overflow};
pub(crate) use native::Native;
use outrigger_exposition::{BucketExemplar, Kind, NativeHistogram, ValueRef};

use crate::family::Shared;

/// The cell of a series.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
    Native(Arc<Native>),
}

impl Cell {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        match shared.kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Histogram if shared.native => Self::Native(Arc::new(Native::new(Histogram::new(Arc::clone(shared))))),
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
            Self::Native(cell) => cell.fixed.activity.quieten(),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) | Self::Native(_) => Kind::Histogram,
        }
    }

    /// The value as it is now. The parts of a histogram are in `scratch`.
    pub(crate) fn read<'s>(&self, bounds: &'s [f64], exemplars: bool, scratch: &'s mut Scratch) -> ValueRef<'s> {
        let Scratch { counts, exemplars: examples, native } = scratch;
        let (sum, fixed, is_native) = match self {
            Self::Counter(cell) => return ValueRef::Number(cell.value() as f64),
            Self::Gauge(cell) => return ValueRef::Number(cell.value()),
            Self::Histogram(cell) => (cell.read(counts), &**cell, false),
            Self::Native(cell) => (cell.read(counts, native), &cell.fixed, true),
        };
        examples.clear();
        if exemplars {
            fixed.read_exemplars(examples);
        }
        let native = is_native.then_some(&*native);
        ValueRef::Histogram { bounds, counts, sum: Some(sum), exemplars: examples, native }
    }

    /// How many share the cell.
    pub(crate) fn holders(&self) -> usize {
        match self {
            Self::Counter(cell) => Arc::strong_count(cell),
            Self::Gauge(cell) => Arc::strong_count(cell),
            Self::Histogram(cell) => Arc::strong_count(cell),
            Self::Native(cell) => Arc::strong_count(cell),
        }
    }
}

/// Room for the value of a histogram while it is written, used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    counts: Vec<u64>,
    exemplars: Vec<BucketExemplar>,
    native: NativeHistogram,
}
