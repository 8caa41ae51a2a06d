//! Prometheus' own linter finds nothing to complain about.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use outrigger_recorder::{PageFormat, Recorder};
use outrigger_testkit::promtool::check_metrics;

#[test]
fn promtool_has_no_complaints() {
    let recorder = Recorder::builder().series_limit(2).build().unwrap();
    with_local_recorder(&recorder, || {
        describe_counter!("jobs_total", "Jobs\nof \"all\" \\kinds.");
        describe_gauge!("queue_depth", "Jobs that wait.");
        describe_histogram!("job_duration_seconds", metrics::Unit::Seconds, "Duration of jobs.");
        for hostile in ["a\"b", "line\nbreak", "back\\slash\\", "{le=\"1\"}", "é\u{1F600}"] {
            counter!("jobs_total", "kind" => hostile).increment(1);
            gauge!("queue_depth", "kind" => hostile).set(-0.5);
            histogram!("job.duration.seconds", "kind" => hostile, "2nd" => "x").record(0.3);
        }
        histogram!("job_duration_seconds").record(f64::NAN);
    });
    let page = recorder.render(PageFormat::Text);
    assert!(page.contains("outrigger_series_dropped_total{metric=\"jobs_total\"} 3\n"), "{page}");
    assert!(page.contains("outrigger_observations_invalid_total{metric=\"job_duration_seconds\"} 1\n"), "{page}");
    let Some(complaints) = check_metrics(&page) else { return };
    assert_eq!(complaints, Vec::<String>::new(), "{page}");
}
