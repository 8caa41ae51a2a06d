use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use outrigger_exposition::Format;

use super::*;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

/// The same on a clock that nobody sets.
fn instant(second: u64) -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    *ZERO.get_or_init(Instant::now) + Duration::from_secs(second)
}

fn read(table: &mut SeriesTable, second: u64, text: &str) -> PageSummary {
    let format = if text.ends_with("# EOF\n") { Format::OpenMetrics } else { Format::Text };
    table.read(&Page { bytes: text.as_bytes().to_vec(), format, cut_samples: 0 }, at(second), instant(second))
}

/// `name{labels} data` of every live point, sorted.
fn shown(table: &SeriesTable) -> Vec<String> {
    let mut lines: Vec<_> = table
        .points()
        .map(|(family, point)| {
            let labels: Vec<_> = point.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let data = match &point.data {
                Data::Counter(value) => format!("counter {value}"),
                Data::Gauge(value) => format!("gauge {value}"),
                Data::Histogram(histogram) => {
                    let (bounds, counts): (Vec<_>, Vec<_>) =
                        (histogram.bounds().collect(), histogram.counts().collect());
                    format!("histogram {bounds:?} {counts:?} {}", histogram.sum)
                }
                Data::Summary { quantiles, sum, count } => format!("summary {quantiles:?} {sum} {count}"),
            };
            format!("{}{{{}}} {data}", family.name(), labels.join(","))
        })
        .collect();
    lines.sort();
    lines
}

const PAGE: &str = r#"# HELP jobs_total Jobs.
# TYPE jobs_total counter
jobs_total{queue="a,\"b\""} 3
# TYPE wait_seconds histogram
wait_seconds_bucket{queue="a",le="0.1"} 2
wait_seconds_bucket{queue="a",le="1"} 5
wait_seconds_bucket{queue="a",le="+Inf"} 6
wait_seconds_sum{queue="a"} 4.5
wait_seconds_count{queue="a"} 6
# TYPE latency summary
latency{quantile="0.5"} 0.2
latency_sum 9
latency_count 30
untyped_thing 1
"#;

#[test]
fn lines_are_gathered_to_points() {
    let mut table = SeriesTable::new(1000);
    let summary = read(&mut table, 1, PAGE);
    assert_eq!(summary, PageSummary { samples: 10, ..PageSummary::default() });
    let expected = [
        "jobs_total{queue=a,\"b\"} counter 3",
        "latency{} summary [(0.5, 0.2)] 9 30",
        "untyped_thing{} gauge 1",
        "wait_seconds{queue=a} histogram [0.1, 1.0] [2, 3, 1] 4.5",
    ];
    assert_eq!(shown(&table), expected);
    read(&mut table, 2, PAGE);
    assert_eq!(shown(&table), expected, "the same page again changes nothing");
    assert_eq!(table.len(), 10);
    assert_eq!(table.families[0].help, "Jobs.");
}

#[test]
fn both_formats_lead_to_the_same_names() {
    let mut text = SeriesTable::new(1000);
    read(&mut text, 1, "# TYPE jobs_total counter\njobs_total 3\n# TYPE target_info gauge\ntarget_info{a=\"b\"} 1\n");
    let mut open = SeriesTable::new(1000);
    read(
        &mut open,
        1,
        "# TYPE jobs counter\njobs_total 3\njobs_created 1\n# TYPE target info\ntarget_info{a=\"b\"} 1\n# EOF\n",
    );
    assert_eq!(shown(&text), shown(&open));
    assert_eq!(shown(&open), ["jobs_total{} counter 3", "target_info{a=b} gauge 1"]);
}

#[test]
fn what_is_not_on_the_last_page_is_not_shown_and_soon_forgotten() {
    let mut table = SeriesTable::new(1000);
    read(&mut table, 1, "a 1\nb 1\n");
    read(&mut table, 2, "a 2\n");
    assert_eq!(shown(&table), ["a{} gauge 2"]);
    assert_eq!(table.len(), 2);
    for second in 3..3 + 2 * STALE_PAGES {
        read(&mut table, second, "a 2\n");
    }
    assert_eq!(table.len(), 1);
    read(&mut table, 99, "a 2\nc 5\n");
    assert_eq!(shown(&table), ["a{} gauge 2", "c{} gauge 5"], "the place of what went is used again");
}

#[test]
fn buckets_that_vanish_leave_no_trace() {
    let page = |bounds: &[&str]| {
        let mut text = "# TYPE h histogram\n".to_owned();
        for (count, bound) in bounds.iter().enumerate() {
            text.push_str(&format!("h_bucket{{le=\"{bound}\"}} {}\n", count + 1));
        }
        text + "h_sum 1\nh_count 9\n"
    };
    let mut table = SeriesTable::new(1000);
    read(&mut table, 1, &page(&["1", "2", "+Inf"]));
    assert_eq!(shown(&table), ["h{} histogram [1.0, 2.0] [1, 1, 1] 1"]);
    read(&mut table, 2, &page(&["1", "3"]));
    assert_eq!(shown(&table), ["h{} histogram [1.0, 3.0] [1, 1, 7] 1"], "without +Inf, the count stands in");
}

#[test]
fn a_fall_is_dated_to_the_page_before() {
    let mut table = SeriesTable::new(1000);
    let reset = |table: &SeriesTable| table.points().map(|(_, point)| point.reset_at).collect::<Vec<_>>();
    read(&mut table, 10, "# TYPE c_total counter\nc_total 5\n");
    read(&mut table, 20, "# TYPE c_total counter\nc_total 6\n");
    assert_eq!(reset(&table), [None]);
    read(&mut table, 30, "# TYPE c_total counter\nc_total 2\n");
    assert_eq!(reset(&table), [Some(at(20))]);
}

#[test]
fn a_metric_whose_labels_explode_costs_itself_and_not_the_target() {
    let mut table = SeriesTable::new(100);
    let page = |series: usize| {
        let mut text = "# TYPE good gauge\ngood 1\n# TYPE bad gauge\n".to_owned();
        for number in 0..series {
            text.push_str(&format!("bad{{user=\"{number}\"}} 1\n"));
        }
        text + "# TYPE late gauge\nlate 1\n"
    };
    assert_eq!(read(&mut table, 1, &page(50)).dropped, 0);
    assert_eq!(table.len(), 52);
    assert_eq!(read(&mut table, 2, &page(500)).dropped, 500, "also those that came before the limit was reached");
    assert_eq!(shown(&table), ["good{} gauge 1", "late{} gauge 1"]);
    assert_eq!(read(&mut table, 3, &page(500)).dropped, 500, "it stays away while it is too large");
    assert_eq!(read(&mut table, 4, &page(50)).dropped, 50);
    assert_eq!(read(&mut table, 5, &page(50)).dropped, 0, "and comes back when there is room");
    assert_eq!(table.len(), 52);
}

#[test]
fn the_request_durations_go_last() {
    let mut table = SeriesTable::new(20);
    let mut text = "# TYPE http_server_request_duration_seconds histogram\n".to_owned();
    for number in 0..15 {
        text.push_str(&format!("http_server_request_duration_seconds_bucket{{le=\"{number}\"}} 1\n"));
    }
    text.push_str("# TYPE other gauge\n");
    for number in 0..10 {
        text.push_str(&format!("other{{n=\"{number}\"}} 1\n"));
    }
    read(&mut table, 1, &text);
    assert_eq!(table.family("http_server_request_duration_seconds").count(), 1);
    assert_eq!(table.family("other").count(), 0);
}

#[test]
fn a_page_without_samples_changes_nothing() {
    let mut table = SeriesTable::new(100);
    read(&mut table, 1, PAGE);
    let before = shown(&table);
    let summary = read(&mut table, 2, "<html>\n<body>\n");
    assert_eq!((summary.samples, summary.bad_lines), (0, 2));
    assert!(summary.first_bad_line.unwrap().starts_with("line 1: "));
    assert_eq!(shown(&table), before);
}

#[test]
fn another_kind_under_the_same_name_starts_anew() {
    let mut table = SeriesTable::new(100);
    read(&mut table, 1, "# TYPE x gauge\nx 1\n");
    read(&mut table, 2, "# TYPE x counter\nx 2\n");
    assert_eq!(shown(&table), ["x{} counter 2"]);
    read(&mut table, 3, "# TYPE x histogram\nx_bucket{le=\"+Inf\"} 2\nx_count 2\nx_sum 1\n");
    assert_eq!(shown(&table), ["x{} histogram [] [2] 1"]);
}

#[test]
fn the_start_of_the_process_is_found() {
    let mut table = SeriesTable::new(100);
    assert_eq!(table.process_start(), None);
    read(&mut table, 1, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.7e9\n");
    assert_eq!(table.process_start(), Some(1.7e9));
    read(&mut table, 2, "process_start_time_seconds NaN\n");
    assert_eq!(table.process_start(), Some(1.7e9), "it stays what it was");
}

/// A page of a process that tells this start and has counted `jobs`, scraped at `wall`, `second` on the other clock.
fn start_page(table: &mut SeriesTable, second: u64, wall: u64, start: u64, jobs: u64) -> (bool, Option<f64>) {
    let text = format!("process_start_time_seconds {start}\n# TYPE jobs_total counter\njobs_total {jobs}\n");
    let page = Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 };
    table.read(&page, at(wall), instant(second));
    (table.restarted(), table.process_start())
}

#[test]
fn a_clock_that_is_set_is_no_restart() {
    let mut table = SeriesTable::new(100);
    assert_eq!(start_page(&mut table, 0, 5000, 4990, 1), (false, Some(4990.0)));
    // An hour forward and two back: the exporter adds its start up from the boot time, which moves along.
    assert_eq!(start_page(&mut table, 5, 8605, 8590, 2), (false, Some(4990.0)));
    assert_eq!(start_page(&mut table, 10, 1410, 1390, 3), (false, Some(4990.0)));
    // A start that was read once stands still.
    assert_eq!(start_page(&mut table, 15, 9415, 1390, 4), (false, Some(4990.0)));
    assert_eq!(start_page(&mut table, 75, 9475, 9460, 5), (true, Some(9460.0)), "younger than the last page");
    assert_eq!(start_page(&mut table, 80, 9480, 9460, 6), (false, Some(9460.0)));
}

#[test]
fn a_start_that_moved_and_a_counter_that_fell_are_a_restart_whatever_the_clocks_say() {
    let mut table = SeriesTable::new(100);
    start_page(&mut table, 0, 5000, 3000, 10);
    // The target's clock is a quarter of an hour behind.
    assert_eq!(start_page(&mut table, 5, 5005, 4104, 2), (true, Some(4104.0)));
    assert_eq!(start_page(&mut table, 10, 5010, 4104, 1), (false, Some(4104.0)), "the same start is the same process");
}
