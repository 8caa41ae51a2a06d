//! Reading the format: one metric at a time, so that a hostile page can cost no more memory than its largest metric.

use std::fmt;

use prost::Message;

use super::message::{self, FamilyHead, LabelPair, METRIC_KEY, Metric, Span, Timestamp, kind};
use crate::encode::Header;
use crate::labels::MAX_LABELS;
use crate::model::{
    BucketExemplar, Exemplar, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Quantile, Summary, Value,
};

/// The longest metric that is read, in bytes: labels and buckets of one label set. A longer one is skipped and counted.
pub const MAX_METRIC: usize = 256 * 1024;
/// The most empty buckets that are filled in between two that count something.
const MAX_FILLED: usize = 16 * 1024;

/// How much a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Families, whether or not they had points.
    pub families: u64,
    /// Points that were handed out.
    pub points: u64,
    /// Metrics that were skipped, because they contradict themselves or are longer than [`MAX_METRIC`].
    pub bad_points: u64,
}

/// Reads `page` and hands out its points in order, each with the head of its family.
///
/// A histogram that has native buckets carries them beside its classic ones, of which it may have none. Native histograms
/// whose buckets are floating-point or have bounds of their own are skipped.
///
/// # Errors
/// The page is not of this format, or was cut off: what stands before that place was handed out.
///
/// ```
/// use outrigger_exposition::{Extra, Header, Kind, Value, ValueRef, protobuf};
///
/// let mut encoder = protobuf::Encoder::new(Vec::new());
/// let header = Header { name: "workers", kind: Kind::Gauge, help: None, unit: None };
/// encoder.begin(header)?.point([("pool", "a")], ValueRef::Number(3.0), Extra::default())?;
/// let page = encoder.finish()?;
///
/// let mut values = Vec::new();
/// protobuf::decode(&page, |family, point| values.push((family.name.to_owned(), point.value.clone())))?;
/// assert_eq!(values, [("workers".to_owned(), Value::Gauge(3.0))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode(page: &[u8], mut visit: impl FnMut(Header<'_>, &Point)) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    let mut rest = page;
    while !rest.is_empty() {
        let at = page.len() - rest.len();
        let family = delimited(&mut rest).ok_or(DecodeError { at })?;
        read_family(family, &mut decoded, &mut visit).ok_or(DecodeError { at })?;
        decoded.families += 1;
    }
    Ok(decoded)
}

fn read_family(family: &[u8], decoded: &mut Decoded, visit: &mut impl FnMut(Header<'_>, &Point)) -> Option<()> {
    // Its metrics may stand before its name.
    let mut head = FamilyHead::default();
    for field in Fields(family) {
        if let Field::Other(bytes) = field? {
            head.merge(bytes).ok()?;
        }
    }
    let kind = match head.kind {
        kind::COUNTER => Kind::Counter,
        kind::GAUGE => Kind::Gauge,
        kind::SUMMARY => Kind::Summary,
        kind::HISTOGRAM => Kind::Histogram,
        kind::GAUGE_HISTOGRAM => Kind::GaugeHistogram,
        _ => Kind::Unknown,
    };
    let said = |text: &'_ str| !text.is_empty();
    let header = Header {
        name: kind.family_name(&head.name),
        kind,
        help: Some(head.help.as_str()).filter(|help| said(help)),
        unit: Some(head.unit.as_str()).filter(|unit| said(unit)),
    };
    for field in Fields(family) {
        let Field::Metric(metric) = field? else { continue };
        let point = if metric.len() <= MAX_METRIC { point(Metric::decode(metric).ok()?, kind) } else { None };
        match point {
            Some(point) if !header.name.is_empty() => {
                decoded.points += 1;
                visit(header, &point);
            }
            _ => decoded.bad_points += 1,
        }
    }
    Some(())
}

/// The fields of a family's message; `None` where it cannot be read on, which ends it.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    /// A metric, without its key and length.
    Metric(&'a [u8]),
    /// Any other field, whole.
    Other(&'a [u8]),
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| {
            let field = self.read();
            if field.is_none() {
                self.0 = &[];
            }
            field
        })
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let mut rest = self.0;
        let key = varint(&mut rest)?;
        // The wire types of protobuf. Groups (3 and 4) are not part of any version of this format.
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let message = delimited(&mut rest)?;
                if key == u64::from(METRIC_KEY) {
                    self.0 = rest;
                    return Some(Field::Metric(message));
                }
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
        let field = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Field::Other(field))
    }
}

/// A message that its length stands before.
fn delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (message, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(message)
}

/// A whole number of at most ten bytes, seven bits each, the lowest first.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (place, &byte) in rest.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            *rest = rest.get(place + 1..)?;
            return Some(number);
        }
    }
    None
}

/// The point that a metric says; `None` if it contradicts itself or its family.
fn point(metric: Metric, kind: Kind) -> Option<Point> {
    let created;
    let mut exemplar = None;
    let value = match kind {
        Kind::Counter => {
            let counter = metric.counter?;
            created = counter.created;
            exemplar = counter.exemplar.and_then(example);
            Value::Counter(counter.value)
        }
        Kind::Summary => {
            let summary = metric.summary?;
            created = summary.created;
            let quantile = |said: &message::Quantile| Quantile { quantile: said.quantile, value: said.value };
            Value::Summary(Summary {
                quantiles: summary.quantile.iter().map(quantile).collect(),
                sum: summary.sample_sum,
                count: summary.sample_count,
            })
        }
        Kind::Histogram | Kind::GaugeHistogram => {
            let histogram = metric.histogram?;
            created = histogram.created;
            let histogram = read_histogram(histogram)?;
            if kind == Kind::Histogram { Value::Histogram(histogram) } else { Value::GaugeHistogram(histogram) }
        }
        Kind::Gauge => {
            created = None;
            Value::Gauge(metric.gauge?.value)
        }
        _ => {
            created = None;
            Value::Unknown(metric.untyped?.value)
        }
    };
    let labels = labels(metric.label)?;
    Some(Point { labels, value, timestamp_ms: metric.timestamp_ms, created: created.map(seconds), exemplar })
}

/// The labels, unless there are too many or one stands twice.
fn labels(pairs: Vec<LabelPair>) -> Option<Vec<Label>> {
    if pairs.len() > MAX_LABELS || pairs.iter().any(|pair| pair.name.is_empty()) {
        return None;
    }
    let mut names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
        return None;
    }
    Some(pairs.into_iter().map(|pair| Label { name: pair.name, value: pair.value }).collect())
}

fn read_histogram(histogram: message::Histogram) -> Option<Histogram> {
    if histogram.sample_count_float.is_some() {
        return None;
    }
    let is_native = !histogram.positive_span.is_empty()
        || !histogram.negative_span.is_empty()
        || histogram.zero_threshold > 0.0
        || histogram.zero_count > 0;
    let mut read = Histogram { sum: histogram.sample_sum, ..Histogram::default() };
    let mut below = 0_u64;
    for bucket in histogram.bucket {
        let is_last = bucket.upper_bound == f64::INFINITY;
        let ascends = read.bounds.last().is_none_or(|last| *last < bucket.upper_bound);
        if bucket.upper_bound.is_nan() || !ascends || bucket.cumulative_count < below {
            return None;
        }
        if let Some(exemplar) = bucket.exemplar.and_then(example) {
            read.exemplars.push(BucketExemplar { bucket: read.counts.len(), exemplar });
        }
        if !is_last {
            read.bounds.push(bucket.upper_bound);
            read.counts.push(bucket.cumulative_count - below);
            below = bucket.cumulative_count;
        }
    }
    // The bucket up to infinity is usually left out.
    read.counts.push(histogram.sample_count.checked_sub(below)?);
    if is_native {
        read.native = Some(NativeHistogram {
            schema: Some(histogram.schema).filter(|schema| NativeHistogram::SCHEMAS.contains(schema))?,
            zero_threshold: Some(histogram.zero_threshold).filter(|width| width.is_finite() && *width >= 0.0)?,
            zero_count: histogram.zero_count,
            positive: native_buckets(&histogram.positive_span, &histogram.positive_delta)?,
            negative: native_buckets(&histogram.negative_span, &histogram.negative_delta)?,
        });
    }
    Some(read)
}

/// Buckets from spans of neighbours and the difference of each count to the one before.
fn native_buckets(spans: &[Span], deltas: &[i64]) -> Option<NativeBuckets> {
    let mut buckets = NativeBuckets::default();
    let (mut index, mut count, mut deltas) = (0_i64, 0_u64, deltas.iter());
    for span in spans {
        index = index.checked_add(i64::from(span.offset))?;
        for _ in 0..span.length {
            count = count.checked_add_signed(*deltas.next()?)?;
            let start = match buckets.counts.is_empty() {
                true => {
                    buckets.offset = i32::try_from(index).ok()?;
                    0
                }
                false => usize::try_from(index.checked_sub(i64::from(buckets.offset))?).ok()?,
            };
            let gap = start.checked_sub(buckets.counts.len())?;
            if gap > MAX_FILLED || start > 2 * MAX_FILLED {
                return None;
            }
            buckets.counts.resize(start, 0);
            buckets.counts.push(count);
            index = index.checked_add(1)?;
        }
    }
    deltas.next().is_none().then_some(buckets)
}

fn example(exemplar: message::Exemplar) -> Option<Exemplar> {
    let timestamp_ms = exemplar.timestamp.map(|at| (seconds(at) * 1000.0).round() as i64);
    let read = Exemplar { labels: labels(exemplar.label)?, value: exemplar.value, timestamp_ms };
    read.fits().then_some(read)
}

fn seconds(at: Timestamp) -> f64 {
    at.seconds as f64 + f64::from(at.nanos) / 1e9
}

/// The page is not of this format, or was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where the family begins that could not be read, in bytes from the start of the page.
    pub at: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no metric family in protobuf, or one that was cut off, begins at byte {}", self.at)
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

    use super::*;
    use crate::model::Family;
    use crate::protobuf::Encoder;

    fn encoded(families: &[Family]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        families.iter().for_each(|family| encoder.family(family).unwrap());
        encoder.finish().unwrap()
    }

    /// What is handed out, gathered into families again.
    fn read(page: &[u8]) -> (Vec<Family>, Result<Decoded, DecodeError>) {
        let mut families: Vec<Family> = Vec::new();
        let decoded = decode(page, |header, point| {
            if families.last().is_none_or(|family| family.name != header.name) {
                let (help, unit) = (header.help.map(str::to_owned), header.unit.map(str::to_owned));
                families.push(Family { help, unit, ..Family::new(header.name, header.kind) });
            }
            families.last_mut().unwrap().points.push(point.clone());
        });
        (families, decoded)
    }

    fn histogram(native: Option<NativeHistogram>) -> Value {
        Value::Histogram(Histogram {
            bounds: vec![0.5, 1.0],
            counts: vec![1, 0, 2],
            sum: Some(4.5),
            exemplars: vec![BucketExemplar {
                bucket: 2,
                exemplar: Exemplar {
                    labels: vec![Label::new("trace_id", "ab")],
                    value: 3.0,
                    timestamp_ms: Some(1_700_000_000_250),
                },
            }],
            native,
        })
    }

    fn families() -> Vec<Family> {
        let native = NativeHistogram {
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: 1,
            positive: NativeBuckets { offset: -3, counts: vec![1, 0, 0, 0, 1] },
            negative: NativeBuckets::default(),
        };
        let summary =
            Summary { quantiles: vec![Quantile { quantile: 0.5, value: 0.1 }], sum: Some(2.0), count: Some(7) };
        [
            ("jobs", vec![Value::Counter(7.5)]),
            ("workers", vec![Value::Gauge(-1.0)]),
            ("wait_seconds", vec![histogram(None), histogram(Some(native))]),
            ("size", vec![Value::Summary(summary)]),
            ("x", vec![Value::Unknown(f64::INFINITY)]),
        ]
        .map(|(name, values)| {
            let points = values.into_iter().enumerate().map(|(number, value)| Point {
                timestamp_ms: Some(-5),
                created: Some(1.5).filter(|_| matches!(value, Value::Counter(_) | Value::Histogram(_))),
                ..Point::new(vec![Label::new("route", "/\"\\\n"), Label::new("n", number.to_string())], value)
            });
            let kind = points.clone().next().unwrap().value.kind();
            Family { help: Some("Öre.".to_owned()), points: points.collect(), ..Family::new(name, kind) }
        })
        .to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        let (read, decoded) = read(&encoded(&families()));
        assert_eq!(read, families());
        assert_eq!(decoded, Ok(Decoded { families: 5, points: 6, bad_points: 0 }));
    }

    #[test]
    fn a_page_that_is_cut_off_gives_what_stands_before() {
        let page = encoded(&families());
        let (whole, _) = read(&page);
        for end in 1..page.len() {
            let (part, decoded) = read(&page[..end]);
            match decoded {
                Ok(decoded) => assert_eq!(decoded.families, part.len() as u64),
                Err(error) => assert!(error.at < end),
            }
            assert_eq!(part, whole[..part.len()], "cut at {end}");
        }
    }

    #[test]
    fn metrics_that_contradict_themselves_are_skipped() {
        let bucket = |upper_bound, cumulative_count| message::Bucket { cumulative_count, upper_bound, exemplar: None };
        let span = |offset, length| Span { offset, length };
        let good = message::Histogram { sample_count: 3, bucket: vec![bucket(1.0, 2)], ..Default::default() };
        let bad = [
            message::Histogram { bucket: vec![bucket(1.0, 2), bucket(1.0, 2)], ..good.clone() },
            message::Histogram { bucket: vec![bucket(1.0, 2), bucket(2.0, 1)], ..good.clone() },
            message::Histogram { bucket: vec![bucket(1.0, 4)], ..good.clone() },
            message::Histogram { bucket: vec![bucket(f64::NAN, 1)], ..good.clone() },
            message::Histogram { sample_count_float: Some(3.0), ..good.clone() },
            message::Histogram { schema: -53, zero_count: 1, ..good.clone() },
            message::Histogram { zero_threshold: f64::INFINITY, ..good.clone() },
            message::Histogram { positive_span: vec![span(0, 2)], positive_delta: vec![1], ..good.clone() },
            message::Histogram { positive_span: vec![span(0, 1)], positive_delta: vec![1, 1], ..good.clone() },
            message::Histogram { positive_span: vec![span(0, 1)], positive_delta: vec![-1], ..good.clone() },
            message::Histogram { positive_span: vec![span(0, u32::MAX)], positive_delta: vec![1], ..good.clone() },
            message::Histogram {
                positive_span: vec![span(0, 1), span(i32::MAX, 1)],
                positive_delta: vec![1, 1],
                ..good.clone()
            },
            message::Histogram {
                positive_span: vec![span(9, 1), span(-20, 1)],
                positive_delta: vec![1, 1],
                ..good.clone()
            },
        ];
        let page = |metric: &Metric| {
            let mut family = FamilyHead { name: "x".to_owned(), kind: kind::HISTOGRAM, ..FamilyHead::default() };
            family.help = "h".to_owned();
            let mut bytes = Vec::new();
            // The metric stands before the name.
            bytes.push(METRIC_KEY);
            metric.encode_length_delimited(&mut bytes).unwrap();
            family.encode(&mut bytes).unwrap();
            let mut page = Vec::new();
            prost::encode_length_delimiter(bytes.len(), &mut page).unwrap();
            page.extend(bytes);
            page
        };
        let of = |histogram| Metric { histogram: Some(histogram), ..Metric::default() };
        assert_eq!(read(&page(&of(good.clone()))).1, Ok(Decoded { families: 1, points: 1, bad_points: 0 }));
        let label = |name: &str| LabelPair { name: name.to_owned(), value: "v".to_owned() };
        let metrics = bad.into_iter().map(of).chain([
            Metric { label: vec![label("a"), label("a")], ..of(good.clone()) },
            Metric { label: vec![label("")], ..of(good.clone()) },
            Metric { label: (0..=MAX_LABELS).map(|n| label(&n.to_string())).collect(), ..of(good.clone()) },
            Metric { label: vec![label(&"x".repeat(MAX_METRIC))], ..of(good) },
            Metric::default(),
        ]);
        for metric in metrics {
            let (families, decoded) = read(&page(&metric));
            assert_eq!(decoded, Ok(Decoded { families: 1, points: 0, bad_points: 1 }), "{metric:?}");
            assert_eq!(families, []);
        }
    }

    #[test]
    fn other_bytes_are_an_error() {
        for page in
            [&b"# TYPE a gauge\na 1\n"[..], b"<html>", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x02\x0b\x00"]
        {
            assert!(read(page).1.is_err(), "{page:?}");
        }
        assert_eq!(read(b""), (Vec::new(), Ok(Decoded::default())));
    }

    fn buckets() -> impl Strategy<Value = NativeBuckets> {
        (-2000..2000_i32, vec(proptest::prop_oneof![3 => 0..1_u64, 2 => 0..5_u64, 1 => 0..u64::MAX / 100], 0..40))
            .prop_map(|(offset, counts)| {
                // Empty buckets at the ends are not written.
                let first = counts.iter().position(|count| *count > 0);
                let end = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
                match first {
                    Some(first) => NativeBuckets {
                        offset: offset + i32::try_from(first).unwrap(),
                        counts: counts[first..end].to_vec(),
                    },
                    None => NativeBuckets::default(),
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn native_histograms_survive(positive in buckets(), negative in buckets(), schema in -4..=8, zero_count: u32) {
            let native =
                NativeHistogram { schema, zero_threshold: 1e-9, zero_count: zero_count.into(), positive, negative };
            let value = Value::Histogram(Histogram {
                counts: vec![native.count()],
                native: Some(native),
                ..Histogram::default()
            });
            let family = Family { points: vec![Point::new(vec![], value)], ..Family::new("x", Kind::Histogram) };
            let (read, decoded) = read(&encoded(std::slice::from_ref(&family)));
            assert_eq!((&read[..], decoded.map(|decoded| decoded.bad_points)), (&[family][..], Ok(0)));
        }

        #[test]
        fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200), changes in vec((any::<usize>(), any::<u8>()), 0..6)) {
            read(&bytes).1.ok();
            let mut page = encoded(&families());
            for (at, byte) in changes {
                let at = at % page.len();
                page[at] = byte;
            }
            let (families, decoded) = read(&page);
            let points = families.iter().map(|family| family.points.len() as u64).sum::<u64>();
            if let Ok(decoded) = decoded {
                assert_eq!(decoded.points, points);
            }
            // What was read can be written again.
            for family in &families {
                Encoder::new(Vec::new()).family(family).unwrap();
            }
        }
    }
}
