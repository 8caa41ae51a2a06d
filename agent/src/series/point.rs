//! A point: the value of a family for one label set, gathered from its lines.

use std::time::SystemTime;

/// Where a line's value goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) point: usize,
    pub(super) family: usize,
    pub(super) part: Part,
}

/// What a line is of its point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// The value itself.
    Value,
    /// A cumulative bucket up to this bound.
    Bucket(f64),
    /// A quantile of a summary.
    Quantile(f64),
    /// The sum of all observations.
    Sum,
    /// The number of all observations.
    Count,
}

/// The value of a family for one label set.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// A hash of family and labels, so that who remembers a point knows it again even after the table forgot it, or the
    /// agent was restarted.
    pub(crate) identity: u64,
    /// Labels without `le` and `quantile`, unescaped, in the order of the page.
    pub(crate) labels: Vec<(Box<str>, Box<str>)>,
    pub(crate) data: Data,
    /// The line's own time stamp, if it has one.
    pub(crate) timestamp_ms: Option<i64>,
    /// When this point was first seen.
    pub(crate) first_seen: SystemTime,
    /// When it last fell back to zero: the time of the last page before.
    pub(crate) reset_at: Option<SystemTime>,
    pub(super) family: usize,
    /// The last page that it was on.
    pub(super) page: u64,
}

/// What a point holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// A counter that only rises.
    Counter(f64),
    /// Any other number.
    Gauge(f64),
    /// Buckets.
    Histogram(Histogram),
    /// Quantiles, as pairs of quantile and value.
    Summary {
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
        /// Sum of all observations.
        sum: f64,
        /// Number of observations.
        count: f64,
    },
}

/// A histogram as pages write it: cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Finite upper bounds, ascending, each with the observations up to it; NaN where the last page had no such bucket.
    buckets: Vec<(f64, f64)>,
    /// The `+Inf` bucket, and whether the last page had one.
    infinite: f64,
    has_infinite: bool,
    /// What `_count` says.
    count: f64,
    /// Sum of all observations.
    pub(crate) sum: f64,
}

impl Histogram {
    /// Finite upper bounds, ascending.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = f64> {
        self.buckets.iter().filter(|(_, upto)| !upto.is_nan()).map(|(bound, _)| *bound)
    }

    /// Observations in each bucket, **not** cumulative, one more than the bounds. Buckets that contradict one another
    /// (a page that was written while it counted) are read as empty.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        let all = if self.has_infinite { self.infinite } else { self.count };
        let mut below = 0.0_f64;
        self.buckets.iter().map(|(_, upto)| *upto).filter(|upto| !upto.is_nan()).chain(std::iter::once(all)).map(
            move |upto| {
                let count = upto - below;
                below = below.max(upto);
                // A saturating cast: what is negative becomes 0.
                count as u64
            },
        )
    }

    /// It counts, and says nothing of how.
    pub(crate) fn is_bare(&self) -> bool {
        self.count > 0.0 && self.bounds().next().is_none()
    }

    /// Forgets the buckets, but not their bounds: a page writes all of them again, or they are gone.
    fn begin_page(&mut self) {
        self.buckets.iter_mut().for_each(|(_, upto)| *upto = f64::NAN);
        self.has_infinite = false;
    }

    /// Writes one line's value. True if it shows that the histogram fell back to zero.
    fn set(&mut self, part: Part, value: f64) -> bool {
        match part {
            Part::Sum => self.sum = value,
            Part::Count => return value < std::mem::replace(&mut self.count, value),
            Part::Bucket(f64::INFINITY) => {
                self.has_infinite = true;
                return value < std::mem::replace(&mut self.infinite, value);
            }
            Part::Bucket(bound) if bound.is_finite() => {
                let at = self.buckets.partition_point(|(known, _)| *known < bound);
                match self.buckets.get_mut(at) {
                    Some((known, upto)) if *known == bound => *upto = value,
                    _ => self.buckets.insert(at, (bound, value)),
                }
            }
            Part::Bucket(_) | Part::Quantile(_) | Part::Value => {}
        }
        false
    }
}

impl Point {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| &**label == name).map(|(_, value)| &**value)
    }

    /// The value of a point that is one number.
    pub(crate) fn number(&self) -> Option<f64> {
        match self.data {
            Data::Counter(value) | Data::Gauge(value) => Some(value),
            Data::Histogram(_) | Data::Summary { .. } => None,
        }
    }

    /// Called before the first line of a page is written.
    pub(super) fn begin_page(&mut self, page: u64) {
        self.page = page;
        if let Data::Histogram(histogram) = &mut self.data {
            histogram.begin_page();
        }
    }

    /// Writes one line's value. True if it shows that the point fell back to zero.
    pub(super) fn set(&mut self, part: Part, value: f64) -> bool {
        match (&mut self.data, part) {
            (Data::Counter(old), Part::Value) => return value < std::mem::replace(old, value),
            (Data::Gauge(old), Part::Value) => *old = value,
            (Data::Histogram(histogram), part) => return histogram.set(part, value),
            (Data::Summary { quantiles, .. }, Part::Quantile(quantile)) => {
                match quantiles.iter_mut().find(|(known, _)| *known == quantile) {
                    Some((_, old)) => *old = value,
                    None => quantiles.push((quantile, value)),
                }
            }
            (Data::Summary { sum, .. }, Part::Sum) => *sum = value,
            (Data::Summary { count, .. }, Part::Count) => return value < std::mem::replace(count, value),
            _ => {}
        }
        false
    }
}
