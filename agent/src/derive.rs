//! From counters to rates: what each route did since the last scrape, and over a short window.
//!
//! A route is a method and a template of one target. Its requests are the changes of all its
//! `http_server_request_duration_seconds` series, whatever their status, scheme or error. A request counts as failed if
//! its status is 500 or above, or if it has an error (such as a panic, or a body that broke off after a good status) and was
//! not merely cancelled by the client. The alert rules count the same.
//!
//! - The first page tells nothing: what its counters hold happened before. A series that appears later has counted from
//!   zero, so all of it is new; unless a limit may have kept it off the page before, then counting begins where it stands.
//! - A series that was away for some pages and is back counts from where it stood, or from zero if it is lower now.
//! - A restart shows in falling counters or in the start of the process, see [`SeriesTable::restarted`]. The interval is then
//!   marked, and holds what was counted since the restart.
//! - The length of an interval is the time between two scrapes that worked, so a missed scrape makes a longer one.
//! - All series of a route share its bounds; one with others is left out until the target restarts.

mod kept;

use std::collections::{BTreeMap, HashMap, VecDeque};

use outrigger_detect::quantile;
use outrigger_semconv::{http, label};
use serde::{Deserialize, Serialize};

pub(crate) use kept::KeptRoutes;

use crate::series::{Data, Histogram, Point, SeriesTable};

/// A method and a route template.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RouteKey {
    pub(crate) method: String,
    pub(crate) route: String,
}

/// What one route did in one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Interval {
    /// Requests in each bucket, not cumulative.
    pub(crate) delta: Vec<u64>,
    /// Seconds that they took together.
    pub(crate) sum: f64,
    /// Those that failed.
    pub(crate) failed: u64,
    /// Length of the interval in seconds.
    pub(crate) seconds: f64,
    /// The target restarted within it.
    pub(crate) reset: bool,
}

impl Interval {
    pub(crate) fn requests(&self) -> u64 {
        total(&self.delta)
    }

    fn add(&mut self, other: &Self) {
        self.delta.resize(self.delta.len().max(other.delta.len()), 0);
        for (sum, count) in self.delta.iter_mut().zip(&other.delta) {
            *sum = sum.saturating_add(*count);
        }
        self.sum += other.sum;
        self.failed = self.failed.saturating_add(other.failed);
        self.seconds += other.seconds;
    }
}

/// A route's figures over the short window; quantiles and ratio are absent without requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Share of failed requests, 0 to 1.
    pub(crate) error_ratio: Option<f64>,
    /// Latency quantiles in seconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// One route of a target.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// Upper bounds of the buckets, in seconds.
    pub(crate) bounds: Vec<f64>,
    /// The intervals of the short window, oldest first.
    window: VecDeque<Interval>,
    /// What is summed up for the interval at hand.
    current: Interval,
    /// The last page that had a series of it.
    seen: u64,
}

impl Route {
    /// The latest interval.
    pub(crate) fn last(&self) -> Option<&Interval> {
        self.window.back()
    }

    /// The figures over the short window: the intervals of the last [`WINDOW_SECONDS`], at least the latest one.
    pub(crate) fn figures(&self) -> Figures {
        let mut whole = Interval::default();
        self.window.iter().for_each(|interval| whole.add(interval));
        let requests = whole.requests();
        if whole.seconds <= 0.0 {
            return Figures::default();
        }
        let at = |q| quantile(&self.bounds, &whole.delta, q);
        Figures {
            rate: requests as f64 / whole.seconds,
            error_ratio: (requests > 0).then(|| whole.failed as f64 / requests as f64),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }

    fn push(&mut self, interval: Interval) {
        if interval.reset {
            self.window.clear();
        }
        self.window.push_back(interval);
        let mut seconds: f64 = self.window.iter().map(|interval| interval.seconds).sum();
        while self.window.len() > 1
            && let Some(oldest) = self.window.front()
            && (seconds > WINDOW_SECONDS + SLACK_SECONDS || self.window.len() > MAX_INTERVALS)
        {
            seconds -= oldest.seconds;
            self.window.pop_front();
        }
    }
}

/// Length of the short window in seconds.
pub(crate) const WINDOW_SECONDS: f64 = 15.0;
/// Scrapes are never exactly a tick apart.
const SLACK_SECONDS: f64 = 0.5;
/// The shortest tick is a second.
const MAX_INTERVALS: usize = 16;

/// The routes of one target.
#[derive(Debug)]
pub(crate) struct Routes {
    limit: usize,
    /// In an order of their own, so that equal pages give equal sums.
    routes: BTreeMap<RouteKey, Route>,
    /// What each series held at the last page that had it, by its identity.
    baselines: HashMap<u64, Baseline>,
    page: u64,
    /// The target restarted on a page that closed no interval; the next one tells.
    restarted: bool,
}

/// What a series held at the last page that had it.
#[derive(Debug, Default)]
struct Baseline {
    counts: Vec<u64>,
    sum: f64,
    page: u64,
}

/// What one series counted since the last page.
struct Change {
    key: RouteKey,
    bounds: Vec<f64>,
    delta: Vec<u64>,
    sum: f64,
    is_failure: bool,
    fell: bool,
}

impl Routes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, routes: BTreeMap::new(), baselines: HashMap::new(), page: 0, restarted: false }
    }

    /// Takes in the page that `series` just read. [`Route::last`] is then the latest interval of each route, unless the
    /// page closed none. Answers how many requests found no room in the table of routes.
    pub(crate) fn update(&mut self, series: &SeriesTable) -> u64 {
        self.page += 1;
        let seconds = series.interval().map(|interval| interval.as_secs_f64());
        let family = http::SERVER_REQUEST_DURATION.name;
        let (restarted, was_hidden) = (series.restarted(), series.was_hidden(family));
        let mut reset = restarted;
        let mut overflow: u64 = 0;
        for point in series.family(family) {
            let Data::Histogram(histogram) = &point.data else { continue };
            let (mut change, was_on_last) = self.change(point, histogram, restarted);
            // Without a start time on the page, falling counters are the only sign of a restart. With one, they are the
            // exporter's own business: it dropped an idle series and made it anew.
            reset |= change.fell && series.process_start().is_none();
            if seconds.is_none() || (was_hidden && !was_on_last && !restarted) {
                // The first page only tells where counting begins, and which routes there are. So does the first one
                // after a page that a limit cut.
                change.delta.fill(0);
                change.sum = 0.0;
            }
            overflow = self.add(change).saturating_add(overflow);
        }
        if reset {
            // What is not on the page after a restart will count from zero when it comes back.
            self.baselines.retain(|_, baseline| baseline.page == self.page);
        }
        self.forget_baselines();
        self.restarted |= reset;
        if let Some(seconds) = seconds {
            let reset = std::mem::take(&mut self.restarted);
            self.finish(seconds, reset);
        } else {
            self.routes.values_mut().for_each(|route| route.current = Interval::default());
        }
        overflow
    }

    /// Watches at most so many routes from now on; those that are too many stay until they are absent.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RouteKey, &Route)> {
        self.routes.iter()
    }

    pub(crate) fn get(&self, key: &RouteKey) -> Option<&Route> {
        self.routes.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// What a series counted since the page that had it last, and whether that was the last page.
    fn change(&mut self, point: &Point, histogram: &Histogram, restarted: bool) -> (Change, bool) {
        let counts: Vec<u64> = histogram.counts().collect();
        let now = Baseline { counts: counts.clone(), sum: histogram.sum, page: self.page };
        let before = self.baselines.insert(point.identity, now).unwrap_or_default();
        let is_known = !before.counts.is_empty();
        let fell = is_known
            && (counts.len() != before.counts.len() || counts.iter().zip(&before.counts).any(|(now, was)| now < was));
        let (delta, sum) = if is_known && !fell && !restarted {
            (counts.iter().zip(&before.counts).map(|(now, was)| now - was).collect(), histogram.sum - before.sum)
        } else {
            (counts, histogram.sum)
        };
        let text = |name, default: &str| point.label(name).unwrap_or(default).to_owned();
        let key = RouteKey {
            method: text(label::HTTP_REQUEST_METHOD, label::OTHER_METHOD),
            route: text(label::HTTP_ROUTE, label::UNMATCHED_ROUTE),
        };
        let change =
            Change { key, bounds: histogram.bounds().collect(), delta, sum, is_failure: is_failure(point), fell };
        (change, is_known && before.page + 1 == self.page)
    }

    /// Adds a series' change to its route. Answers the requests that found no room.
    fn add(&mut self, change: Change) -> u64 {
        let requests = total(&change.delta);
        if !self.routes.contains_key(&change.key) && self.routes.len() >= self.limit && !self.forget_one() {
            return requests;
        }
        let route = self.routes.entry(change.key).or_default();
        if route.bounds != change.bounds {
            if route.seen == self.page {
                return 0;
            }
            // The route is new, or its target came back with other buckets.
            *route = Route { bounds: change.bounds, ..Route::default() };
        }
        route.seen = self.page;
        let failed = if change.is_failure { requests } else { 0 };
        route.current.add(&Interval { delta: change.delta, sum: change.sum, failed, ..Interval::default() });
        0
    }

    /// Forgets the route that has been absent longest; false if all are on the page.
    fn forget_one(&mut self) -> bool {
        let absent = self.routes.iter().filter(|(_, route)| route.seen < self.page);
        let oldest = absent.min_by_key(|(_, route)| route.seen).map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.routes.remove(&key).is_some())
    }

    /// Forgets the series that have been absent longest, if there are too many.
    fn forget_baselines(&mut self) {
        let is_absent = |baseline: &&Baseline| baseline.page < self.page;
        let surplus = self.baselines.values().filter(is_absent).count().saturating_sub(MAX_ABSENT);
        if surplus == 0 {
            return;
        }
        let mut oldest: Vec<_> = self.baselines.iter().map(|(identity, baseline)| (baseline.page, *identity)).collect();
        oldest.sort_unstable();
        for (_, identity) in oldest.into_iter().take(surplus) {
            self.baselines.remove(&identity);
        }
    }

    /// Closes the interval of every route, also of those without a series on the page: they had no requests.
    fn finish(&mut self, seconds: f64, reset: bool) {
        for route in self.routes.values_mut() {
            let mut interval = std::mem::take(&mut route.current);
            interval.delta.resize(route.bounds.len() + 1, 0);
            interval.seconds = seconds;
            interval.reset = reset;
            route.push(interval);
        }
    }
}

/// Series that are remembered although they vanished. Each takes some 200 bytes.
const MAX_ABSENT: usize = 2000;

/// The sum of counts. Pages can claim anything, so it must not overflow.
fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn is_failure(point: &Point) -> bool {
    let server_error = |code: &str| code.parse::<u16>().is_ok_and(|code| code >= 500);
    if point.label(label::HTTP_RESPONSE_STATUS_CODE).is_some_and(server_error) {
        return true;
    }
    // Some instrumentations repeat a client's error here; it is judged as the status that it is.
    point.label(label::ERROR_TYPE).is_some_and(|error| match error.parse::<u16>() {
        Ok(_) => server_error(error),
        Err(_) => !error.is_empty() && error != CANCELLED,
    })
}

/// The error of a request that its client gave up.
const CANCELLED: &str = "cancelled";

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use outrigger_exposition::Format;

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
                text.push_str(&format!(
                    "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {start}\n"
                ));
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
    const FAILED: &str =
        r#"http_request_method="GET",http_route="/a",http_response_status_code="500",error_type="500""#;
    const CANCELLED: &str = r#"http_request_method="GET",http_route="/a",error_type="cancelled""#;
    const PANICKED: &str = r#"http_request_method="GET",http_route="/a",error_type="panic""#;
    const BROKEN_OFF: &str =
        r#"http_request_method="GET",http_route="/a",http_response_status_code="200",error_type="body_error""#;
    const NOT_FOUND: &str =
        r#"http_request_method="GET",http_route="/a",http_response_status_code="404",error_type="404""#;

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
        assert_eq!(
            target.routes.get(&key).map(|route| route.window.iter().map(Interval::requests).max()),
            Some(Some(0))
        );
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
}
