//! What is written can be read by a decoder, message by message.

use super::message::{Metric, kind};
use super::{Encoder, accepts};
use crate::model::{
    BucketExemplar, Exemplar, Family, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Quantile, Summary,
    Value,
};
use crate::{EncodeError, Extra, Header, ValueRef};
use prost::Message;

/// A whole message, as a reader sees it.
#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

fn read(mut page: &[u8]) -> Vec<MetricFamily> {
    let mut messages = Vec::new();
    while !page.is_empty() {
        messages.push(MetricFamily::decode_length_delimited(&mut page).unwrap());
    }
    messages
}

fn written(families: &[Family]) -> Vec<MetricFamily> {
    let mut encoder = Encoder::new(Vec::new());
    for family in families {
        encoder.family(family).unwrap();
    }
    read(&encoder.finish().unwrap())
}

fn pairs(metric: &Metric) -> Vec<(&str, &str)> {
    metric.label.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect()
}

#[test]
fn numbers_of_each_kind() {
    let exemplar = Exemplar { labels: vec![Label::new("trace_id", "ab")], value: 2.0, timestamp_ms: Some(-1) };
    let labels = || vec![Label::new("route", "/\"\\\n"), Label::new("empty", "")];
    for (own, value, name, wire_kind) in [
        (Kind::Counter, Value::Counter(7.5), "x_total", kind::COUNTER),
        (Kind::Gauge, Value::Gauge(7.5), "x", kind::GAUGE),
        (Kind::Unknown, Value::Unknown(7.5), "x", kind::UNTYPED),
        (Kind::Info, Value::Info, "x_info", kind::GAUGE),
        (Kind::StateSet, Value::State(true), "x", kind::GAUGE),
    ] {
        let point = Point {
            timestamp_ms: Some(-5),
            created: Some(1.5),
            exemplar: Some(exemplar.clone()),
            ..Point::new(labels(), value)
        };
        let family = Family { help: Some("Öre\r".to_owned()), points: vec![point], ..Family::new("x", own) };
        let [message] = &written(&[family])[..] else { panic!("one message") };
        assert_eq!((message.name.as_str(), message.help.as_str(), message.kind), (name, "Öre\r", wire_kind));
        let [metric] = &message.metric[..] else { panic!("one metric") };
        assert_eq!(pairs(metric), [("route", "/\"\\\n"), ("empty", "")]);
        assert_eq!(metric.timestamp_ms, Some(-5));
        let gauge = metric.gauge.map(|number| number.value);
        let untyped = metric.untyped.map(|number| number.value);
        let counter = metric.counter.as_ref().map(|counter| counter.value);
        let expected = match own {
            Kind::Counter => (Some(7.5), None, None),
            Kind::Unknown => (None, Some(7.5), None),
            Kind::Gauge => (None, None, Some(7.5)),
            _ => (None, None, Some(1.0)),
        };
        assert_eq!((counter, untyped, gauge), expected);
        assert!(metric.histogram.is_none() && metric.summary.is_none());
        if let Some(counter) = &metric.counter {
            let seen = counter.exemplar.as_ref().unwrap();
            assert_eq!((seen.value, seen.label[0].value.as_str()), (2.0, "ab"));
            let time = seen.timestamp.unwrap();
            assert_eq!((time.seconds, time.nanos), (-1, 999_000_000));
            let created = counter.created.unwrap();
            assert_eq!((created.seconds, created.nanos), (1, 500_000_000));
        }
    }
}

#[test]
fn histograms_have_both_kinds_of_buckets() {
    let exemplar = Exemplar { labels: vec![], value: 3.0, timestamp_ms: None };
    let histogram = Histogram {
        bounds: vec![0.5, 1.0],
        counts: vec![1, 0, 2],
        sum: Some(f64::NAN),
        exemplars: vec![BucketExemplar { bucket: 2, exemplar }],
        native: Some(NativeHistogram {
            schema: -4,
            zero_threshold: 1e-128,
            zero_count: 1,
            positive: NativeBuckets { offset: -3, counts: vec![0, 1, 0, 0, 0, 0] },
            negative: NativeBuckets { offset: 7, counts: vec![1] },
        }),
    };
    let classic = Histogram { native: None, exemplars: vec![], ..histogram.clone() };
    let mut family = Family::new("x_seconds", Kind::Histogram);
    family.unit = Some("seconds".to_owned());
    family.points.extend([histogram, classic].map(|value| Point::new(vec![], Value::Histogram(value))));
    let [message] = &written(&[family])[..] else { panic!("one message") };
    assert_eq!((message.kind, message.unit.as_str()), (kind::HISTOGRAM, "seconds"));
    let [native, classic] = [0, 1].map(|index| message.metric[index].histogram.clone().unwrap());
    let buckets = |of: &super::message::Histogram| -> Vec<_> {
        of.bucket.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)).collect()
    };
    for histogram in [&native, &classic] {
        assert_eq!(buckets(histogram), [(0.5, 1), (1.0, 1), (f64::INFINITY, 3)]);
        assert!(histogram.sample_sum.unwrap().is_nan());
        assert_eq!(histogram.sample_count, 3);
    }
    assert_eq!(native.bucket[2].exemplar.as_ref().unwrap().value, 3.0);
    assert_eq!((native.schema, native.zero_threshold, native.zero_count), (-4, 1e-128, 1));
    let spans = |spans: &[super::message::Span]| -> Vec<_> { spans.iter().map(|s| (s.offset, s.length)).collect() };
    assert_eq!((spans(&native.positive_span), &native.positive_delta[..]), (vec![(-2, 1)], &[1][..]));
    assert_eq!((spans(&native.negative_span), &native.negative_delta[..]), (vec![(7, 1)], &[1][..]));
    assert!(
        classic.positive_span.is_empty() && classic.negative_span.is_empty() && classic.bucket[2].exemplar.is_none()
    );
}

#[test]
fn summaries() {
    let quantiles = vec![Quantile { quantile: 0.5, value: 0.1 }, Quantile { quantile: 1.0, value: f64::INFINITY }];
    let summary = Summary { quantiles, sum: Some(2.0), count: Some(7) };
    let none = Summary { quantiles: vec![], sum: None, count: None };
    let mut family = Family::new("x", Kind::Summary);
    family.points.extend([summary, none].map(|value| Point::new(vec![], Value::Summary(value))));
    let [message] = &written(&[family])[..] else { panic!("one message") };
    let [full, empty] = [0, 1].map(|index| message.metric[index].summary.clone().unwrap());
    assert_eq!((full.sample_count, full.sample_sum), (Some(7), Some(2.0)));
    let seen: Vec<_> = full.quantile.iter().map(|quantile| (quantile.quantile, quantile.value)).collect();
    assert_eq!(seen, [(0.5, 0.1), (1.0, f64::INFINITY)]);
    assert_eq!((empty.sample_count, empty.sample_sum, empty.quantile.len()), (None, None, 0));
}

#[test]
fn a_big_family_takes_several_messages() {
    let header = Header { name: "big", kind: Kind::Gauge, help: Some("Big."), unit: None };
    let mut encoder = Encoder::new(Vec::new());
    let mut pieces = Vec::new();
    for piece in 0..4_u32 {
        let mut points = encoder.resume(header).unwrap();
        for index in 0..1000_u32 {
            let (piece, index) = (piece.to_string(), index.to_string());
            let labels = [("piece", piece.as_str()), ("index", index.as_str()), ("padding", &"x".repeat(40))];
            points.point(labels, ValueRef::Number(index.parse().unwrap()), Extra::default()).unwrap();
        }
        drop(points);
        pieces.push(std::mem::take(encoder.get_mut()));
    }
    assert_eq!(encoder.get_ref().len(), 0);
    let messages: Vec<MetricFamily> = pieces.iter().flat_map(|piece| read(piece)).collect();
    assert!(messages.len() > 8, "{}", messages.len());
    assert!(
        messages.iter().all(|message| message.name == "big" && message.help == "Big." && message.kind == kind::GAUGE)
    );
    assert!(messages.iter().all(|message| message.encoded_len() < 17 * 1024));
    let values: Vec<f64> =
        messages.iter().flat_map(|message| &message.metric).map(|metric| metric.gauge.unwrap().value).collect();
    assert_eq!(values, (0..4).flat_map(|_| (0..1000).map(f64::from)).collect::<Vec<_>>());
}

#[test]
fn mistakes_are_errors_and_write_nothing_of_the_point() {
    let mut encoder = Encoder::new(Vec::new());
    assert_eq!(encoder.family(&Family::default()), Err(EncodeError::EmptyName));
    let header = Header { name: "a", kind: Kind::Histogram, help: None, unit: None };
    let uneven = ValueRef::Histogram { bounds: &[1.0], counts: &[1], sum: None, exemplars: &[], native: None };
    let wrong = NativeHistogram { schema: 9, ..NativeHistogram::default() };
    let native = ValueRef::Histogram { bounds: &[], counts: &[1], sum: None, exemplars: &[], native: Some(&wrong) };
    let mut points = encoder.begin(header).unwrap();
    for (value, error) in [
        (uneven, EncodeError::Value { family: "a".to_owned(), kind: Kind::Histogram }),
        (ValueRef::Number(1.0), EncodeError::Value { family: "a".to_owned(), kind: Kind::Histogram }),
        (native, EncodeError::Native { family: "a".to_owned() }),
    ] {
        assert_eq!(points.point([], value, Extra::default()), Err(error));
    }
    drop(points);
    assert_eq!(encoder.finish(), Ok(Vec::new()));
}

#[test]
fn a_full_writer_is_an_error() {
    let mut room = [0; 30];
    let mut encoder = Encoder::new(&mut room[..]);
    let header = Header { name: "a", kind: Kind::Gauge, help: None, unit: None };
    let labels = [("label", "longer than there is room for")];
    encoder.begin(header).unwrap().point(labels, ValueRef::Number(1.0), Extra::default()).unwrap();
    assert_eq!(encoder.finish().err(), Some(EncodeError::Write));
}

#[test]
fn accept() {
    const OURS: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    for (header, expected) in [
        (OURS.to_owned(), true),
        (super::CONTENT_TYPE.to_owned(), true),
        (format!("{OURS},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5,*/*;q=0.1"), true),
        (format!("{OURS};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5"), true),
        (format!("{OURS};q=0.5,application/openmetrics-text;q=0.6"), false),
        (format!("{OURS};q=0.5,text/plain"), false),
        (format!("{OURS};q=0"), false),
        ("application/vnd.google.protobuf".to_owned(), false),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text".to_owned(), false),
        (OURS.replace("delimited", "\"DELIMITED\""), true),
        ("*/*".to_owned(), false),
        (format!("{OURS};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.2"), true),
        (format!("{OURS};q=0.5,text/*"), false),
        (format!("{OURS};q=0.5,text/plain;q=0.1,*/*"), true),
        (String::new(), false),
    ] {
        assert_eq!(accepts(&header), expected, "{header}");
    }
}
