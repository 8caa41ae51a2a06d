//! The samples of one point, put together to its value.

use crate::families::ProblemKind;
use crate::model::{BucketExemplar, Exemplar, Histogram, Kind, Quantile, Summary, Value};

/// The most buckets or quantiles that one point may have; it bounds the search for duplicates.
const MAX_BUCKETS: usize = 1000;

/// Which part of a point a sample is, as its name's suffix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Value,
    Bucket,
    Quantile,
    Sum,
    Count,
    Created,
}

impl Part {
    /// What a sample means whose name adds `suffix` to the name of a family of this kind; `None` when such a family has
    /// no such sample.
    pub(crate) fn of(kind: Kind, suffix: &str) -> Option<Self> {
        Some(match (kind, suffix) {
            (Kind::Counter, "_total" | "") => Self::Value,
            (Kind::Info, "_info") => Self::Value,
            (Kind::Gauge | Kind::Unknown | Kind::StateSet, "") => Self::Value,
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket") => Self::Bucket,
            (Kind::Summary, "") => Self::Quantile,
            (Kind::Histogram | Kind::GaugeHistogram | Kind::Summary, "_sum") => Self::Sum,
            (Kind::Histogram | Kind::GaugeHistogram | Kind::Summary, "_count") => Self::Count,
            (Kind::GaugeHistogram, "_gsum") => Self::Sum,
            (Kind::GaugeHistogram, "_gcount") => Self::Count,
            (Kind::Counter | Kind::Histogram | Kind::Summary, "_created") => Self::Created,
            _ => return None,
        })
    }

    /// The label that this part is told apart by, which is no label of the point.
    pub(crate) const fn own_label(self) -> Option<&'static str> {
        match self {
            Self::Bucket => Some("le"),
            Self::Quantile => Some("quantile"),
            _ => None,
        }
    }
}

/// What has been seen of one point so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    value: Option<f64>,
    buckets: Vec<Bucket>,
    quantiles: Vec<Quantile>,
    sum: Option<f64>,
    count: Option<f64>,
    pub(crate) created: Option<f64>,
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, Debug)]
struct Bucket {
    /// The bucket's `le`, infinite for the last one.
    bound: f64,
    cumulative: f64,
    exemplar: Option<Exemplar>,
}

impl Parts {
    /// Takes a sample. `own` is the number in its own label: the bound of a bucket, the quantile of a quantile.
    pub(crate) fn take(
        &mut self,
        part: Part,
        own: Option<f64>,
        value: f64,
        exemplar: Option<Exemplar>,
    ) -> Result<(), ProblemKind> {
        let slot = match part {
            Part::Value => &mut self.value,
            Part::Sum => &mut self.sum,
            Part::Count => &mut self.count,
            Part::Created => &mut self.created,
            Part::Bucket => {
                let bound = own.filter(|bound| bound.is_finite() || *bound == f64::INFINITY);
                let bound = bound.ok_or(ProblemKind::Bound)?;
                if self.buckets.iter().any(|bucket| bucket.bound == bound) {
                    return Err(ProblemKind::Duplicate);
                }
                if self.buckets.len() >= MAX_BUCKETS {
                    return Err(ProblemKind::TooManyBuckets);
                }
                self.buckets.push(Bucket { bound, cumulative: value, exemplar });
                return Ok(());
            }
            Part::Quantile => {
                let quantile = own.filter(|quantile| (0.0..=1.0).contains(quantile)).ok_or(ProblemKind::Bound)?;
                if self.quantiles.iter().any(|seen| seen.quantile == quantile) {
                    return Err(ProblemKind::Duplicate);
                }
                if self.quantiles.len() >= MAX_BUCKETS {
                    return Err(ProblemKind::TooManyBuckets);
                }
                self.quantiles.push(Quantile { quantile, value });
                return Ok(());
            }
        };
        if slot.is_some() {
            return Err(ProblemKind::Duplicate);
        }
        *slot = Some(value);
        if part == Part::Value {
            self.exemplar = exemplar;
        }
        Ok(())
    }

    /// The value of the point, and what had to be put right for it; or why there is none.
    pub(crate) fn assemble(&mut self, kind: Kind) -> Result<(Value, Option<ProblemKind>), ProblemKind> {
        let number = self.value.ok_or(ProblemKind::Incomplete);
        let value = match kind {
            Kind::Counter => Value::Counter(number?),
            Kind::Gauge => Value::Gauge(number?),
            Kind::Unknown => Value::Unknown(number?),
            Kind::Info if number? == 1.0 => Value::Info,
            Kind::StateSet if number? == 0.0 || number? == 1.0 => Value::State(number? == 1.0),
            Kind::Info | Kind::StateSet => return Err(ProblemKind::State),
            Kind::Summary => Value::Summary(self.summary()?),
            Kind::Histogram => return self.histogram().map(|(it, problem)| (Value::Histogram(it), problem)),
            Kind::GaugeHistogram => return self.histogram().map(|(it, problem)| (Value::GaugeHistogram(it), problem)),
        };
        Ok((value, None))
    }

    fn summary(&mut self) -> Result<Summary, ProblemKind> {
        if self.quantiles.is_empty() && self.sum.is_none() && self.count.is_none() {
            return Err(ProblemKind::Incomplete);
        }
        let count = self.count.map(whole).transpose()?;
        Ok(Summary { quantiles: std::mem::take(&mut self.quantiles), sum: self.sum, count })
    }

    fn histogram(&mut self) -> Result<(Histogram, Option<ProblemKind>), ProblemKind> {
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
        let mut problem = None;
        match (buckets.last(), self.count) {
            (Some(last), count) if last.bound == f64::INFINITY => {
                if count.is_some_and(|count| count != last.cumulative) {
                    problem = Some(ProblemKind::CountMismatch);
                }
            }
            (_, Some(count)) => {
                problem = Some(ProblemKind::InfinityFromCount);
                buckets.push(Bucket { bound: f64::INFINITY, cumulative: count, exemplar: None });
            }
            (_, None) => return Err(ProblemKind::NoInfinity),
        }
        let mut histogram = Histogram { sum: self.sum, ..Histogram::default() };
        let mut below = 0;
        for (index, bucket) in buckets.into_iter().enumerate() {
            let cumulative = whole(bucket.cumulative)?;
            histogram.counts.push(cumulative.checked_sub(below).ok_or(ProblemKind::NotMonotone)?);
            below = cumulative;
            if bucket.bound.is_finite() {
                histogram.bounds.push(bucket.bound);
            }
            let exemplar = bucket.exemplar.map(|exemplar| BucketExemplar { bucket: index, exemplar });
            histogram.exemplars.extend(exemplar);
        }
        Ok((histogram, problem))
    }
}

/// A count, which is a whole number that a float can hold exactly.
fn whole(value: f64) -> Result<u64, ProblemKind> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && (0.0..=EXACT).contains(&value) { Ok(value as u64) } else { Err(ProblemKind::NotACount) }
}
