//! What a detector is fed: the change of a route's counters over one interval.

/// The longest interval or request that is believed, in seconds. Longer ones are mistakes of a clock.
const LONGEST: f64 = 86_400.0;

/// Tail counts of a histogram with the most bounds: one for all requests, one above each bound.
pub(crate) const MAX_WIDTH: usize = Interval::MAX_BOUNDS + 1;

/// The requests of one route that ended during one interval, as differences of cumulative bucket counters.
///
/// An interval that cannot be read is ignored and changes nothing: `delta` is not one longer than `bounds`, the bounds
/// are not finite and strictly ascending, or there are more than [`MAX_BOUNDS`](Self::MAX_BOUNDS) of them.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'a> {
    /// When the interval ended, in seconds since the UNIX epoch; the hour of the day comes from it. Not a finite number: not
    /// known.
    pub at: f64,
    /// Upper bounds of the buckets in seconds, inclusive, finite, ascending; `+Inf` is implied.
    pub bounds: &'a [f64],
    /// Requests per bucket, **not** cumulative; one entry more than `bounds`, the last for `+Inf`.
    pub delta: &'a [u64],
    /// Seconds that these requests took together. When it makes no sense (negative, not finite, more than a
    /// day per request), the middles of the buckets
    /// stand in for it.
    pub sum: f64,
    /// Length of the interval in seconds: the time since the previous scrape that worked, so a missed scrape makes a
    /// longer interval. Anything that is not a positive number counts as no time; at most a day is believed.
    pub seconds: f64,
    /// The counters fell back to zero within this interval: the service restarted.
    pub reset: bool,
}

impl Interval<'_> {
    /// The most bucket bounds that a detector accepts.
    pub const MAX_BOUNDS: usize = 128;

    /// Requests in the interval.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.delta.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.bounds.len() <= Self::MAX_BOUNDS && self.delta.len() == self.bounds.len() + 1 && are_bounds(self.bounds)
    }

    /// The time that the requests took: `sum` where it makes sense, else an estimate from the buckets.
    pub(crate) fn spent(&self) -> f64 {
        if (0.0..=self.requests() as f64 * LONGEST).contains(&self.sum) {
            return self.sum;
        }
        let last = self.bounds.last().copied().unwrap_or(0.0);
        let lower = std::iter::once(0.0).chain(self.bounds.iter().copied());
        let upper = self.bounds.iter().copied().chain(std::iter::once(last));
        let estimate: f64 = lower
            .zip(upper)
            .zip(self.delta)
            .map(|((low, high), count)| *count as f64 * f64::midpoint(low, high).max(0.0))
            .sum();
        // Any bounds may come in, and what is kept has to stay a number.
        estimate.min(self.requests() as f64 * LONGEST)
    }
}

/// Finite and strictly ascending.
pub(crate) fn are_bounds(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted_by(|low, high| low < high)
}

/// The requests of one route that ended during one interval, and how many of them failed.
#[derive(Clone, Copy, Debug)]
pub struct ErrorInterval {
    /// Requests that failed. More than `total` is read as `total`.
    pub failed: u64,
    /// All requests, the failed ones included.
    pub total: u64,
    /// Length of the interval in seconds, as in [`Interval::seconds`].
    pub seconds: f64,
    /// The counters fell back to zero within this interval: the service restarted.
    pub reset: bool,
}

/// `seconds` as time that passed: finite, not negative, at most a day.
pub(crate) fn elapsed(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, LONGEST) } else { 0.0 }
}
