//! Histograms with fixed buckets.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use metrics::HistogramFn;

use super::activity::Activity;
use super::stripes::{Stripes, add_to_sum};
use crate::family::Shared;

/// Observations counted in buckets, and their sum.
#[derive(Debug)]
pub(crate) struct Histogram {
    shared: Arc<Shared>,
    /// A count for each bucket, then the bits of the sum.
    slots: Box<[AtomicU64]>,
    /// Collisions of threads at the sum, until there are stripes.
    collisions: AtomicU32,
    stripes: OnceLock<Stripes>,
    pub(crate) activity: Activity,
}

/// After so many collisions a histogram is worth the memory of stripes.
const COLLISIONS: u32 = 8;

impl Histogram {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let slots = shared.bounds.finite().len() + 2;
        Self {
            shared,
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            collisions: AtomicU32::new(0),
            stripes: OnceLock::new(),
            activity: Activity::default(),
        }
    }

    /// The count is written before the sum and read after it: what is in the sum of a reading is in its counts too.
    #[inline(always)]
    fn add(&self, value: f64, count: u64, product: f64) {
        if !value.is_finite() {
            return self.refuse(count);
        }
        let bucket = self.shared.bounds.bucket(value);
        if let Some(stripes) = self.stripes.get() {
            stripes.add(bucket, count, product);
        } else if let [counts @ .., sum] = &*self.slots
            && let Some(slot) = counts.get(bucket)
        {
            slot.fetch_add(count, Ordering::Relaxed);
            if !add_to_sum(sum, product) {
                self.collided();
            }
        }
        self.activity.note();
    }

    #[cold]
    fn refuse(&self, count: u64) {
        self.shared.invalid.fetch_add(count, Ordering::Relaxed);
    }

    #[cold]
    fn collided(&self) {
        if self.collisions.fetch_add(1, Ordering::Relaxed) >= COLLISIONS {
            self.stripes.get_or_init(|| Stripes::new(self.slots.len()));
        }
    }

    /// Adds everything up: the counts into `counts`, which is emptied first.
    pub(crate) fn read(&self, counts: &mut Vec<u64>) -> Reading {
        counts.clear();
        let [slots @ .., sum] = &*self.slots else { return Reading { sum: 0.0 } };
        let stripes = self.stripes.get();
        let own = f64::from_bits(sum.load(Ordering::Acquire));
        let sum = own + stripes.map_or(0.0, Stripes::sum);
        counts.extend(slots.iter().map(|slot| slot.load(Ordering::Relaxed)));
        if let Some(stripes) = stripes {
            stripes.add_counts_to(counts);
        }
        Reading { sum: sum.clamp(f64::MIN, f64::MAX) }
    }
}

impl HistogramFn for Histogram {
    #[inline]
    fn record(&self, value: f64) {
        self.add(value, 1, value);
    }

    fn record_many(&self, value: f64, count: usize) {
        if count > 0 {
            self.add(value, count as u64, value * count as f64);
        }
    }
}

/// What a histogram holds beside its counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The sum of the observations.
    pub(crate) sum: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_exposition::Kind;

    fn histogram(bounds: &[f64]) -> Histogram {
        Histogram::new(Arc::new(Shared::new("x", Kind::Histogram, bounds)))
    }

    fn read(histogram: &Histogram) -> (Vec<u64>, f64) {
        let mut counts = vec![7];
        let reading = histogram.read(&mut counts);
        (counts, reading.sum)
    }

    #[test]
    fn counts_and_sums() {
        let histogram = histogram(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 3.0, -1.0] {
            histogram.record(value);
        }
        histogram.record_many(0.25, 4);
        histogram.record_many(9.0, 0);
        assert_eq!(read(&histogram), (vec![7, 2, 1], 8.0));
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let histogram = histogram(&[1.0]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            histogram.record(value);
        }
        histogram.record_many(f64::NAN, 5);
        assert_eq!(read(&histogram), (vec![0, 0], 0.0));
        assert_eq!(histogram.shared.invalid.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn sums_stay_finite() {
        let histogram = histogram(&[1.0]);
        histogram.record(f64::MAX);
        histogram.record(f64::MAX);
        histogram.record_many(f64::MAX, 1000);
        assert_eq!(read(&histogram).1, f64::MAX);
        histogram.record_many(f64::MIN, 1000);
        assert!(read(&histogram).1.is_finite());
    }

    #[test]
    fn stripes_change_nothing_but_the_place() {
        let histogram = histogram(&[1.0]);
        histogram.record(0.5);
        for _ in 0..=COLLISIONS {
            assert!(histogram.stripes.get().is_none());
            histogram.collided();
        }
        assert!(histogram.stripes.get().is_some());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.record(2.0)));
            }
        });
        assert_eq!(read(&histogram), (vec![1, 4000], 8000.5));
    }
}
