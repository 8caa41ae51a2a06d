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

//!
//! Calls to dependencies are taken in the same way, see [`DependencyKey`].

mod kept;
mod key;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};

use outrigger_detect::quantile;

pub(crate) use kept::Kept;
pub(crate) use key::{CANCELLED, DependencyKey, Key, RouteKey};

use crate::series::{Data, Histogram, Point, SeriesTable};

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
pub(crate) type Routes = Timed<RouteKey>;

/// What the service at one target calls.
pub(crate) type Dependencies = Timed<DependencyKey>;

/// All of a kind that one target times.
#[derive(Debug)]
pub(crate) struct Timed<K> {
    limit: usize,
    /// In an order of their own, so that equal pages give equal sums.
    routes: BTreeMap<K, Route>,
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
struct Change<K> {
    key: K,
    bounds: Vec<f64>,
    delta: Vec<u64>,
    sum: f64,
    is_failure: bool,
    fell: bool,
}

impl<K: Key> Timed<K> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, routes: BTreeMap::new(), baselines: HashMap::new(), page: 0, restarted: false }
    }

    /// A table without routes, with the same limit.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.limit)
    }

    /// Takes in the page that `series` just read. [`Route::last`] is then the latest interval of each route, unless the
    /// page closed none. Answers how many requests found no room in the table of routes.
    pub(crate) fn update(&mut self, series: &SeriesTable) -> u64 {
        // This table may be newer than the series: then nobody knows since when they have counted.
        let is_first = self.page == 0 && self.baselines.is_empty();
        self.page += 1;
        let seconds = series.interval().map(|interval| interval.as_secs_f64());
        let restarted = series.restarted();
        let mut reset = restarted;
        let mut overflow: u64 = 0;
        let points = K::FAMILIES.iter().flat_map(|family| {
            let was_hidden = series.was_hidden(family);
            series.family(family).map(move |point| (point, was_hidden))
        });
        for (point, was_hidden) in points {
            let Data::Histogram(histogram) = &point.data else { continue };
            let (mut change, was_on_last) = self.change(point, histogram, restarted);
            // Without a start time on the page, falling counters are the only sign of a restart. With one, they are the
            // exporter's own business: it dropped an idle series and made it anew.
            reset |= change.fell && series.process_start().is_none();
            if seconds.is_none() || is_first || (was_hidden && !was_on_last && !restarted) {
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &Route)> {
        self.routes.iter()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Route> {
        self.routes.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// What a series counted since the page that had it last, and whether that was the last page.
    fn change(&mut self, point: &Point, histogram: &Histogram, restarted: bool) -> (Change<K>, bool) {
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
        let (key, bounds) = (K::of(point), histogram.bounds().collect());
        let change = Change { key, bounds, delta, sum, is_failure: key::is_failure(point), fell };
        (change, is_known && before.page + 1 == self.page)
    }

    /// Adds a series' change to its route. Answers the requests that found no room.
    fn add(&mut self, change: Change<K>) -> u64 {
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
