//! OpenMetrics keeps the name `x_created`: a page that has another metric of that name is refused as a whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use metrics::{counter, gauge, histogram, with_local_recorder};
use outrigger_exposition::{Family, Kind, Point, Value};
use outrigger_recorder::{PageFormat, Recorder};

/// The names of the families on a page.
fn names(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

fn clashing() -> Recorder {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || {
        counter!("orders_total").increment(1);
        counter!("orders_created_total").increment(2);
        gauge!("jobs_created").set(3);
        counter!("jobs_total").increment(4);
        histogram!("wait_seconds").record(5);
        gauge!("wait_seconds_created").set(6);
        // Nobody's creation times.
        gauge!("depth").set(7);
        gauge!("depth_created").set(8);
        gauge!("outrigger_series_dropped_created").set(9);
    });
    let gauge = |name: &str| {
        let mut family = Family::new(name, Kind::Gauge);
        family.points.push(Point::new(vec![], Value::Gauge(10.0)));
        family
    };
    recorder.collector(move || {
        let mut made = gauge("made");
        (made.kind, made.points[0].value) = (Kind::Counter, Value::Counter(11.0));
        vec![made, gauge("made_created"), gauge("tasks_created")]
    });
    with_local_recorder(&recorder, || counter!("tasks_total").increment(12));
    recorder
}

#[test]
fn what_clashes_is_left_off_openmetrics_alone() {
    let recorder = clashing();
    let all = [
        "depth",
        "depth_created",
        "jobs_created",
        "jobs_total",
        "made_total",
        "made_created",
        "orders_total",
        "orders_created_total",
        "outrigger_series_dropped_created",
        "tasks_total",
        "tasks_created",
        "wait_seconds",
        "wait_seconds_created",
    ];
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(names(&recorder.render(PageFormat::Text))), sorted(all.to_vec()));
    assert_eq!(recorder.families().len(), all.len());
    let page = recorder.render(PageFormat::OpenMetrics);
    let first_come = ["depth", "depth_created", "jobs_created", "made", "orders", "tasks", "wait_seconds"];
    assert_eq!(names(&page), first_come);
    assert!(page.contains("\ndepth_created 8\n") && page.contains("\njobs_created 3\n"), "{page}");
}

/// PyPI's `prometheus_client`, the reference implementation.
#[test]
fn strangers_read_the_page() {
    let Some(python) = outrigger_testkit::python(&["prometheus_client"]) else { return };
    let script = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                  print(*(family.name for family in read(sys.stdin.read())))";
    let page = clashing().render(PageFormat::OpenMetrics);
    let mut child =
        Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // A script that ends early closes the pipe: its exit code says so.
    let sent = child.stdin.take().unwrap().write_all(page.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "prometheus_client refused the page:\n{page}");
    sent.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>(), names(&page));
}
