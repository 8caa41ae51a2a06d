//! What stands on a page.

mod support;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use outrigger_exposition::{Family, Kind, Label, Point, Value};
use outrigger_recorder::{Matcher, PageFormat, Recorder};
use support::{families_of, sample};

#[test]
fn all_kinds_in_the_order_of_their_names() {
    let recorder = Recorder::builder().buckets("wait_seconds", &[0.5, 1.0]).build().unwrap();
    with_local_recorder(&recorder, || {
        describe_histogram!("wait_seconds", metrics::Unit::Seconds, "Waiting.");
        let wait = histogram!("wait_seconds", "pool" => "main");
        wait.record(0.5);
        wait.record(0.75);
        wait.record(3.0);
        counter!("jobs_total", "queue" => "mail").increment(2);
        describe_counter!("jobs_total", metrics::Unit::Count, "Jobs\ndone.");
        gauge!("depth").set(-1.5);
        describe_gauge!("depth", "");
    });
    assert_eq!(
        recorder.render(PageFormat::Text),
        "\
# TYPE depth gauge
depth -1.5
# HELP jobs_total Jobs\\ndone.
# TYPE jobs_total counter
jobs_total{queue=\"mail\"} 2
# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{pool=\"main\",le=\"0.5\"} 1
wait_seconds_bucket{pool=\"main\",le=\"1.0\"} 2
wait_seconds_bucket{pool=\"main\",le=\"+Inf\"} 3
wait_seconds_sum{pool=\"main\"} 4.25
wait_seconds_count{pool=\"main\"} 3
"
    );
    let page = recorder.render(PageFormat::OpenMetrics);
    assert!(
        page.starts_with("# TYPE depth gauge\ndepth -1.5\n# HELP jobs Jobs\\ndone.\n# TYPE jobs counter\n"),
        "{page}"
    );
    assert!(page.ends_with("\n# EOF\n"), "{page}");
}

#[test]
fn an_empty_page() {
    let recorder = Recorder::new();
    assert_eq!(recorder.render(PageFormat::Text), "");
    assert_eq!(recorder.render(PageFormat::OpenMetrics), "# EOF\n");
    with_local_recorder(&recorder, || describe_gauge!("never_set", "Nothing yet."));
    assert_eq!(recorder.render(PageFormat::Text), "");
}

#[test]
fn one_series_for_all_spellings_of_its_labels() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        for _ in 0..3 {
            counter!("hits_total", "a.b" => "1", "c" => "2").increment(1);
            counter!("hits_total", "c" => "2", "a.b" => "1").increment(1);
            counter!("hits", "c" => "2", "a_b" => "1", "empty" => "").increment(1);
            counter!("hits_total_total", "c" => "3", "a_b" => "1", "c" => "2").increment(1);
        }
    });
    assert_eq!(recorder.render(PageFormat::Text), "# TYPE hits_total counter\nhits_total{a_b=\"1\",c=\"2\"} 12\n");
}

#[test]
fn labels_said_twice_are_never_mixed_up() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        for _ in 0..2 {
            counter!("x_total", "a" => "1", "a" => "2").increment(1);
            counter!("x_total", "a" => "2", "a" => "1").increment(10);
        }
    });
    let families = families_of(&recorder);
    assert_eq!(sample(&families, "x", &[("a", "2")]), Some(Value::Counter(2.0)));
    assert_eq!(sample(&families, "x", &[("a", "1")]), Some(Value::Counter(20.0)));
}

#[test]
fn the_first_kind_of_a_name_holds() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        histogram!("x").record(1.0);
        for _ in 0..2 {
            gauge!("x").set(1.0);
            gauge!("x_count").set(1.0);
            counter!("x_total").increment(1);
        }
        gauge!("y_total").set(3.0);
        counter!("y").increment(1);
        counter!("y_total").increment(1);
        histogram!("outrigger_series_dropped").record_many(1.0, 3);
        gauge!("x_counts").set(9.0);
    });
    let families = families_of(&recorder);
    let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["outrigger_series_dropped", "x", "x_counts", "y_total"]);
    for (metric, dropped) in [("x", 2.0), ("x_count", 2.0), ("x_total", 2.0), ("y", 1.0), ("y_total", 1.0)] {
        let labels = [("metric", metric)];
        assert_eq!(sample(&families, "outrigger_series_dropped", &labels), Some(Value::Counter(dropped)), "{metric}");
    }
}

#[test]
fn a_cap_on_series() {
    let recorder = Recorder::builder().series_limit(3).build().unwrap();
    let kept = with_local_recorder(&recorder, || {
        for index in 0..10 {
            counter!("visits_total", "user" => index.to_string()).increment(1);
            gauge!("age", "user" => index.to_string()).set(f64::from(index));
            histogram!("wait", "user" => index.to_string()).record_many(0.1, 2);
        }
        counter!("visits_total", "user" => "11")
    });
    kept.increment(5);
    let families = families_of(&recorder);
    let overflow = [("otel_metric_overflow", "true")];
    assert_eq!(sample(&families, "visits", &overflow), Some(Value::Counter(12.0)));
    assert_eq!(sample(&families, "age", &overflow), Some(Value::Gauge(9.0)));
    assert!(matches!(sample(&families, "wait", &overflow), Some(Value::Histogram(wait)) if wait.count() == 14));
    for (metric, dropped) in [("visits_total", 8.0), ("age", 7.0), ("wait", 14.0)] {
        let labels = [("metric", metric)];
        assert_eq!(sample(&families, "outrigger_series_dropped", &labels), Some(Value::Counter(dropped)), "{metric}");
    }
    for family in families.iter().filter(|family| family.name != "outrigger_series_dropped") {
        assert_eq!(family.points.len(), 4, "{}", family.name);
    }
}

#[test]
fn a_cap_on_metrics() {
    let recorder = Recorder::builder().metric_limit(2).build().unwrap();
    with_local_recorder(&recorder, || {
        for index in 0..2_000 {
            counter!(format!("metric_{index}")).increment(1);
            counter!(format!("metric_{index}")).increment(1);
        }
    });
    let families = families_of(&recorder);
    let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["metric_0", "metric_1", "outrigger_series_dropped"]);
    let dropped = &families[2].points;
    assert_eq!(dropped.len(), 1_001);
    let total: f64 =
        dropped.iter().map(|point| if let Value::Counter(count) = point.value { count } else { 0.0 }).sum();
    assert_eq!(total, 2.0 * 1_998.0);
}

#[test]
fn too_many_labels_are_folded() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        let labels: Vec<_> = (0..200).map(|index| metrics::Label::new(format!("l{index}"), "v")).collect();
        gauge!("wide", labels).set(1.0);
        gauge!("long", "text" => "x".repeat(100_000)).set(1.0);
    });
    let families = families_of(&recorder);
    for name in ["wide", "long"] {
        assert_eq!(sample(&families, name, &[("otel_metric_overflow", "true")]), Some(Value::Gauge(1.0)));
    }
}

#[test]
fn not_a_number_is_counted() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        let wait = histogram!("wait_seconds");
        wait.record(1.0);
        wait.record(f64::NAN);
        wait.record_many(f64::INFINITY, 2);
    });
    let families = families_of(&recorder);
    let labels = [("metric", "wait_seconds")];
    assert_eq!(sample(&families, "outrigger_observations_invalid", &labels), Some(Value::Counter(3.0)));
    assert!(matches!(sample(&families, "wait_seconds", &[]), Some(Value::Histogram(wait)) if wait.sum == Some(1.0)));
}

#[test]
fn collected_families_stand_among_the_others() {
    let recorder = Recorder::new();
    let of = |name: &str, kind, value: Value| {
        let mut family = Family::new(name, kind);
        family.points.push(Point::new(vec![Label::new("l", "\"")], value));
        family
    };
    recorder.collector(move || {
        vec![
            of("c", Kind::Gauge, Value::Gauge(3.0)),
            of("a", Kind::Gauge, Value::Gauge(1.0)),
            of("b", Kind::Gauge, Value::Gauge(9.0)),
            of("z_total", Kind::Counter, Value::Counter(9.0)),
            Family::new("empty", Kind::Gauge),
        ]
    });
    recorder.collector(move || vec![of("a", Kind::Gauge, Value::Gauge(2.0)), of("odd", Kind::Gauge, Value::Info)]);
    with_local_recorder(&recorder, || {
        gauge!("b").set(2.0);
        gauge!("d").set(4.0);
    });
    assert_eq!(
        recorder.render(PageFormat::Text),
        "\
# TYPE a gauge
a{l=\"\\\"\"} 1
# TYPE b gauge
b 2
# TYPE c gauge
c{l=\"\\\"\"} 3
# TYPE d gauge
d 4
# TYPE odd gauge
odd{l=\"\\\"\"} 1
# TYPE z_total counter
z_total{l=\"\\\"\"} 9
"
    );
    let names: Vec<_> = recorder.families().into_iter().map(|family| family.name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "odd", "z"]);
}

#[test]
fn pieces_are_short_and_make_up_the_page() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        for index in 0..2_000 {
            histogram!("wait_seconds", "route" => format!("/{index}/é")).record(0.1);
        }
        gauge!("tail").set(1.0);
    });
    let pieces: Vec<_> = recorder.page(PageFormat::OpenMetrics).collect();
    assert!(pieces.len() > 10);
    assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= 64 * 1024));
    let whole = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(whole.matches("# TYPE wait_seconds").count(), 1);
    assert_eq!(whole.matches("wait_seconds_count").count(), 2_000);
    assert_eq!(whole, recorder.render(PageFormat::OpenMetrics));
}

#[test]
fn a_point_longer_than_a_piece() {
    let bounds: Vec<f64> = (1..=999).map(f64::from).collect();
    let recorder = Recorder::builder().buckets(Matcher::Prefix(String::new()), &bounds).build().unwrap();
    with_local_recorder(&recorder, || {
        gauge!("before").set(1.0);
        histogram!("wait", "text" => "é".repeat(1_000)).record(7.0);
        gauge!("zoo").set(1.0);
    });
    let pieces: Vec<_> = recorder.page(PageFormat::Text).collect();
    assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= 64 * 1024));
    assert!(pieces.len() > 30, "{}", pieces.len());
    let families = families_of(&recorder);
    assert_eq!(families.len(), 3);
    assert!(matches!(&families[1].points[0].value, Value::Histogram(wait) if wait.counts[6] == 1 && wait.count() == 1));
}
