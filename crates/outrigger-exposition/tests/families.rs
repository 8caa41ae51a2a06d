//! How lines become families, and what is said of those that do not fit together.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use outrigger_exposition::Format::{OpenMetrics, Text};
use outrigger_exposition::{
    Families, Family, Format, Histogram, Kind, Label, Limits, Point, ProblemKind, Quantile, Summary, Value, families,
    families_within,
};

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Vec<Label> {
    pairs.into_iter().map(|(name, value)| Label::new(name, value)).collect()
}

/// Reads a page on which everything fits together.
fn sound(page: &str, format: Format) -> Vec<Family> {
    let read = families(page.as_bytes(), format);
    assert_eq!((read.problems.as_slice(), read.bad_lines.as_slice()), (&[][..], &[][..]), "{page}");
    read.families
}

/// Each family as its name, kind and values.
fn outline(read: &Families) -> Vec<(&str, Kind, Vec<&Value>)> {
    read.families
        .iter()
        .map(|family| (family.name.as_str(), family.kind, family.points.iter().map(|point| &point.value).collect()))
        .collect()
}

fn problems(read: &Families) -> Vec<ProblemKind> {
    assert_eq!(read.problem_count, read.problems.len() as u64);
    read.problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn a_histogram_counts_per_bucket() {
    for format in [Text, OpenMetrics] {
        let read = sound(
            "# HELP wait_seconds Time \\\\ waited.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
             wait_seconds_bucket{pool=\"a\",le=\"0.1\"} 1\n\
             wait_seconds_bucket{pool=\"a\",le=\"1\"} 4\n\
             wait_seconds_bucket{pool=\"a\",le=\"+Inf\"} 9\n\
             wait_seconds_sum{pool=\"a\"} 12.5\n\
             wait_seconds_count{pool=\"a\"} 9\n",
            format,
        );
        let value = Histogram {
            bounds: vec![0.1, 1.0],
            counts: vec![1, 3, 5],
            sum: Some(12.5),
            exemplars: vec![],
            native: None,
        };
        assert_eq!(value.count(), 9);
        assert_eq!(
            read,
            [Family {
                name: "wait_seconds".to_owned(),
                help: Some("Time \\ waited.".to_owned()),
                unit: Some("seconds".to_owned()),
                kind: Kind::Histogram,
                points: vec![Point::new(labels([("pool", "a")]), Value::Histogram(value))],
            }]
        );
    }
}

#[test]
fn counters_have_one_name_in_both_formats() {
    for (page, format) in [
        ("# TYPE jobs_total counter\njobs_total 3\n", Text),
        ("# TYPE jobs counter\njobs 3\n", Text),
        ("# TYPE jobs counter\njobs_total 3\n", Text),
        ("# TYPE jobs counter\njobs_total 3\n", OpenMetrics),
        ("# TYPE jobs_total counter\njobs_total 3\n", OpenMetrics),
    ] {
        let read = sound(page, format);
        let expected =
            Family { points: vec![Point::new(vec![], Value::Counter(3.0))], ..Family::new("jobs", Kind::Counter) };
        assert_eq!(read, [expected], "{page}");
    }
}

#[test]
fn every_kind_of_openmetrics() {
    let page = include_str!("../corpus/openmetrics_all_kinds.txt");
    let read = families(page.as_bytes(), OpenMetrics);
    assert_eq!((problems(&read), read.parsed.bad_lines, read.parsed.eof), (vec![], 0, true));
    let queue = Histogram {
        bounds: vec![512.0, 1e6],
        counts: vec![3, 1, 0],
        sum: Some(1024.0),
        exemplars: vec![],
        native: None,
    };
    assert_eq!(
        outline(&read)[1..],
        [
            ("go_goroutines", Kind::Gauge, vec![&Value::Gauge(69.0)]),
            ("process_cpu_seconds", Kind::Counter, vec![&Value::Counter(4.20072246e6)]),
            ("build", Kind::Info, vec![&Value::Info]),
            ("feature", Kind::StateSet, vec![&Value::State(true), &Value::State(false)]),
            ("queue_size_bytes", Kind::GaugeHistogram, vec![&Value::GaugeHistogram(queue)]),
            ("mystery", Kind::Unknown, vec![&Value::Unknown(0.0)]),
        ]
    );
    let [quantiles, totals] = read.families[0].points.as_slice() else { panic!("{:?}", read.families[0]) };
    assert_eq!(quantiles.labels, labels([("path", "/api/v1")]));
    let half = Quantile { quantile: 0.5, value: 0.031 };
    assert_eq!(quantiles.value, Value::Summary(Summary { quantiles: vec![half], sum: None, count: None }));
    assert_eq!(totals.value, Value::Summary(Summary { quantiles: vec![], sum: Some(9036.32), count: Some(807_283) }));
    assert_eq!(totals.created, Some(1_605_281_325.0));
    assert_eq!(read.families[2].points[0].created, Some(1_520_430_000.123));
    assert_eq!(read.families[3].points[0].labels, labels([("version", "1.0"), ("rev", "a\\b\"c\nd")]));
}

#[test]
fn exemplars_are_kept_where_openmetrics_has_them() {
    let read = sound(include_str!("../corpus/openmetrics_exemplars.txt"), OpenMetrics);
    let Value::Histogram(histogram) = &read[0].points[0].value else { panic!("{read:?}") };
    let kept: Vec<_> = histogram
        .exemplars
        .iter()
        .map(|kept| (kept.bucket, kept.exemplar.labels.len(), kept.exemplar.value, kept.exemplar.timestamp_ms))
        .collect();
    assert_eq!(kept, [(1, 0, 0.054, None), (2, 1, 0.67, None), (3, 1, 9.8, Some(1_520_879_607_789))]);
    let jobs = &read[1].points[0];
    assert_eq!(jobs.timestamp_ms, Some(1_520_879_607_789));
    assert_eq!(jobs.exemplar.as_ref().unwrap().labels, labels([("trace_id", "abc"), ("span_id", "def")]));

    let long = format!("# TYPE a counter\na_total 1 # {{t=\"{}\"}} 1\n", "é".repeat(128));
    assert_eq!(sound(&long, OpenMetrics)[0].points[0].exemplar, None);
}

#[test]
fn families_may_interleave_and_come_twice() {
    let read = families(include_bytes!("../corpus/interleaved.txt"), Text);
    let histogram = |counts, sum| {
        Value::Histogram(Histogram { bounds: vec![1.0], counts, sum: Some(sum), exemplars: vec![], native: None })
    };
    assert_eq!(
        outline(&read),
        [
            ("early", Kind::Unknown, vec![&Value::Unknown(1.0)]),
            ("requests", Kind::Counter, vec![&Value::Counter(1.0), &Value::Counter(2.0)]),
            ("latency_seconds", Kind::Histogram, vec![&histogram(vec![1, 1], 1.5), &histogram(vec![1, 0], 0.5)]),
        ]
    );
    // The late TYPE of `early`, and the second value of one counter.
    assert_eq!(problems(&read), [ProblemKind::KindChanged, ProblemKind::Duplicate]);
}

#[test]
fn the_order_of_labels_and_buckets_means_nothing() {
    let read = sound(
        "# TYPE a histogram\n\
         a_bucket{x=\"1\",y=\"2\",le=\"+Inf\"} 3\n\
         a_bucket{le=\"2\",y=\"2\",x=\"1\"} 2\n\
         a_bucket{y=\"2\",le=\"1\",x=\"1\"} 1\n\
         a_count{y=\"2\",x=\"1\"} 3\n",
        Text,
    );
    let value = Histogram { bounds: vec![1.0, 2.0], counts: vec![1, 1, 1], sum: None, exemplars: vec![], native: None };
    assert_eq!(read[0].points, [Point::new(labels([("x", "1"), ("y", "2")]), Value::Histogram(value))]);
}

#[test]
fn timestamps_tell_points_apart() {
    let read = sound("# TYPE a gauge\na 1 1\na 2 2\na 3\n", OpenMetrics);
    let points: Vec<_> = read[0].points.iter().map(|point| point.timestamp_ms).collect();
    assert_eq!(points, [Some(1000), Some(2000), None]);
}

#[test]
fn what_does_not_fit_together_is_said() {
    use ProblemKind::{
        Bound, CountMismatch, Duplicate, Incomplete, InfinityFromCount, KindChanged, NameClash, NoInfinity, NotACount,
        NotMonotone, State, UnexpectedSample, Unit,
    };
    // The lines, the problems in them, and the number of points that are left.
    let cases: &[(&str, &[ProblemKind], usize)] = &[
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"2\"} 1\na_bucket{le=\"+Inf\"} 2", &[NotMonotone], 0),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1", &[NotMonotone], 0),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_sum 1", &[NoInfinity], 0),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_count 3", &[InfinityFromCount], 1),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_count 1", &[NotMonotone], 0),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 3", &[CountMismatch], 1),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1.5", &[NotACount], 0),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} -1", &[NotACount], 0),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} NaN", &[NotACount], 0),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1e300", &[NotACount], 0),
        ("# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 3", &[Duplicate], 1),
        ("# TYPE a histogram\na_bucket{le=\"x\"} 1\na_bucket{le=\"+Inf\"} 3", &[Bound], 1),
        ("# TYPE a histogram\na_bucket{le=\"NaN\"} 1\na_bucket{le=\"+Inf\"} 3", &[Bound], 1),
        ("# TYPE a histogram\na_bucket{le=\"-Inf\"} 1\na_bucket{le=\"+Inf\"} 3", &[Bound], 1),
        ("# TYPE a histogram\na_bucket 1\na_bucket{le=\"+Inf\"} 3", &[Bound], 1),
        ("# TYPE a histogram\na_sum{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 3", &[UnexpectedSample], 1),
        ("# TYPE a histogram\na 1", &[UnexpectedSample], 0),
        ("# TYPE a histogram\na_created 1", &[NoInfinity], 0),
        ("# TYPE a summary\na{quantile=\"1.5\"} 1\na_sum 1", &[Bound], 1),
        ("# TYPE a summary\na 1\na_sum 1", &[Bound], 1),
        ("# TYPE a summary\na{quantile=\"0.5\"} 1\na{quantile=\".5\"} 1", &[Duplicate], 1),
        ("# TYPE a summary\na_count 0.5", &[NotACount], 0),
        ("# TYPE a summary\na_created 1", &[Incomplete], 0),
        ("# TYPE a counter\na_created 1", &[Incomplete], 0),
        ("# TYPE a counter\na_total 1\na_total 2\na 3", &[Duplicate, Duplicate], 1),
        ("# TYPE a info\na_info 2", &[State], 0),
        ("# TYPE a info\na 1", &[UnexpectedSample], 0),
        ("# TYPE a stateset\na{a=\"x\"} 2\na{b=\"x\"} 1\na{a=\"y\"} 1", &[State, State], 1),
        ("# TYPE a counter\n# TYPE a gauge\na 1", &[KindChanged], 1),
        ("# TYPE a counter\n# TYPE a counter\na 1", &[], 1),
        ("# TYPE a gauge\n# UNIT a seconds\na 1", &[Unit], 1),
        ("# TYPE a gauge\na 1\n# TYPE a_total counter\na_total 2", &[NameClash], 2),
        ("# TYPE a_total counter\na_total 2\n# TYPE a gauge\na 1", &[NameClash], 2),
        ("# TYPE a_info gauge\na_info 2\n# TYPE a info\na_info 1", &[NameClash], 1),
        ("a_total 1\n# TYPE a counter\na 2", &[NameClash], 1),
    ];
    for (page, expected, points) in cases {
        for format in [Text, OpenMetrics] {
            let read = families(page.as_bytes(), format);
            assert_eq!(problems(&read), *expected, "{page}");
            assert_eq!(read.families.iter().map(|family| family.points.len()).sum::<usize>(), *points, "{page}");
        }
    }
}

#[test]
fn a_counter_gives_way_to_a_family_of_its_name() {
    let read = families(b"# TYPE a gauge\na 1\n# TYPE a_total counter\na_total 2\n", Text);
    assert_eq!(
        outline(&read),
        [("a", Kind::Gauge, vec![&Value::Gauge(1.0)]), ("a_total", Kind::Unknown, vec![&Value::Unknown(2.0)]),]
    );
    assert_eq!(read.problems[0].to_string(), "a_total: another family has this name");
}

#[test]
fn help_alone_is_no_family() {
    assert_eq!(sound("# HELP a x\n# UNIT b_seconds seconds\n", Text), []);
    assert_eq!(sound("# HELP a x\na 1\n", Text)[0].help.as_deref(), Some("x"));
    let empty = Family { help: Some("x".to_owned()), ..Family::new("a", Kind::Gauge) };
    assert_eq!(sound("# HELP a x\n# TYPE a gauge\n", Text), [empty]);
}

#[test]
fn limits() {
    let limits = Limits { families: 2, points: 3, reports: 1 };
    let read = families_within(b"a 1\na{x=\"1\"} 1\nb 1\nc 1\na{x=\"2\"} 1\na 2\na 3\n?\n?\n", Text, &limits);
    assert_eq!(
        outline(&read),
        [
            ("a", Kind::Unknown, vec![&Value::Unknown(1.0), &Value::Unknown(1.0)]),
            ("b", Kind::Unknown, vec![&Value::Unknown(1.0)]),
        ]
    );
    assert_eq!((read.over_limit, read.problem_count, read.problems.len()), (2, 2, 1));
    assert_eq!((read.parsed.samples, read.parsed.bad_lines, read.bad_lines.len()), (7, 2, 1));
    assert_eq!(
        read.bad_lines[0].to_string(),
        "line 8: a name is missing or has a character that names may not have: ?"
    );
}

#[test]
fn buckets_are_bounded() {
    let buckets: String = (0..1005).map(|bound| format!("a_bucket{{le=\"{bound}\"}} {bound}\n")).collect();
    let read = families(format!("# TYPE a histogram\n{buckets}a_count 2000\n").as_bytes(), Text);
    let Value::Histogram(histogram) = &read.families[0].points[0].value else { panic!("{read:?}") };
    assert_eq!((histogram.bounds.len(), histogram.count()), (1000, 2000));
    assert_eq!(problems(&read)[..5], [ProblemKind::TooManyBuckets; 5]);
}

#[test]
fn real_pages_have_no_problems() {
    for page in [
        &include_bytes!("../corpus/node_exporter.txt")[..],
        include_bytes!("../corpus/go_client.txt"),
        include_bytes!("../corpus/micrometer.txt"),
        include_bytes!("../corpus/metrics_exporter_prometheus.txt"),
        include_bytes!("../corpus/text_spec.txt"),
    ] {
        let read = families(page, Text);
        assert_eq!((problems(&read), read.parsed.bad_lines), (vec![], 0));
        assert!(read.families.len() >= 3);
        assert!(read.families.iter().all(|family| !family.points.is_empty()));
    }
}
