//! Histograms whose buckets grow by a constant factor, beside the fixed ones.

use std::sync::{LazyLock, Mutex};

use metrics::HistogramFn;
use outrigger_exposition::{NativeBuckets, NativeHistogram};

use super::histogram::Histogram;
use crate::lock::lock;

/// A histogram that counts in both kinds of buckets. Under a lock: the resolution changes as observations spread.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) fixed: Histogram,
    buckets: Mutex<Buckets>,
}

impl Native {
    pub(crate) fn new(fixed: Histogram) -> Self {
        Self { fixed, buckets: Mutex::default() }
    }

    /// As [`Histogram::read`], with the native buckets of the same observations.
    pub(crate) fn read(&self, counts: &mut Vec<u64>, native: &mut NativeHistogram) -> f64 {
        let buckets = lock(&self.buckets);
        buckets.copy_to(native);
        self.fixed.read(counts)
    }
}

impl HistogramFn for Native {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        if count == 0 || !value.is_finite() {
            return self.fixed.record_many(value, count);
        }
        // Not under the lock: it may ask the program for the span, which may record.
        let bucket = self.fixed.find(value);
        let mut buckets = lock(&self.buckets);
        buckets.observe(value, count as u64);
        self.fixed.add_to(bucket, count as u64, value * count as f64);
    }
}

/// The most buckets on either side of zero. When observations spread wider, neighbours are merged.
const MOST: usize = 160;

/// The finest resolution, 256 buckets for each power of two.
const FINEST: i32 = 8;

/// What is not further from zero counts as zero: 2^-128, as Prometheus' own client has it.
const ZERO: f64 = 2.938_735_877_055_719e-39;

#[derive(Debug)]
struct Buckets {
    schema: i32,
    zero: u64,
    positive: Side,
    negative: Side,
}

/// Neighbouring buckets from the index `offset` on.
#[derive(Debug, Default)]
struct Side {
    offset: i32,
    counts: Vec<u64>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { schema: FINEST, zero: 0, positive: Side::default(), negative: Side::default() }
    }
}

impl Buckets {
    /// Counts a finite value.
    fn observe(&mut self, value: f64, count: u64) {
        let size = value.abs();
        if size <= ZERO {
            self.zero = self.zero.saturating_add(count);
            return;
        }
        loop {
            let index = index(size, self.schema);
            let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
            if side.add(index, count) {
                return;
            }
            // Ends at -4 at the latest, where 131 buckets hold all finite numbers.
            self.schema -= 1;
            self.positive.halve();
            self.negative.halve();
        }
    }

    fn copy_to(&self, native: &mut NativeHistogram) {
        native.schema = self.schema;
        native.zero_threshold = ZERO;
        native.zero_count = self.zero;
        for (side, to) in [(&self.positive, &mut native.positive), (&self.negative, &mut native.negative)] {
            let NativeBuckets { offset, counts } = to;
            *offset = side.offset;
            counts.clear();
            counts.extend_from_slice(&side.counts);
        }
    }
}

impl Side {
    /// False when there would be too many buckets.
    fn add(&mut self, index: i32, count: u64) -> bool {
        if self.counts.is_empty() {
            self.offset = index;
        }
        let end = self.offset + signed(self.counts.len());
        let span = end.max(index + 1) - self.offset.min(index);
        if span > signed(MOST) {
            return false;
        }
        if index < self.offset {
            let before = (self.offset - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.offset = index;
        } else if index >= end {
            self.counts.resize(span as usize, 0);
        }
        if let Some(bucket) = self.counts.get_mut((index - self.offset) as usize) {
            *bucket = bucket.saturating_add(count);
        }
        true
    }

    /// Merges neighbours: the buckets 2i - 1 and 2i become i.
    fn halve(&mut self) {
        let halved = |index: i32| (index + 1) >> 1;
        let offset = halved(self.offset);
        let mut used = 0;
        for at in 0..self.counts.len() {
            let count = std::mem::take(&mut self.counts[at]);
            let to = (halved(self.offset + signed(at)) - offset) as usize;
            self.counts[to] = self.counts[to].saturating_add(count);
            used = to + 1;
        }
        self.counts.truncate(used);
        self.offset = offset;
    }
}

/// The index of the bucket `(base^(index-1), base^index]` that a normal positive number falls into; base is
/// 2^(2^-schema).
fn index(size: f64, schema: i32) -> i32 {
    /// 2^(k/256) / 2 for each k: the bounds between one half and one.
    static BOUNDS: LazyLock<[f64; 256]> = LazyLock::new(|| std::array::from_fn(|k| 0.5 * (k as f64 / 256.0).exp2()));
    // The number is fraction times 2^exponent, with a fraction from one half up to one.
    let bits = size.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    let fraction = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    if schema <= 0 {
        let power = exponent - i32::from(fraction == 0.5);
        return (power + (1 << -schema) - 1) >> -schema;
    }
    let step = 1 << (FINEST - schema);
    // The number of bounds of this resolution below the fraction.
    let below = BOUNDS.partition_point(|bound| *bound < fraction).div_ceil(step);
    ((exponent - 1) << schema) + signed(below)
}

/// A number of buckets, of which there are a few hundred at most.
fn signed(buckets: usize) -> i32 {
    i32::try_from(buckets).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buckets(values: &[f64]) -> Buckets {
        let mut buckets = Buckets::default();
        values.iter().for_each(|value| buckets.observe(*value, 1));
        buckets
    }

    fn base(schema: i32) -> f64 {
        2_f64.powf(2_f64.powi(-schema))
    }

    fn counts(side: &Side) -> Vec<(i32, u64)> {
        let counts = side.counts.iter().enumerate().map(|(at, count)| (side.offset + signed(at), *count));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn powers_of_two_are_upper_bounds() {
        for schema in -4..=8 {
            for power in -127_i32..=1023 {
                let value = 2_f64.powi(power);
                let expected = if schema >= 0 {
                    power << schema
                } else {
                    (f64::from(power) / f64::from(1 << -schema)).ceil() as i32
                };
                assert_eq!(index(value, schema), expected, "2^{power} at {schema}");
                assert_eq!(
                    index(value.next_up(), schema),
                    (power.div_euclid(1 << (-schema).max(0)) << schema.max(0)) + 1
                );
            }
        }
    }

    #[test]
    fn zero_and_both_sides() {
        let buckets = buckets(&[0.0, -0.0, ZERO, -ZERO, 1.0, -1.0, 2.0]);
        assert_eq!(buckets.zero, 4);
        assert_eq!(counts(&buckets.positive).len(), 2);
        assert_eq!(counts(&buckets.negative), [(0, 1)]);
    }

    #[test]
    fn all_finite_numbers_fit() {
        let buckets = buckets(&[ZERO.next_up(), f64::MAX, -f64::MAX, 1.0, f64::MIN_POSITIVE]);
        assert!((-4..=-2).contains(&buckets.schema), "{}", buckets.schema);
        assert_eq!(buckets.positive.counts.iter().sum::<u64>(), 3);
        assert_eq!(buckets.zero, 1);
    }

    proptest! {
        #[test]
        fn index_is_as_defined(exponent in -120.0..120.0_f64, schema in -4..=8) {
            let value = exponent.exp2();
            let index = index(value, schema);
            // Computed bounds are off by some ulps; a value that near may lie on either side.
            let (lower, upper) = (base(schema).powi(index - 1), base(schema).powi(index));
            prop_assert!(lower * (1.0 - 1e-12) < value && value <= upper * (1.0 + 1e-12), "{lower} {value} {upper}");
        }

        #[test]
        fn merged_buckets_are_those_of_the_lower_resolution(
            values in prop::collection::vec((-60.0..60.0_f64, any::<bool>()), 1..200),
        ) {
            let values: Vec<f64> =
                values.iter().map(|(power, minus)| if *minus { -power.exp2() } else { power.exp2() }).collect();
            let all = buckets(&values);
            prop_assert!(all.positive.counts.len() <= MOST && all.negative.counts.len() <= MOST);
            for (side, sign) in [(&all.positive, 1.0), (&all.negative, -1.0)] {
                let mut expected = std::collections::BTreeMap::<i32, u64>::new();
                for value in values.iter().map(|value| value * sign).filter(|value| *value > 0.0) {
                    *expected.entry(index(value, all.schema)).or_default() += 1;
                }
                prop_assert_eq!(counts(side), expected.into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn quantiles_are_within_a_bucket(
            mut values in prop::collection::vec(1e-4..1e2_f64, 1..300),
            quantile in 0.01..1.0_f64,
        ) {
            let buckets = buckets(&values);
            values.sort_by(f64::total_cmp);
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let mut seen = 0;
            let upper = counts(&buckets.positive).into_iter().find(|(_, count)| {
                seen += *count as usize;
                seen >= rank
            });
            let upper = base(buckets.schema).powi(upper.unwrap().0);
            let exact = values[rank - 1];
            prop_assert!(exact <= upper * (1.0 + 1e-9) && upper <= exact * base(buckets.schema) * (1.0 + 1e-9));
        }
    }
}
