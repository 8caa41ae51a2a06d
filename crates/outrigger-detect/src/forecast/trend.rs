//! A line through buckets of time that a few wild values cannot bend.

use serde::{Deserialize, Serialize};

/// Closed buckets that a trend is looked for in.
pub(super) const BUCKETS: usize = 24;
/// Buckets that must hold values: fewer prove nothing.
const LEAST: usize = 12;
/// The latest buckets, of which the trend must still be true.
const LATEST: usize = 8;
/// The share of the trend's slope that the latest buckets must still show.
const STILL: f64 = 0.5;
/// Standard deviations of Kendall's statistic that the range of the slope spans on either side: one in a thousand lines of
/// noise is taken for a trend, before the other rules.
const BEYOND_CHANCE: f64 = 3.3;
/// The rise over the whole span must be this many times the wobble (the median distance from the line).
const OVER_WOBBLE: f64 = 6.0;
const PAIRS: usize = BUCKETS * (BUCKETS + 1) / 2;

/// The values within one piece of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// The number of the piece: its start in units of its width.
    pub(super) index: i64,
    pub(super) mean: f64,
    pub(super) count: u32,
    pub(super) highest: f64,
}

impl Bucket {
    pub(super) fn new(index: i64, value: f64) -> Self {
        Self { index, mean: value, count: 1, highest: value }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.mean += (value - self.mean) / f64::from(self.count);
        self.highest = self.highest.max(value);
    }

    pub(super) fn is_sound(&self) -> bool {
        self.mean.is_finite() && self.highest.is_finite() && self.count > 0 && self.index.unsigned_abs() < 1 << 52
    }
}

/// A significant rise, in units of values per bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    pub(super) slope: f64,
    /// The range of slopes that chance leaves, both above 0.
    pub(super) slope_low: f64,
    pub(super) slope_high: f64,
    /// Buckets from the first to the last.
    pub(super) span: f64,
    /// The last bucket, and the line's height in its middle.
    pub(super) index: i64,
    pub(super) height: f64,
}

impl Trend {
    /// The rise that the buckets show, if they do.
    pub(super) fn of(buckets: &[Bucket]) -> Option<Self> {
        if buckets.len() < LEAST {
            return None;
        }
        let mut room = [0.0; PAIRS];
        let slopes = slopes(buckets, &mut room);
        let slope = median(slopes);
        if slope <= 0.0 {
            return None;
        }
        // Sen's range: as many slopes from either end as Kendall's statistic may be off by chance.
        let n = buckets.len() as f64;
        let off = BEYOND_CHANCE * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
        let last = slopes.len().saturating_sub(1);
        let low = ((slopes.len() as f64 - off) / 2.0).floor().max(0.0) as usize;
        let slope_low = slopes.get(low).copied().unwrap_or(0.0);
        let slope_high = slopes.get(last.saturating_sub(low)).copied().unwrap_or(slope);
        let (first, latest) = (buckets.first()?, buckets.last()?);
        let span = (latest.index - first.index) as f64;
        if slope_low <= 0.0 {
            return None;
        }

        let mut heights = [0.0; BUCKETS + 1];
        for (height, bucket) in heights.iter_mut().zip(buckets) {
            *height = bucket.mean - slope * (bucket.index - first.index) as f64;
        }
        let heights = heights.get_mut(..buckets.len())?;
        heights.sort_unstable_by(f64::total_cmp);
        let middle = median(heights);
        for height in heights.iter_mut() {
            *height = (*height - middle).abs();
        }
        heights.sort_unstable_by(f64::total_cmp);
        if slope * span < OVER_WOBBLE * median(heights) {
            return None;
        }

        let of_late = buckets.get(buckets.len() - LATEST..)?;
        let mut room = [0.0; PAIRS];
        let slope_of_late = median(self::slopes(of_late, &mut room));
        let (span, height, index) = (span + 1.0, middle + slope * span, latest.index);
        (slope_of_late >= STILL * slope).then_some(Self { slope, slope_low, slope_high, span, index, height })
    }

    pub(super) fn is_sound(self) -> bool {
        self.slope_low > 0.0
            && self.slope >= self.slope_low
            && self.slope_high >= self.slope
            && self.slope_high.is_finite()
            && (1.0..=(BUCKETS + 1) as f64).contains(&self.span)
            && self.height.is_finite()
            && self.index.unsigned_abs() < 1 << 52
    }
}

/// The slopes between any two buckets, ascending.
fn slopes<'a>(buckets: &[Bucket], room: &'a mut [f64; PAIRS]) -> &'a mut [f64] {
    let mut count = 0;
    for (index, later) in buckets.iter().enumerate() {
        for earlier in buckets.iter().take(index) {
            if let Some(slope) = room.get_mut(count) {
                *slope = (later.mean - earlier.mean) / (later.index - earlier.index) as f64;
                count += 1;
            }
        }
    }
    let (slopes, _) = room.split_at_mut(count);
    slopes.sort_unstable_by(f64::total_cmp);
    slopes
}

/// The median of ascending numbers, 0 if there are none.
fn median(ascending: &[f64]) -> f64 {
    let middle = ascending.len() / 2;
    match (ascending.get(middle), ascending.get(middle.wrapping_sub(1))) {
        (Some(high), Some(low)) if ascending.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (Some(middle), _) => *middle,
        _ => 0.0,
    }
}
