//! Histograms with fixed buckets.

use std::sync::{Arc, OnceLock};

use metrics::HistogramFn;
use outrigger_exposition::BucketExemplar;

use super::activity::Activity;
use super::stripes::{self, Stripes};
use crate::family::Shared;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Observations counted in buckets, and their sum.
#[derive(Debug)]
pub(crate) struct Histogram {
    shared: Arc<Shared>,
    counts: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
    stripes: OnceLock<Stripes>,
    /// Collisions of threads at the sum, until there are stripes.
    collisions: AtomicU32,
    pub(crate) activity: Activity,
    #[cfg(feature = "exemplars")]
    exemplars: super::exemplars::Exemplars,
}

/// After so many collisions a histogram is worth the memory of stripes.
const COLLISIONS: u32 = 8;

impl Histogram {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let buckets = shared.bounds.finite().len() + 1;
        Self {
            shared,
            counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            stripes: OnceLock::new(),
            collisions: AtomicU32::new(0),
            activity: Activity::default(),
            #[cfg(feature = "exemplars")]
            exemplars: Default::default(),
        }
    }

    /// The way of all observations that [`record`](HistogramFn::record) has no short way for.
    #[inline(never)]
    fn add(&self, value: f64, count: u64, product: f64) {
        if !value.is_finite() {
            self.shared.invalid.fetch_add(count, Ordering::Relaxed);
            return;
        }
        self.add_to(self.find(value), count, product);
    }

    /// The bucket of a finite value, which may become that bucket's exemplar.
    #[inline(always)]
    pub(super) fn find(&self, value: f64) -> usize {
        let bucket = self.shared.bounds.bucket(value);
        self.exemplify(bucket, value);
        bucket
    }

    #[inline(always)]
    pub(super) fn add_to(&self, bucket: usize, count: u64, product: f64) {
        if let Some(stripes) = self.stripes.get() {
            stripes.add(bucket, count, product);
        } else if let Some(slot) = self.counts.get(bucket) {
            slot.fetch_add(count, Ordering::Relaxed);
            return self.add_to_sum(product);
        }
        self.activity.note();
    }

    /// For a sum that is busy or about to overflow.
    #[inline(never)]
    fn add_to_sum(&self, product: f64) {
        if !stripes::add_to_sum(&self.sum, product) {
            self.collided();
        }
        self.activity.note();
    }

    #[cold]
    fn collided(&self) {
        if self.collisions.fetch_add(1, Ordering::Relaxed) + 1 >= COLLISIONS {
            self.stripe();
        }
    }

    #[cold]
    pub(super) fn stripe(&self) {
        self.stripes.get_or_init(|| Stripes::new(self.counts.len()));
    }

    /// Keeps the observation as its bucket's exemplar if it belongs to a trace.
    #[cfg(feature = "exemplars")]
    #[inline(always)]
    fn exemplify(&self, bucket: usize, value: f64) {
        let source = || self.shared.exemplar_source.and_then(|source| source());
        if let Some(span) = crate::exemplar::current().or_else(source) {
            self.exemplars.keep(self.counts.len(), bucket, value, span);
        }
    }

    #[cfg(not(feature = "exemplars"))]
    #[inline(always)]
    #[allow(clippy::unused_self, reason = "it has something to do when the feature is on")]
    const fn exemplify(&self, _bucket: usize, _value: f64) {}

    #[cfg_attr(not(feature = "exemplars"), allow(clippy::unused_self, reason = "there are none"))]
    pub(crate) fn read_exemplars(&self, to: &mut Vec<BucketExemplar>) {
        #[cfg(feature = "exemplars")]
        self.exemplars.read(to);
        #[cfg(not(feature = "exemplars"))]
        let _ = to;
    }

    /// Adds everything up: the counts into `counts`, which is emptied first. Gives the sum.
    ///
    /// A count is written before the sum and read after it: what is in this sum is in these counts too.
    pub(crate) fn read(&self, counts: &mut Vec<u64>) -> f64 {
        let own = f64::from_bits(self.sum.load(Ordering::SeqCst));
        let stripes = self.stripes.get();
        let sum = own + stripes.map_or(0.0, Stripes::sum);
        counts.clear();
        counts.extend(self.counts.iter().map(|slot| slot.load(Ordering::Relaxed)));
        if let Some(stripes) = stripes {
            stripes.add_counts_to(counts);
        }
        sum.clamp(f64::MIN, f64::MAX)
    }
}

impl HistogramFn for Histogram {
    /// Each exit is the last thing that is done, so that the ordinary way saves no registers.
    #[inline]
    fn record(&self, value: f64) {
        if self.stripes.get().is_some() {
            return self.add(value, 1, value);
        }
        let old = self.sum.load(Ordering::Relaxed);
        let new = f64::from_bits(old) + value;
        // Infinite or NaN, which says as much of the value or, seldom, that the sum is full.
        if !new.is_finite() {
            return self.add(value, 1, value);
        }
        let bucket = self.shared.bounds.bucket(value);
        if let Some(slot) = self.counts.get(bucket) {
            self.exemplify(bucket, value);
            slot.fetch_add(1, Ordering::Relaxed);
            // A weak exchange that fails by itself is tried again there.
            let exchanged = self.sum.compare_exchange_weak(old, new.to_bits(), Ordering::SeqCst, Ordering::Relaxed);
            if exchanged.is_err() {
                return self.add_to_sum(value);
            }
            self.activity.note();
        }
    }

    fn record_many(&self, value: f64, count: usize) {
        if count > 0 {
            self.add(value, count as u64, value * count as f64);
        }
    }
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
        let sum = histogram.read(&mut counts);
        (counts, sum)
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
        assert_eq!(read(&histogram).0, [1000, 1002]);
    }

    #[test]
    fn collisions_make_stripes() {
        let histogram = histogram(&[1.0]);
        for _ in 0..COLLISIONS {
            assert!(histogram.stripes.get().is_none());
            histogram.collided();
        }
        assert!(histogram.stripes.get().is_some());
        histogram.record(0.25);
        assert_eq!(read(&histogram), (vec![1, 0], 0.25));
        assert_eq!(histogram.counts[0].load(Ordering::Relaxed), 0);
    }

    #[test]
    fn stripes_change_nothing_but_the_place() {
        let histogram = histogram(&[1.0]);
        histogram.record(0.5);
        histogram.stripe();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.record(2.0)));
            }
        });
        assert_eq!(read(&histogram), (vec![1, 4000], 8000.5));
    }
}
