//! Families, owned or borrowed, as delimited messages.

use bytes::BufMut;
use prost::Message;

use crate::encode::{EncodeError, Extra, Header, ValueRef, label_pairs, unit_fits};
use crate::model::{self, Family, Kind};
use crate::points::fits;
use crate::protobuf::message::{
    Bucket, Counter, Exemplar, FamilyHead, Histogram, LabelPair, METRIC_KEY, Metric, Number, Quantile, Summary,
    Timestamp, kind,
};
use crate::protobuf::native;

/// Writes families as length-delimited messages into a [`BufMut`], such as `Vec<u8>` or `BytesMut`. It is used as the
/// [text encoder](crate::Encoder) is.
///
/// A family may take several messages of the same name, as scrapers allow; so no more than one message is held in
/// memory, 16 KiB and a point. Names of samples are those of text 0.0.4, with the `_total` of counters; so are the
/// kinds. Creation times are written where points have them: here they are no series of their own. Nothing is said of a
/// family without points.
///
/// A histogram has one count for both kinds of buckets: the native ones' if there are any. A summary without a sum or
/// count, or a histogram without a sum, reads as if it were zero.
#[derive(Debug)]
pub struct Encoder<W> {
    out: W,
    /// The family's head, encoded.
    head: Vec<u8>,
    /// The family's metrics that wait for their message, encoded.
    body: Vec<u8>,
    /// These two are kept for the room that they have.
    parts: FamilyHead,
    metric: Metric,
    failed: bool,
}

impl<W: BufMut> Encoder<W> {
    /// A family's message is written when its metrics take this many bytes.
    const MAX_BODY: usize = 16 * 1024;

    /// An encoder that writes to `out`.
    pub fn new(out: W) -> Self {
        let (parts, metric) = (FamilyHead::default(), Metric::default());
        Self { out, head: Vec::new(), body: Vec::new(), parts, metric, failed: false }
    }

    /// Writes an owned family.
    ///
    /// # Errors
    /// As [`Encoder::begin`] and [`Points::point`]; a point whose value's variant disagrees with the family's kind is
    /// [`EncodeError::Value`].
    pub fn family(&mut self, family: &Family) -> Result<(), EncodeError> {
        let mut points = self.begin(family.header())?;
        for point in &family.points {
            if point.value.kind() != family.kind {
                return Err(points.wrong_value());
            }
            points.point(label_pairs(&point.labels), ValueRef::from(&point.value), Extra::of(point))?;
        }
        Ok(())
    }

    /// Begins a family; the points follow through what is returned. When that is dropped, all is in the writer.
    ///
    /// # Errors
    /// The name is empty.
    pub fn begin<'n>(&mut self, header: Header<'n>) -> Result<Points<'_, 'n, W>, EncodeError> {
        let name = header.kind.family_name(header.name);
        if name.is_empty() {
            return Err(EncodeError::EmptyName);
        }
        let parts = &mut self.parts;
        replace(&mut parts.name, name);
        parts.name.push_str(header.kind.value_suffix());
        replace(&mut parts.help, header.help.unwrap_or_default());
        replace(&mut parts.unit, header.unit.filter(|unit| unit_fits(name, unit, header.kind)).unwrap_or_default());
        parts.kind = match header.kind {
            Kind::Counter => kind::COUNTER,
            Kind::Gauge | Kind::Info | Kind::StateSet => kind::GAUGE,
            Kind::Summary => kind::SUMMARY,
            Kind::Unknown => kind::UNTYPED,
            // Prometheus 2.42 makes nothing of the classic buckets of a gauge histogram.
            Kind::Histogram | Kind::GaugeHistogram => kind::HISTOGRAM,
        };
        self.head.clear();
        parts.encode(&mut self.head).map_err(|_| EncodeError::Write)?;
        // The value of another family's points must not stay. A histogram's buckets are worth keeping.
        let histogram = self.metric.histogram.take().filter(|_| parts.kind == kind::HISTOGRAM);
        let label = std::mem::take(&mut self.metric.label);
        self.metric = Metric { label, histogram, ..Metric::default() };
        Ok(Points { encoder: self, name, kind: header.kind })
    }

    /// More points of a family that was begun before, with the same header; here the same as [`Encoder::begin`].
    ///
    /// # Errors
    /// The name is empty.
    pub fn resume<'n>(&mut self, header: Header<'n>) -> Result<Points<'_, 'n, W>, EncodeError> {
        self.begin(header)
    }

    /// The writer, with what has been written to it since it was last emptied.
    pub const fn get_ref(&self) -> &W {
        &self.out
    }

    /// The writer, to take away what has been written so far.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives the writer back.
    ///
    /// # Errors
    /// The writer had not the room for a message; those after it are left out.
    pub fn finish(self) -> Result<W, EncodeError> {
        if self.failed { Err(EncodeError::Write) } else { Ok(self.out) }
    }

    /// Writes the message that waits.
    fn flush(&mut self) {
        /// The most bytes of a length.
        const MAX_LENGTH: usize = 10;
        let length = self.head.len() + self.body.len();
        if self.body.is_empty() || self.failed {
            return;
        }
        self.failed = self.out.remaining_mut() < length + MAX_LENGTH
            || prost::encode_length_delimiter(length, &mut self.out).is_err();
        if !self.failed {
            self.out.put_slice(&self.head);
            self.out.put_slice(&self.body);
        }
        self.body.clear();
    }
}

/// Writes the points of one family; made by [`Encoder::begin`].
#[derive(Debug)]
pub struct Points<'e, 'n, W: BufMut> {
    encoder: &'e mut Encoder<W>,
    name: &'n str,
    kind: Kind,
}

impl<W: BufMut> Points<'_, '_, W> {
    /// Writes one point. Labels are pairs of name and value, each name once, without `le` and `quantile` where those
    /// are the format's.
    ///
    /// # Errors
    /// The value does not fit the family's kind, a histogram has not one count more than bounds, or its native part is
    /// one that the format cannot say, and nothing of the point was written; or the writer has no more room.
    pub fn point<'l, L>(&mut self, labels: L, value: ValueRef<'_>, extra: Extra<'_>) -> Result<(), EncodeError>
    where
        L: IntoIterator<Item = (&'l str, &'l str)>,
    {
        if !fits(self.kind, value) {
            return Err(self.wrong_value());
        }
        if let ValueRef::Histogram { native: Some(native), .. } = value
            && !native::is_valid(native)
        {
            return Err(EncodeError::Native { family: self.name.to_owned() });
        }
        let metric = &mut self.encoder.metric;
        set_labels(&mut metric.label, labels);
        metric.timestamp_ms = extra.timestamp_ms;
        let created = extra.created.and_then(Timestamp::from_seconds);
        match value {
            ValueRef::Number(value) => match self.kind {
                Kind::Counter => {
                    let exemplar = extra.exemplar.and_then(Exemplar::of);
                    metric.counter = Some(Counter { value, exemplar, created });
                }
                Kind::Unknown => metric.untyped = Some(Number { value }),
                _ => metric.gauge = Some(Number { value }),
            },
            ValueRef::Summary { quantiles, sum, count } => {
                let summary = metric.summary.get_or_insert_default();
                *summary = Summary {
                    sample_count: count,
                    sample_sum: sum,
                    quantile: std::mem::take(&mut summary.quantile),
                    created,
                };
                summary.quantile.clear();
                summary
                    .quantile
                    .extend(quantiles.iter().map(|&model::Quantile { quantile, value }| Quantile { quantile, value }));
            }
            ValueRef::Histogram { bounds, counts, sum, exemplars, native } => {
                let histogram = metric.histogram.get_or_insert_default();
                let count = set_buckets(histogram, bounds, counts);
                for model::BucketExemplar { bucket, exemplar } in exemplars {
                    if let Some(bucket) = histogram.bucket.get_mut(*bucket) {
                        bucket.exemplar = Exemplar::of(exemplar);
                    }
                }
                histogram.sample_sum = sum;
                histogram.sample_count = native.map_or(count, model::NativeHistogram::count);
                histogram.created = created.filter(|_| self.kind == Kind::Histogram);
                native::set(histogram, native);
            }
        }
        self.encoder.body.push(METRIC_KEY);
        let Encoder { metric, body, .. } = &mut *self.encoder;
        metric.encode_length_delimited(body).map_err(|_| EncodeError::Write)?;
        if self.encoder.body.len() >= Encoder::<W>::MAX_BODY {
            self.encoder.flush();
        }
        if self.encoder.failed { Err(EncodeError::Write) } else { Ok(()) }
    }

    fn wrong_value(&self) -> EncodeError {
        EncodeError::Value { family: self.name.to_owned(), kind: self.kind }
    }
}

impl<W: BufMut> Drop for Points<'_, '_, W> {
    fn drop(&mut self) {
        self.encoder.flush();
    }
}

fn replace(text: &mut String, new: &str) {
    text.clear();
    text.push_str(new);
}

/// Fills the list anew, with the room that it has.
fn set_labels<'l>(list: &mut Vec<LabelPair>, labels: impl IntoIterator<Item = (&'l str, &'l str)>) {
    let mut used = 0;
    for (name, value) in labels {
        if used == list.len() {
            list.push(LabelPair::default());
        }
        if let Some(pair) = list.get_mut(used) {
            replace(&mut pair.name, name);
            replace(&mut pair.value, value);
        }
        used += 1;
    }
    list.truncate(used);
}

/// Fills the classic buckets, the one up to infinity included; gives the number of observations.
fn set_buckets(histogram: &mut Histogram, bounds: &[f64], counts: &[u64]) -> u64 {
    let mut cumulative_count = 0_u64;
    histogram.bucket.clear();
    for (&count, &upper_bound) in counts.iter().zip(bounds.iter().chain(&[f64::INFINITY])) {
        cumulative_count = cumulative_count.saturating_add(count);
        histogram.bucket.push(Bucket { cumulative_count, upper_bound, exemplar: None });
    }
    cumulative_count
}

impl Exemplar {
    fn of(exemplar: &model::Exemplar) -> Option<Self> {
        let mut label = Vec::new();
        set_labels(&mut label, label_pairs(&exemplar.labels));
        let timestamp = exemplar.timestamp_ms.map(Timestamp::from_millis);
        exemplar.fits().then_some(Self { label, value: exemplar.value, timestamp })
    }
}

impl Timestamp {
    fn from_millis(millis: i64) -> Self {
        // Below a billion.
        Self { seconds: millis.div_euclid(1000), nanos: millis.rem_euclid(1000) as i32 * 1_000_000 }
    }

    /// `None` for what is no time: `NaN`, an infinity, more than clocks say.
    fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        (millis.abs() < 1e17).then(|| Self::from_millis(millis as i64))
    }
}
