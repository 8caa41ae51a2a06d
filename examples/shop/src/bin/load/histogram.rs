//! Latencies in constant memory: buckets whose width grows with the value, so that quantiles are off by 1.6 % at most.

use std::time::Duration;

/// Each doubling of the value is cut into so many buckets.
const STEPS: usize = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// 2^36 µs are 19 hours; what is longer lands in the last bucket.
const DOUBLINGS: usize = 37 - STEP_BITS as usize;

#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (DOUBLINGS + 1) * STEPS], count: 0, max: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[bucket(micros).min(last)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The largest value, exactly. `None` if there is none.
    pub(crate) fn max(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.max)
    }

    /// The value that a share `q` of all values does not exceed, to the middle of its bucket. `None` if there is none.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(middle(index).min(self.max));
            }
        }
        Some(self.max)
    }
}

/// The first two doublings are exact: a bucket for each microsecond.
fn bucket(micros: u64) -> usize {
    let bits = u64::BITS - micros.leading_zeros();
    let shift = bits.saturating_sub(STEP_BITS + 1);
    shift as usize * STEPS + (micros >> shift) as usize
}

fn middle(index: usize) -> Duration {
    let shift = (index / STEPS).saturating_sub(1);
    let step = (index - shift * STEPS) as u64;
    let (low, width) = (step << shift, 1_u64 << shift);
    Duration::from_nanos(low * 1_000 + width.saturating_sub(1) * 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_their_middle() {
        let mut last = 0;
        for micros in (0..5_000).chain((5_000..100_000_000).step_by(9_973)) {
            let index = bucket(micros);
            assert!(index >= last && (micros >= 5_000 || index <= last + 1), "{micros}");
            last = index;
            let middle = middle(index).as_secs_f64() * 1e6;
            assert!(
                (middle - micros as f64).abs() <= micros as f64 * 0.016 + 1e-6,
                "{micros} lies in a bucket round {middle}"
            );
        }
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=1_000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (q, ms) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = histogram.quantile(q).unwrap().as_secs_f64() * 1e3;
            assert!((found - ms).abs() <= ms * 0.016, "p{q}: {found}");
        }
        histogram.record(Duration::from_secs(1_000_000));
        assert_eq!(histogram.max(), Some(Duration::from_secs(1_000_000)));
        assert_eq!(histogram.count, 1_001);
    }

    #[test]
    fn sums_are_as_if_recorded_together() {
        let (mut one, mut two, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
        for ms in 0..100 {
            if ms % 3 == 0 { &mut one } else { &mut two }.record(Duration::from_millis(ms));
            both.record(Duration::from_millis(ms));
        }
        one.add(&two);
        assert_eq!(one.counts, both.counts);
        assert_eq!((one.count, one.max()), (both.count, both.max()));
    }
}
