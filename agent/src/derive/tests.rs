use std::time::{Duration, Instant, UNIX_EPOCH};

use outrigger_exposition::Format;

use outrigger_semconv::{http, label};

use super::*;
use crate::collect::scrape::Page;

/// A target that is scraped every five seconds.
struct Target {
    series: SeriesTable,
    routes: Routes,
    now: Instant,
    /// Seconds since the epoch.
    clock: u64,
    /// Samples that the limit cuts off the pages.
    cut_samples: u64,
}

impl Target {
    fn new(limit: usize) -> Self {
        let (series, routes) = (SeriesTable::new(1000), Routes::new(limit));
        Self { series, routes, now: Instant::now(), clock: 1000, cut_samples: 0 }
    }

    /// Scrapes a page with these series after `seconds`: labels, requests up to 100 ms, and all requests.
    fn scrape(&mut self, seconds: u64, start: Option<f64>, series: &[(&str, u64, u64)]) -> u64 {
        let mut text = "up 1\n".to_owned();
        if let Some(start) = start {
            text.push_str(&format!("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {start}\n"));
        }
        text.push_str("# TYPE http_server_request_duration_seconds histogram\n");
        for (labels, fast, all) in series {
            for (bound, count) in [("0.1", fast), ("0.2", all), ("+Inf", all)] {
                text.push_str(&format!(
                    "http_server_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {count}\n"
                ));
            }
            text.push_str(&format!("http_server_request_duration_seconds_sum{{{labels}}} {}\n", *all as f64 * 0.1));
            text.push_str(&format!("http_server_request_duration_seconds_count{{{labels}}} {all}\n"));
        }
        self.read(seconds, text)
    }

    fn read(&mut self, seconds: u64, text: String) -> u64 {
        self.now += Duration::from_secs(seconds);
        self.clock += seconds;
        let page = Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: self.cut_samples };
        self.series.read(&page, UNIX_EPOCH + Duration::from_secs(self.clock), self.now);
        self.routes.update(&self.series)
    }

    fn route(&self, route: &str) -> &Route {
        self.routes.get(&RouteKey { method: "GET".to_owned(), route: route.to_owned() }).unwrap()
    }

    fn last(&self, route: &str) -> &Interval {
        self.route(route).last().unwrap()
    }
}

const OK: &str = r#"http_request_method="GET",http_route="/a",http_response_status_code="200""#;
const FAILED: &str = r#"http_request_method="GET",http_route="/a",http_response_status_code="500",error_type="500""#;
const CANCELLED: &str = r#"http_request_method="GET",http_route="/a",error_type="cancelled""#;
const PANICKED: &str = r#"http_request_method="GET",http_route="/a",error_type="panic""#;
const BROKEN_OFF: &str =
    r#"http_request_method="GET",http_route="/a",http_response_status_code="200",error_type="body_error""#;
const NOT_FOUND: &str = r#"http_request_method="GET",http_route="/a",http_response_status_code="404",error_type="404""#;

#[test]
fn the_first_page_tells_nothing_and_the_next_its_difference() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 100, 120)]);
    assert!(target.route("/a").last().is_none());
    assert_eq!(target.route("/a").figures(), Figures::default());

    target.scrape(5, None, &[(OK, 110, 140)]);
    let interval = target.last("/a");
    assert_eq!(interval.delta, [10, 10, 0]);
    assert!((interval.sum - 2.0).abs() < 1e-9 && (interval.seconds - 5.0).abs() < 1e-9, "{interval:?}");
    let figures = target.route("/a").figures();
    assert!((figures.rate - 4.0).abs() < 1e-9, "{figures:?}");
    assert_eq!(figures.error_ratio, Some(0.0));
    assert_eq!(figures.p50, Some(0.1));
}

#[test]
fn statuses_are_summed_and_failures_told_apart() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 0, 0)]);
    target.scrape(5, None, &[(OK, 4, 4), (FAILED, 3, 3), (CANCELLED, 2, 2), (PANICKED, 1, 1)]);
    let interval = target.last("/a");
    assert_eq!((interval.requests(), interval.failed), (10, 4), "what is new on the page counts in full");
    assert_eq!(target.route("/a").figures().error_ratio, Some(0.4));
    target.scrape(
        5,
        None,
        &[(OK, 4, 4), (FAILED, 3, 3), (CANCELLED, 2, 2), (PANICKED, 1, 1), (BROKEN_OFF, 2, 2), (NOT_FOUND, 3, 3)],
    );
    let interval = target.last("/a");
    assert_eq!((interval.requests(), interval.failed), (5, 2), "a 404 with an error_type of its own is none");
}

#[test]
fn a_restart_is_seen_by_falling_counters() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 100, 100), (FAILED, 50, 50)]);
    target.scrape(5, None, &[(OK, 3, 3)]);
    assert!(target.last("/a").reset);
    assert_eq!(target.last("/a").delta, [3, 0, 0], "what was counted since the restart");
    target.scrape(5, None, &[(OK, 4, 4), (FAILED, 1, 1)]);
    assert!(!target.last("/a").reset, "a series that returns later is no second restart");
    assert_eq!((target.last("/a").requests(), target.last("/a").failed), (2, 1));
}

#[test]
fn a_restart_is_seen_by_the_start_time_even_if_no_counter_fell() {
    let mut target = Target::new(10);
    target.scrape(5, Some(1000.0), &[(OK, 10, 10)]);
    target.scrape(5, Some(1000.4), &[(OK, 11, 11)]);
    assert!(!target.last("/a").reset, "a start that drifts a little is the same start");
    target.scrape(60, Some(1070.0), &[(OK, 30, 30)]);
    assert!(target.last("/a").reset);
    assert_eq!(target.last("/a").requests(), 30);
    assert!((target.last("/a").seconds - 60.0).abs() < 1e-9);
}

#[test]
fn a_clock_that_is_set_makes_no_interval_of_a_lifetime() {
    let mut target = Target::new(10);
    target.scrape(5, Some(900.0), &[(OK, 5000, 5000)]);
    target.clock += 3600;
    target.scrape(5, Some(4500.0), &[(OK, 5003, 5003)]);
    assert!(!target.last("/a").reset);
    assert_eq!(target.last("/a").requests(), 3);
}

#[test]
fn a_series_that_was_away_counts_from_where_it_stood() {
    let mut target = Target::new(10);
    target.scrape(5, Some(900.0), &[(OK, 10, 10), (FAILED, 5000, 5000)]);
    for _ in 0..40 {
        target.scrape(5, Some(900.0), &[(OK, 10, 10)]);
    }
    target.scrape(5, Some(900.0), &[(OK, 10, 10), (FAILED, 5002, 5002)]);
    assert_eq!((target.last("/a").requests(), target.last("/a").failed), (2, 2));
}

#[test]
fn what_a_limit_kept_off_the_page_is_not_new_when_it_is_let_back_in() {
    let mut target = Target::new(10);
    target.cut_samples = 15;
    target.scrape(5, Some(900.0), &[]);
    target.cut_samples = 0;
    target.scrape(5, Some(900.0), &[(OK, 5000, 5000)]);
    assert_eq!(target.last("/a").requests(), 0, "5000 is its whole life");
    target.scrape(5, Some(900.0), &[(OK, 5004, 5004), (FAILED, 1, 1)]);
    assert_eq!((target.last("/a").requests(), target.last("/a").failed), (5, 1));
}

#[test]
fn a_family_that_was_refused_is_not_new_when_it_is_let_back_in() {
    let mut target = Target { series: SeriesTable::new(12), ..Target::new(10) };
    let durations = |count: u64| {
        format!(
            "# TYPE http_server_request_duration_seconds histogram\n\
             http_server_request_duration_seconds_bucket{{{OK},le=\"+Inf\"}} {count}\n"
        )
    };
    let many = |count: usize| (0..count).map(|n| format!("up{{n=\"{n}\"}} 1\n")).collect::<String>();
    target.read(5, many(1) + &durations(10));
    // More durations than the table holds, and nothing else that could go.
    let series = (0..30)
        .map(|n| format!("http_server_request_duration_seconds_bucket{{http_route=\"/{n}\",le=\"+Inf\"}} 5000\n"));
    let series: Vec<_> = series.collect();
    target.read(5, durations(11) + &series.concat());
    for _ in 0..3 {
        target.read(5, durations(11) + series[..9].concat().as_str());
    }
    let key = RouteKey { method: label::OTHER_METHOD.to_owned(), route: "/1".to_owned() };
    assert_eq!(target.series.family(http::SERVER_REQUEST_DURATION.name).count(), 10, "it was let back in");
    assert_eq!(target.routes.get(&key).map(|route| route.window.iter().map(Interval::requests).max()), Some(Some(0)));
}

#[test]
fn vanished_series_are_not_remembered_without_end() {
    let mut target = Target { series: SeriesTable::new(100_000), ..Target::new(10) };
    for round in 0..3 {
        let series: Vec<_> = (0..900).map(|n| format!("{OK},n=\"{round}_{n}\"")).collect();
        let series: Vec<_> = series.iter().map(|labels| (labels.as_str(), 1, 1)).collect();
        target.scrape(5, None, &series);
    }
    target.scrape(5, None, &[]);
    assert_eq!(target.routes.baselines.len(), MAX_ABSENT);
}

#[test]
fn an_idle_series_that_is_made_anew_is_no_restart() {
    let mut target = Target::new(10);
    target.scrape(5, Some(1000.0), &[(OK, 10, 10), (FAILED, 9, 9)]);
    target.scrape(5, Some(1000.0), &[(OK, 12, 12), (FAILED, 1, 1)]);
    assert!(!target.last("/a").reset);
    assert_eq!((target.last("/a").requests(), target.last("/a").failed), (3, 1));
}

#[test]
fn a_missed_scrape_makes_a_longer_interval() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 0, 0)]);
    target.scrape(15, None, &[(OK, 30, 30)]);
    assert!((target.last("/a").seconds - 15.0).abs() < 1e-9);
    assert!((target.route("/a").figures().rate - 2.0).abs() < 1e-9);
}

#[test]
fn the_window_is_short() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 0, 0)]);
    target.scrape(5, None, &[(OK, 500, 500)]);
    for _ in 0..3 {
        target.scrape(5, None, &[(OK, 500, 500)]);
    }
    assert_eq!(target.route("/a").figures().rate, 0.0, "the burst has left the window");
    assert_eq!(target.route("/a").figures().p50, None);
    assert_eq!(target.route("/a").window.len(), 3);
}

#[test]
fn routes_are_bounded_and_absent_ones_make_room() {
    let route = |name: &str| format!("http_request_method=\"GET\",http_route=\"{name}\"");
    let (a, b, c) = (route("/a"), route("/b"), route("/c"));
    let mut target = Target::new(2);
    target.scrape(5, None, &[(&a, 1, 1), (&b, 1, 1)]);
    let overflow = target.scrape(5, None, &[(&a, 1, 1), (&b, 1, 1), (&c, 7, 7)]);
    assert_eq!((overflow, target.routes.len()), (7, 2));
    target.scrape(5, None, &[(&a, 1, 1), (&b, 1, 1)]);
    let overflow = target.scrape(5, None, &[(&b, 1, 1), (&c, 9, 9)]);
    assert_eq!((overflow, target.routes.len()), (0, 2));
    assert_eq!(target.last("/c").requests(), 2, "a series that was known before counts from where it stood");
}

#[test]
fn other_buckets_after_a_restart_begin_a_new_route() {
    let mut target = Target::new(10);
    target.scrape(5, None, &[(OK, 5, 5)]);
    target.scrape(5, None, &[(OK, 6, 6)]);
    let page = "# TYPE http_server_request_duration_seconds histogram\n".to_owned()
        + &format!("http_server_request_duration_seconds_bucket{{{OK},le=\"0.5\"}} 1\n")
        + &format!("http_server_request_duration_seconds_bucket{{{OK},le=\"+Inf\"}} 2\n");
    target.read(5, page);
    assert_eq!(target.route("/a").bounds, [0.5]);
    assert_eq!(target.last("/a").delta, [1, 1]);
    assert!(target.last("/a").reset);
}
