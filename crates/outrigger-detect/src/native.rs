//! Native (exponential) histograms in buckets that stay.
//!
//! A native histogram has as many buckets as its observations need, and may give up resolution when they become too many:
//! just when latencies spread, which is when somebody looks. Detectors want the same buckets all the time. So what is counted
//! is put into a fixed grid, four buckets for each doubling.

use serde::{Deserialize, Serialize};

/// A native histogram's observations in a fixed grid of buckets, cumulative over its life as the histogram itself is.
///
/// A source bucket that lies within one bucket of the grid adds to that; so does each of a finer schema, exactly, since
/// schemas nest. What a wider one counts is spread over the grid's buckets in it in proportion to what they held while the
/// source was finer, or evenly if that is not known: a source that becomes coarser changes no share by itself. Counts of the
/// grid fall only when the source's do.
///
/// ```
/// use outrigger_detect::NativeFold;
///
/// let mut fold = NativeFold::default();
/// let counts = fold.update([(0.0, 0.25, 5), (0.25, 0.5, 3)]); // lower bound, upper bound, observations
/// assert_eq!(counts.len(), NativeFold::bounds().len() + 1);
/// assert_eq!(counts.iter().sum::<u64>(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct NativeFold {
    counts: [u64; BUCKETS],
    /// What the buckets held when all of them were known.
    shape: [u64; BUCKETS],
    /// What each is still to be given of whole observations that were spread, between -1 and 1.
    owed: [f64; BUCKETS],
}

/// Buckets for each doubling: schema 2, whose bounds grow by a fifth.
const PER_DOUBLING: i32 = 4;
/// The least and the greatest bound, as powers of two: 1 ms and 64 s.
const LEAST: i32 = -10;
const GREATEST: i32 = 6;
const BOUNDS: usize = ((GREATEST - LEAST) * PER_DOUBLING + 1) as usize;
const BUCKETS: usize = BOUNDS + 1;
/// Computed bounds differ in their last digits.
const SLACK: f64 = 1e-9;

/// A fold as it is kept: lists, which may be of any length when they are read.
#[derive(Serialize, Deserialize)]
struct Kept {
    counts: Vec<u64>,
    shape: Vec<u64>,
    owed: Vec<f64>,
}

impl From<NativeFold> for Kept {
    fn from(fold: NativeFold) -> Self {
        Self { counts: fold.counts.to_vec(), shape: fold.shape.to_vec(), owed: fold.owed.to_vec() }
    }
}

impl TryFrom<Kept> for NativeFold {
    type Error = &'static str;

    fn try_from(kept: Kept) -> Result<Self, Self::Error> {
        let array = |counts: Vec<u64>| counts.try_into().map_err(|_| "another grid of buckets");
        let owed: [f64; BUCKETS] = kept.owed.try_into().map_err(|_| "another grid of buckets")?;
        if !owed.iter().all(|owed| owed.abs() <= 2.0) {
            return Err("shares that are none");
        }
        Ok(Self { counts: array(kept.counts)?, shape: array(kept.shape)?, owed })
    }
}

impl Default for NativeFold {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], shape: [0; BUCKETS], owed: [0.0; BUCKETS] }
    }
}

impl NativeFold {
    /// The upper bounds of the grid in seconds, ascending; what lies above the last has a bucket too.
    #[must_use]
    pub fn bounds() -> [f64; 65] {
        let mut bounds = [0.0; BOUNDS];
        let first = f64::from(LEAST * PER_DOUBLING);
        let mut place = first;
        for bound in &mut bounds {
            *bound = (place / f64::from(PER_DOUBLING)).exp2();
            place += 1.0;
        }
        bounds
    }

    /// Takes in the histogram as it stands: lower bound, upper bound and observations of each bucket, ascending. Buckets of
    /// negative observations count as nought, infinite bounds are welcome, and buckets whose bounds make no sense (not a
    /// number, or the wrong way round) are left out. Answers the grid's buckets, **not** cumulative over bounds.
    pub fn update(&mut self, buckets: impl IntoIterator<Item = (f64, f64, u64)>) -> &[u64] {
        let bounds = Self::bounds();
        let mut known = [0_u64; BUCKETS];
        let mut wide = Vec::new();
        for (lower, upper, count) in buckets {
            if count == 0 || lower.is_nan() || upper.is_nan() || lower > upper {
                continue;
            }
            let last = bounds.partition_point(|bound| *bound < upper * (1.0 - SLACK));
            let first = bounds.partition_point(|bound| *bound <= lower.max(0.0) * (1.0 + SLACK)).min(last);
            match known.get_mut(first) {
                Some(sum) if first == last => *sum = sum.saturating_add(count),
                // Bounded: there are no more ranges than the grid has.
                _ if wide.len() < BUCKETS * 2 => wide.push((first, last, count)),
                _ => {}
            }
        }
        if wide.is_empty() {
            (self.counts, self.shape) = (known, known);
            self.owed = [0.0; BUCKETS];
            return &self.counts;
        }
        let mut counts = known;
        for (first, last, count) in wide {
            self.spread(first, last, count, &known, &mut counts);
        }
        self.counts = counts;
        &self.counts
    }

    /// Some buckets of the source were wider than those of the grid, so that what is known here is not known there.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        self.counts != self.shape
    }

    /// Spreads what a bucket over several of the grid counts. What they were given before stays theirs.
    fn spread(&mut self, first: usize, last: usize, count: u64, known: &[u64; BUCKETS], counts: &mut [u64; BUCKETS]) {
        // The lowest and the highest of the grid may have buckets of the source to themselves beside this one.
        let mut before = [0; BUCKETS];
        for (before, (held, known)) in before.iter_mut().zip(self.counts.iter().zip(known)) {
            *before = held.saturating_sub(*known);
        }
        let range = first..=last;
        let (Some(before), Some(shape), Some(owed), Some(counts)) = (
            before.get(range.clone()),
            self.shape.get(range.clone()),
            self.owed.get_mut(range.clone()),
            counts.get_mut(range),
        ) else {
            return;
        };
        let more = match count.checked_sub(total(before)) {
            Some(more) => {
                counts.iter_mut().zip(before).for_each(|(count, before)| *count = count.saturating_add(*before));
                more
            }
            None => {
                // The source began anew.
                owed.fill(0.0);
                count
            }
        };
        let weight = total(shape) as f64;
        let even = 1.0 / shape.len() as f64;
        let mut left = more;
        for ((owed, shape), count) in owed.iter_mut().zip(shape).zip(counts.iter_mut()) {
            *owed += more as f64 * if weight > 0.0 { *shape as f64 / weight } else { even };
            // A saturating cast: who was given too much gets nothing.
            let whole = (owed.floor() as u64).min(left);
            *owed -= whole as f64;
            *count = count.saturating_add(whole);
            left -= whole;
        }
        // Less than one for each: to whom most is owed.
        while left > 0 {
            let most = owed.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place);
            let Some((owed, count)) = most.and_then(|place| Some((owed.get_mut(place)?, counts.get_mut(place)?)))
            else {
                return;
            };
            // Rounding of huge counts can leave more than a few.
            let part = if left > BUCKETS as u64 { left } else { 1 };
            *owed -= 1.0;
            *count = count.saturating_add(part);
            left -= part;
        }
    }
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

/// The bounds of a bucket of a native histogram as its specification has them: bucket `index` of `schema` (-4 to 8) counts
/// what lies in `(base^(index-1), base^index]`, with `base = 2^(2^-schema)`. Lower bound first.
///
/// Source: [Prometheus, Native Histograms](https://prometheus.io/docs/specs/native_histograms/).
///
/// ```
/// assert_eq!(outrigger_detect::native_bucket(0, 3), (4.0, 8.0));
/// ```
#[must_use]
pub fn native_bucket(schema: i32, index: i32) -> (f64, f64) {
    let width = f64::from(-schema.clamp(-4, 8)).exp2();
    let bound = |index: f64| (index * width).exp2();
    (bound(f64::from(index) - 1.0), bound(f64::from(index)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Observations in the buckets of a schema.
    fn buckets(schema: i32, observations: &[f64]) -> Vec<(f64, f64, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for observation in observations {
            let index = (observation.log2() * f64::from(schema).exp2()).ceil() as i32;
            *counts.entry(index).or_insert(0) += 1;
        }
        counts
            .into_iter()
            .map(|(index, count)| {
                let (lower, upper) = native_bucket(schema, index);
                (lower, upper, count)
            })
            .collect()
    }

    /// Latencies around 30 ms, the same in every run.
    fn latencies(many: usize, seed: u64) -> Vec<f64> {
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as f64 / f64::from(1_u32 << 31)
        };
        (0..many).map(|_| 0.03 * (0.3 * (next() + next() + next() - 1.5)).exp()).collect()
    }

    #[test]
    fn a_bucket_of_a_finer_schema_goes_where_it_lies() {
        let observations = latencies(1000, 1);
        let coarse = NativeFold::default().update(buckets(2, &observations)).to_vec();
        for schema in 3..=8 {
            assert_eq!(NativeFold::default().update(buckets(schema, &observations)), coarse, "schema {schema}");
        }
        let bounds = NativeFold::bounds();
        assert_eq!((bounds[0], bounds[40], bounds[64]), (1.0 / 1024.0, 1.0, 64.0));
        for (place, count) in coarse.iter().enumerate() {
            let low = if place == 0 { 0.0 } else { bounds[place - 1] };
            let high = bounds.get(place).copied().unwrap_or(f64::INFINITY);
            let inside = observations.iter().filter(|value| **value > low && **value <= high).count();
            assert_eq!(*count, inside as u64);
        }
    }

    #[test]
    fn a_source_that_becomes_coarser_changes_no_share() {
        let mut observations = latencies(20_000, 3);
        let mut fold = NativeFold::default();
        let before = fold.update(buckets(4, &observations)).to_vec();
        let mut last = before.clone();
        for round in 0..100 {
            observations.extend(latencies(20, 100 + round));
            let counts = fold.update(buckets(0, &observations)).to_vec();
            assert!(fold.is_spread());
            let kept = serde_json::to_string(&fold).unwrap();
            assert_eq!(serde_json::from_str::<NativeFold>(&kept).unwrap(), fold);
            assert_eq!(total(&counts), observations.len() as u64);
            assert!(counts.iter().zip(&last).all(|(now, before)| now >= before), "no count falls");
            last = counts;
        }
        let added = (total(&last) - total(&before)) as f64;
        for (now, before) in last.iter().zip(&before) {
            let (share_before, share) = (*before as f64 / 20_000.0, (now - before) as f64 / added);
            assert!((share - share_before).abs() < 0.02, "{share_before} became {share}");
        }
    }

    #[test]
    fn a_detector_stays_calm_while_the_source_loses_resolution() {
        use crate::{Interval, LatencyDetector, LatencySettings, Phase};
        let mut detector = LatencyDetector::new(LatencySettings::default());
        let (mut fold, bounds) = (NativeFold::default(), NativeFold::bounds());
        let (mut observations, mut last) = (Vec::new(), vec![0; BUCKETS]);
        let (mut warm, mut alarms) = (0, 0);
        for tick in 0..600 {
            let new = latencies(50, 7 + tick);
            let sum = new.iter().sum();
            observations.extend(new);
            let counts = fold.update(buckets(if tick < 300 { 3 } else { 0 }, &observations)).to_vec();
            let delta: Vec<u64> = counts.iter().zip(&last).map(|(now, before)| now - before).collect();
            last = counts;
            let at = f64::NAN;
            let verdict =
                detector.observe(&Interval { at, bounds: &bounds, delta: &delta, sum, seconds: 5.0, reset: false });
            warm += u32::from(verdict.phase == Phase::Calm);
            alarms += u32::from(verdict.phase == Phase::Anomalous);
        }
        assert!(warm > 500 && alarms == 0, "calm {warm}, anomalous {alarms}");
    }

    #[test]
    fn what_was_kept_of_another_grid_is_refused() {
        let kept = serde_json::to_string(&NativeFold::default()).unwrap();
        for (from, to) in [("\"counts\":[0,", "\"counts\":["), ("\"owed\":[0.0", "\"owed\":[7e9")] {
            let other = kept.replacen(from, to, 1);
            assert_ne!(other, kept);
            assert!(serde_json::from_str::<NativeFold>(&other).is_err());
        }
    }

    #[test]
    fn nought_negative_and_infinite_have_a_place() {
        let infinite = f64::INFINITY;
        let counts = NativeFold::default()
            .update([(-infinite, -1.0, 1), (-1.0, 0.0, 1), (0.0, 1e-9, 1), (70.0, 80.0, 1), (100.0, infinite, 1)])
            .to_vec();
        assert_eq!((counts[0], counts[BUCKETS - 1], total(&counts)), (3, 2, 5));
        let nonsense = [(f64::NAN, 1.0, 1), (1.0, f64::NAN, 1), (2.0, 1.0, 1)];
        assert_eq!(total(NativeFold::default().update(nonsense)), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_and_nothing_falls(
            pages in prop::collection::vec((-4..=8_i32, prop::collection::vec(-60..40_i32, 1..30), 1..1_000_000_u64), 1..8)
        ) {
            let mut fold = NativeFold::default();
            let mut observations: Vec<f64> = Vec::new();
            let (mut schema, mut last) = (8, vec![0; BUCKETS]);
            for (coarser, places, times) in pages {
                schema = coarser.min(schema);
                observations.extend(places.iter().map(|place| (f64::from(*place) / 4.0).exp2() * 0.99));
                let counts = fold.update(buckets(schema, &observations)).to_vec();
                prop_assert_eq!(total(&counts), observations.len() as u64);
                prop_assert!(counts.iter().zip(&last).all(|(now, before)| now >= before));
                last = counts;
                // A huge bucket over everything is taken in too.
                let mut huge = fold.clone();
                let all = total(huge.update([(0.0, f64::INFINITY, times.saturating_mul(1 << 40))]));
                prop_assert_eq!(all, times.saturating_mul(1 << 40));
            }
        }

        #[test]
        fn any_buckets_are_survived(buckets in prop::collection::vec((any::<f64>(), any::<f64>(), any::<u64>()), 0..50)) {
            let mut fold = NativeFold::default();
            fold.update(buckets.clone());
            prop_assert!(fold.owed.iter().all(|owed| owed.is_finite()));
            fold.update(buckets);
        }
    }
}
