//! The form of messages.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, exemplar, metric, number_data_point};
use outrigger_exposition::{
    BucketExemplar, Exemplar, Family, Histogram, Kind, Label, NativeBuckets, NativeHistogram, Point, Quantile, Summary,
    Value,
};
use outrigger_semconv::http;

use super::super::message::{Form, Temporality, message};
use super::{decoded, family, metrics, text};

const S: u64 = 1_000_000_000;

/// The metrics of these families, by name, as a receiver reads them.
fn sent(families: Vec<Family>) -> BTreeMap<String, Metric> {
    let form = Form { resource: vec![("service.name".into(), "shop".into())], gzip: false, max_points: 1000 };
    let mut temporality = Temporality::Cumulative { start: 1_700_000_050 * S };
    let message = message(families, &form, &mut temporality, 1_700_000_100 * S);
    let request = decoded(&message.requests[0], false);
    assert_eq!(text(&request.resource_metrics[0].resource.as_ref().unwrap().attributes)["service.name"], "shop");
    assert_eq!(request.resource_metrics[0].scope_metrics[0].scope.as_ref().unwrap().name, "outrigger");
    metrics(request).map(|metric| (metric.name.clone(), metric)).collect()
}

fn example(value: f64, labels: &[(&str, &str)], timestamp_ms: Option<i64>) -> Exemplar {
    let labels = labels.iter().map(|(name, value)| Label::new(*name, *value)).collect();
    Exemplar { labels, value, timestamp_ms }
}

#[test]
fn metrics_of_the_catalogue_have_their_conventional_names_and_plain_buckets() {
    let trace = [("trace_id", "0123456789abcdef0123456789ABCDEF"), ("span_id", "00000000000000ff"), ("user", "x")];
    let histogram = Histogram {
        bounds: vec![0.1, 0.2],
        counts: vec![3, 2, 1],
        sum: Some(1.5),
        exemplars: vec![
            BucketExemplar { bucket: 0, exemplar: example(0.05, &trace, Some(1_700_000_099_500)) },
            BucketExemplar { bucket: 2, exemplar: example(0.9, &[("trace_id", "no hex")], None) },
        ],
        ..Histogram::default()
    };
    let labels = vec![Label::new("http_route", "/a"), Label::new("http_response_status_code", "200")];
    let requests = Family {
        help: Some("Help.".into()),
        unit: Some("seconds".into()),
        points: vec![Point::new(labels, Value::Histogram(histogram))],
        ..Family::new(http::SERVER_REQUEST_DURATION.name, Kind::Histogram)
    };
    let start = family("process_start_time_seconds", Kind::Gauge, [("", Value::Gauge(1_700_000_000.0))]);
    let target = family("target_info", Kind::Gauge, [("", Value::Gauge(1.0))]);
    let metrics = sent(vec![requests, start, target]);
    assert!(!metrics.contains_key("target_info"), "it is the resource");

    let metric = &metrics["http.server.request.duration"];
    assert_eq!((metric.unit.as_str(), metric.description.as_str()), ("s", "Help."));
    let Some(metric::Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
    let point = &histogram.data_points[0];
    assert_eq!((point.explicit_bounds.as_slice(), point.bucket_counts.as_slice()), (&[0.1, 0.2][..], &[3, 2, 1][..]));
    assert_eq!((point.count, point.sum), (6, Some(1.5)));
    assert_eq!(point.start_time_unix_nano, 1_700_000_000 * S, "the start of the process");
    assert_eq!(point.time_unix_nano, 1_700_000_100 * S);
    let attributes = text(&point.attributes);
    assert_eq!(
        (attributes["http.route"].as_str(), attributes["http.response.status_code"].as_str()),
        ("/a", "int 200")
    );

    let [first, second] = point.exemplars.as_slice() else { panic!("{point:?}") };
    assert_eq!(first.value, Some(exemplar::Value::AsDouble(0.05)));
    assert_eq!(first.trace_id[..3], [0x01, 0x23, 0x45]);
    assert_eq!((first.trace_id.len(), first.span_id.as_slice()), (16, &[0, 0, 0, 0, 0, 0, 0, 255][..]));
    assert_eq!(first.time_unix_nano, 1_700_000_099 * S + S / 2);
    assert_eq!(text(&first.filtered_attributes), BTreeMap::from([("user".into(), "x".into())]));
    assert_eq!(text(&second.filtered_attributes)["trace_id"], "no hex");
    assert_eq!(second.time_unix_nano, point.time_unix_nano);
}

#[test]
fn a_native_histogram_goes_out_as_an_exponential_one() {
    let native = NativeHistogram {
        schema: 3,
        zero_threshold: 1e-9,
        zero_count: 2,
        positive: NativeBuckets { offset: -4, counts: vec![1, 0, 5] },
        negative: NativeBuckets::default(),
    };
    let histogram =
        |native| Histogram { bounds: vec![1.0], counts: vec![8, 0], sum: Some(2.0), native, ..Histogram::default() };
    let below = NativeHistogram { negative: NativeBuckets { offset: 1, counts: vec![1] }, ..native.clone() };
    let points = [
        ("above", Value::Histogram(histogram(Some(native)))),
        ("below", Value::Histogram(histogram(Some(below)))),
        ("classic", Value::Histogram(histogram(None))),
    ];
    let form = Form { resource: Vec::new(), gzip: false, max_points: 1000 };
    let families = vec![family("waits_seconds", Kind::Histogram, points)];
    let message = message(families, &form, &mut Temporality::Cumulative { start: 0 }, S);
    let sent: Vec<Metric> = metrics(decoded(&message.requests[0], false)).collect();
    let [exponential, classic] = sent.as_slice() else { panic!("{sent:?}") };
    let Some(metric::Data::ExponentialHistogram(exponential)) = &exponential.data else { panic!("{exponential:?}") };
    assert!(matches!(classic.data, Some(metric::Data::Histogram(_))), "the same name, of another kind");
    let [above, below] = exponential.data_points.as_slice() else { panic!("{exponential:?}") };
    assert_eq!((above.scale, above.zero_count, above.zero_threshold), (3, 2, 1e-9));
    let buckets = above.positive.as_ref().unwrap();
    assert_eq!(
        (buckets.offset, buckets.bucket_counts.as_slice()),
        (-5, &[1, 0, 5][..]),
        "lower bounds are excluded there too"
    );
    assert_eq!((above.count, above.sum), (8, Some(2.0)));
    assert_eq!((below.count, below.sum), (9, None), "a sum may not fall");
}

#[test]
fn strange_metrics_keep_their_names_and_labels() {
    let number = |value| [("x", value)];
    let summary = Summary { quantiles: vec![Quantile { quantile: 0.5, value: 0.1 }], sum: Some(3.0), count: Some(30) };
    let mut jobs = family("jobs", Kind::Counter, number(Value::Counter(7.0)));
    jobs.points[0].exemplar = Some(example(1.0, &[("k", "v")], None));
    jobs.points[0].created = Some(1_700_000_060.5);
    let mut heat = family("heat_celsius", Kind::Gauge, number(Value::Gauge(f64::NAN)));
    heat.unit = Some("bytes".into());
    heat.points[0].timestamp_ms = Some(1_700_000_090_000);
    // A name of the catalogue with another kind is another metric.
    let duration = family(http::SERVER_REQUEST_DURATION.name, Kind::Gauge, number(Value::Gauge(1.0)));
    let metrics = sent(vec![
        jobs,
        heat,
        duration,
        family("latency", Kind::Summary, number(Value::Summary(summary))),
        family("build", Kind::Info, number(Value::Info)),
        family("is_on", Kind::StateSet, number(Value::State(true))),
        family("queue", Kind::GaugeHistogram, number(Value::GaugeHistogram(Histogram::default()))),
    ]);
    let Some(metric::Data::Sum(sum)) = &metrics["jobs_total"].data else { panic!("{metrics:?}") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(7.0)));
    assert_eq!(sum.data_points[0].start_time_unix_nano, 1_700_000_060 * S + S / 2);
    assert_eq!(sum.data_points[0].exemplars.len(), 1);
    let Some(metric::Data::Gauge(gauge)) = &metrics["heat_celsius"].data else { panic!("{metrics:?}") };
    assert_eq!(metrics["heat_celsius"].unit, "By");
    assert_eq!(
        (gauge.data_points[0].start_time_unix_nano, gauge.data_points[0].time_unix_nano),
        (0, 1_700_000_090 * S)
    );
    assert_eq!(text(&gauge.data_points[0].attributes)["of"], "x");
    let Some(metric::Data::Summary(summary)) = &metrics["latency"].data else { panic!("{metrics:?}") };
    assert_eq!((summary.data_points[0].count, summary.data_points[0].quantile_values.len()), (30, 1));
    for name in ["build_info", "is_on", http::SERVER_REQUEST_DURATION.name] {
        let Some(metric::Data::Gauge(gauge)) = &metrics[name].data else { panic!("{metrics:?}") };
        assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1.0)), "{name}");
    }
    assert_eq!(metrics.len(), 6, "OTLP has no histograms of gauges");
}

#[test]
fn a_request_has_no_more_points_than_it_may() {
    let points = (0..25).map(|_| ("x", Value::Gauge(1.0)));
    let families = vec![family("a", Kind::Gauge, points.clone()), family("b", Kind::Gauge, points)];
    let form = Form { resource: Vec::new(), gzip: true, max_points: 10 };
    let message = message(families, &form, &mut Temporality::Cumulative { start: 0 }, S);
    assert_eq!(message.requests.iter().map(|request| request.points).collect::<Vec<_>>(), [10; 5]);
    let third: Vec<Metric> = metrics(decoded(&message.requests[2], true)).collect();
    assert_eq!(third.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}
