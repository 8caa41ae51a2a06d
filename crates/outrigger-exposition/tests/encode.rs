//! What the encoder writes, letter by letter.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use outrigger_exposition::Format::{OpenMetrics, Text};
use outrigger_exposition::{
    BucketExemplar, EncodeError, Encoder, Exemplar, Extra, Family, Format, Header, Histogram, Kind, Label, Point,
    Quantile, Summary, Value, ValueRef,
};

fn page(format: Format, created: bool, families: &[Family]) -> String {
    let mut encoder = Encoder::new(format, String::new()).with_created(created);
    for family in families {
        encoder.family(family).unwrap();
    }
    encoder.finish().unwrap()
}

fn family(name: &str, kind: Kind, points: Vec<Point>) -> Family {
    Family { points, ..Family::new(name, kind) }
}

#[test]
fn empty() {
    assert_eq!(page(Text, false, &[]), "");
    assert_eq!(page(OpenMetrics, false, &[]), "# EOF\n");
}

#[test]
fn counters_get_their_suffix_once() {
    for name in ["jobs", "jobs_total"] {
        let jobs = family(name, Kind::Counter, vec![Point::new(vec![], Value::Counter(1e16))]);
        assert_eq!(page(Text, false, std::slice::from_ref(&jobs)), "# TYPE jobs_total counter\njobs_total 1e16\n");
        assert_eq!(page(OpenMetrics, false, &[jobs]), "# TYPE jobs counter\njobs_total 1e16\n# EOF\n");
    }
}

#[test]
fn a_histogram_in_full() {
    let exemplar = |value| Exemplar { labels: vec![Label::new("trace_id", "a\"b")], value, timestamp_ms: Some(1500) };
    let wait = Family {
        name: "wait_seconds".to_owned(),
        help: Some("Back\\slash, \"quotes\"\nand a line feed.\r".to_owned()),
        unit: Some("seconds".to_owned()),
        kind: Kind::Histogram,
        points: vec![Point {
            timestamp_ms: Some(-1),
            created: Some(1.5e9),
            ..Point::new(
                vec![Label::new("route", "/\"\\\n")],
                Value::Histogram(Histogram {
                    bounds: vec![0.00001, 1.0, 1e6],
                    counts: vec![1, 0, 2, 3],
                    sum: Some(f64::NAN),
                    exemplars: vec![
                        BucketExemplar { bucket: 0, exemplar: exemplar(1e-6) },
                        BucketExemplar { bucket: 3, exemplar: exemplar(2e6) },
                    ],
                    native: None,
                }),
            )
        }],
    };
    assert_eq!(
        page(Text, true, std::slice::from_ref(&wait)),
        r#"# HELP wait_seconds Back\\slash, "quotes"\nand a line feed.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{route="/\"\\\n",le="1e-05"} 1 -1
wait_seconds_bucket{route="/\"\\\n",le="1.0"} 1 -1
wait_seconds_bucket{route="/\"\\\n",le="1e+06"} 3 -1
wait_seconds_bucket{route="/\"\\\n",le="+Inf"} 6 -1
wait_seconds_sum{route="/\"\\\n"} NaN -1
wait_seconds_count{route="/\"\\\n"} 6 -1
"#
    );
    assert_eq!(
        page(OpenMetrics, true, &[wait]),
        r#"# HELP wait_seconds Back\\slash, \"quotes\"\nand a line feed.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{route="/\"\\\n",le="1e-05"} 1 -0.001 # {trace_id="a\"b"} 1e-6 1.500
wait_seconds_bucket{route="/\"\\\n",le="1.0"} 1 -0.001
wait_seconds_bucket{route="/\"\\\n",le="1e+06"} 3 -0.001
wait_seconds_bucket{route="/\"\\\n",le="+Inf"} 6 -0.001 # {trace_id="a\"b"} 2000000 1.500
wait_seconds_sum{route="/\"\\\n"} NaN -0.001
wait_seconds_count{route="/\"\\\n"} 6 -0.001
wait_seconds_created{route="/\"\\\n"} 1500000000 -0.001
# EOF
"#
    );
}

#[test]
fn created_only_on_request() {
    let point = Point { created: Some(5.0), ..Point::new(vec![], Value::Counter(1.0)) };
    let jobs = [family("jobs", Kind::Counter, vec![point])];
    assert_eq!(page(OpenMetrics, false, &jobs), "# TYPE jobs counter\njobs_total 1\n# EOF\n");
    assert_eq!(page(OpenMetrics, true, &jobs), "# TYPE jobs counter\njobs_total 1\njobs_created 5\n# EOF\n");
    assert_eq!(page(Text, true, &jobs), "# TYPE jobs_total counter\njobs_total 1\n");
}

#[test]
fn what_text_cannot_say() {
    let buckets = Histogram { bounds: vec![], counts: vec![2], sum: Some(3.0), exemplars: vec![], native: None };
    let families = [
        family("build", Kind::Info, vec![Point::new(vec![Label::new("v", "1")], Value::Info)]),
        family("on", Kind::StateSet, vec![Point::new(vec![Label::new("on", "a")], Value::State(true))]),
        family("queue", Kind::GaugeHistogram, vec![Point::new(vec![], Value::GaugeHistogram(buckets))]),
        family("odd", Kind::Unknown, vec![Point::new(vec![], Value::Unknown(-0.5))]),
    ];
    assert_eq!(
        page(Text, false, &families),
        "# TYPE build_info gauge\nbuild_info{v=\"1\"} 1\n# TYPE on gauge\non{on=\"a\"} 1\n# TYPE queue histogram\n\
         queue_bucket{le=\"+Inf\"} 2\nqueue_sum 3\nqueue_count 2\n# TYPE odd untyped\nodd -0.5\n"
    );
    assert_eq!(
        page(OpenMetrics, false, &families),
        "# TYPE build info\nbuild_info{v=\"1\"} 1\n# TYPE on stateset\non{on=\"a\"} 1\n# TYPE queue gaugehistogram\n\
         queue_bucket{le=\"+Inf\"} 2\nqueue_gsum 3\nqueue_gcount 2\n# TYPE odd unknown\nodd -0.5\n# EOF\n"
    );
}

#[test]
fn summaries() {
    let value = Summary {
        quantiles: vec![Quantile { quantile: 0.5, value: 0.1 }, Quantile { quantile: 1.0, value: f64::NAN }],
        sum: Some(2.0),
        count: Some(7),
    };
    let pause =
        [family("pause_seconds", Kind::Summary, vec![Point::new(vec![Label::new("a", "b")], Value::Summary(value))])];
    assert_eq!(
        page(Text, false, &pause),
        "# TYPE pause_seconds summary\npause_seconds{a=\"b\",quantile=\"0.5\"} 0.1\n\
         pause_seconds{a=\"b\",quantile=\"1.0\"} NaN\npause_seconds_sum{a=\"b\"} 2\npause_seconds_count{a=\"b\"} 7\n"
    );
}

#[test]
fn names_outside_the_alphabet_are_quoted() {
    let point = Point::new(vec![Label::new("http.route", "/"), Label::new("plain", "")], Value::Counter(1.0));
    let requests = [family("http.requests", Kind::Counter, vec![point, Point::new(vec![], Value::Counter(2.0))])];
    assert_eq!(
        page(Text, false, &requests),
        "# TYPE \"http.requests_total\" counter\n{\"http.requests_total\",\"http.route\"=\"/\",plain=\"\"} 1\n\
         {\"http.requests_total\"} 2\n"
    );
}

#[test]
fn a_unit_that_openmetrics_forbids_is_left_out() {
    for (name, kind, unit) in [
        ("a", Kind::Gauge, "seconds"),
        ("seconds", Kind::Gauge, "seconds"),
        ("a_x", Kind::Info, "x"),
        ("a_", Kind::Gauge, ""),
    ] {
        let family = Family { unit: Some(unit.to_owned()), ..Family::new(name, kind) };
        assert!(!page(OpenMetrics, false, &[family]).contains("UNIT"), "{name} {unit}");
    }
}

#[test]
fn long_exemplars_are_left_out() {
    let exemplar = Exemplar { labels: vec![Label::new("t", "x".repeat(128))], value: 1.0, timestamp_ms: None };
    let mut encoder = Encoder::new(OpenMetrics, String::new());
    let header = Header { name: "a", kind: Kind::Counter, help: None, unit: None };
    let extra = Extra { exemplar: Some(&exemplar), ..Extra::default() };
    encoder.begin(header).unwrap().point([], ValueRef::Number(1.0), extra).unwrap();
    assert_eq!(encoder.finish().unwrap(), "# TYPE a counter\na_total 1\n# EOF\n");
}

#[test]
fn mistakes_are_errors_and_write_nothing_of_the_point() {
    let mut out = String::new();
    let mut encoder = Encoder::new(Text, &mut out);
    assert_eq!(encoder.family(&Family::default()), Err(EncodeError::EmptyName));
    let uneven = Histogram { bounds: vec![1.0], counts: vec![1], ..Histogram::default() };
    for (kind, value) in [
        (Kind::Gauge, Value::Counter(1.0)),
        (Kind::Histogram, Value::Gauge(1.0)),
        (Kind::Histogram, Value::Histogram(uneven)),
        (Kind::Summary, Value::Info),
    ] {
        let wrong = family("a", kind, vec![Point::new(vec![], value)]);
        assert_eq!(encoder.family(&wrong), Err(EncodeError::Value { family: "a".to_owned(), kind }));
    }
    assert!(out.lines().all(|line| line.starts_with("# TYPE a ")), "{out}");
    assert_eq!(
        EncodeError::Value { family: "a".to_owned(), kind: Kind::Histogram }.to_string(),
        "family \"a\" is a histogram: its points need buckets, one count more than bounds"
    );
}
