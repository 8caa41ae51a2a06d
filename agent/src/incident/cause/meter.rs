//! Which series of a page tell what the time of requests is spent on.

use std::collections::HashMap;

use outrigger_detect::PartKind;
use outrigger_semconv::{cache, db, http, label, process, resilience, runtime};

use crate::series::{Data, Point, SeriesTable};

/// One thing that is measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: PartKind,
    /// Which of its kind.
    pub(super) name: Box<str>,
}

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) calls: f64,
    pub(super) seconds: f64,
    pub(super) failed: f64,
}

impl Amount {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.seconds += other.seconds;
        self.failed += other.failed;
    }
}

/// What a series counted since the start of its process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals(Amount);

impl Totals {
    pub(super) fn fell_below(&self, before: &Self) -> bool {
        let (now, then) = (self.0, before.0);
        now.calls < then.calls || now.seconds < then.seconds || now.failed < then.failed
    }

    pub(super) fn since(&self, before: Self) -> Amount {
        let (now, then) = (self.0, before.0);
        // A page may say anything, and what is no number would stay in every sum.
        let change = |now: f64, then: f64| Some(now - then).filter(|change| change.is_finite()).unwrap_or(0.0);
        Amount {
            calls: change(now.calls, then.calls),
            seconds: change(now.seconds, then.seconds),
            failed: change(now.failed, then.failed),
        }
    }
}

/// The families that are read here, in all their spellings.
pub(super) fn families() -> impl Iterator<Item = &'static str> {
    let metrics = [
        &db::CLIENT_OPERATION_DURATION,
        &db::CLIENT_CONNECTION_WAIT_TIME,
        &db::CLIENT_CONNECTION_USE_TIME,
        &db::CLIENT_CONNECTION_TIMEOUTS,
        &cache::LOAD_DURATION,
        &http::CLIENT_REQUEST_DURATION,
        &runtime::SCHEDULING_DELAY,
        &process::CPU_SECONDS,
        &process::CPU_TIME,
        &resilience::RETRIES,
        &resilience::TIMEOUTS,
        &resilience::BREAKER_CALLS,
    ];
    metrics.into_iter().flat_map(|metric| [Some(metric.name), metric.name.strip_suffix("_total")]).flatten()
}

/// Hands out every series that tells something, with its identity.
pub(super) fn read(series: &SeriesTable, mut each: impl FnMut(u64, Key, Totals)) {
    for point in series.family(db::CLIENT_OPERATION_DURATION.name) {
        let words = [label::DB_OPERATION_NAME, label::DB_COLLECTION_NAME, label::DB_NAMESPACE];
        timed(PartKind::Database, point, &words, &mut each);
    }
    for point in series.family(db::CLIENT_CONNECTION_WAIT_TIME.name) {
        timed(PartKind::Pool, point, &[label::DB_CLIENT_CONNECTION_POOL_NAME], &mut each);
    }
    for point in series.family(db::CLIENT_CONNECTION_USE_TIME.name) {
        let Some(Totals(amount)) = histogram(point) else { continue };
        // Less the statements that ran meanwhile, see `hold`. The calls are those that waited.
        let totals = Totals(Amount { calls: 0.0, ..amount });
        each(point.identity, key(PartKind::Pool, point, &[label::DB_CLIENT_CONNECTION_POOL_NAME]), totals);
    }
    for point in series.family(cache::LOAD_DURATION.name) {
        timed(PartKind::CacheLoad, point, &[label::CACHE_NAME], &mut each);
    }
    for point in series.family(http::CLIENT_REQUEST_DURATION.name) {
        timed(PartKind::Downstream, point, &[label::SERVER_ADDRESS, label::URL_TEMPLATE], &mut each);
    }
    for point in series.family(runtime::SCHEDULING_DELAY.name) {
        timed(PartKind::Runtime, point, &[label::TOKIO_RUNTIME_NAME], &mut each);
    }
    // Pages in the names of OpenTelemetry have it by mode.
    let has_seconds = counter(series, process::CPU_SECONDS.name).next().is_some();
    let cpu = if has_seconds { process::CPU_SECONDS.name } else { process::CPU_TIME.name };
    for point in counter(series, cpu) {
        let Some(seconds) = point.number() else { continue };
        let name = "the process".into();
        each(point.identity, Key { kind: PartKind::Cpu, name }, Totals(Amount { seconds, ..Amount::default() }));
    }
    let mut failures = |family: &str, kind, name: &[&str], counts: fn(&Point) -> bool| {
        for point in counter(series, family).filter(|point| counts(point)) {
            let Some(failed) = point.number() else { continue };
            each(point.identity, key(kind, point, name), Totals(Amount { failed, ..Amount::default() }));
        }
    };
    let all = |_: &Point| true;
    failures(db::CLIENT_CONNECTION_TIMEOUTS.name, PartKind::Pool, &[label::DB_CLIENT_CONNECTION_POOL_NAME], all);
    // A call that is made again has failed once.
    failures(resilience::RETRIES.name, PartKind::Downstream, &[label::DEPENDENCY], all);
    failures(resilience::TIMEOUTS.name, PartKind::Downstream, &[label::DEPENDENCY], all);
    let rejected = |point: &Point| point.label(label::BREAKER_RESULT) == Some("rejected");
    failures(resilience::BREAKER_CALLS.name, PartKind::Downstream, &[label::DEPENDENCY], rejected);
}

/// The points of a counter, whose family OpenMetrics writes without the `_total`.
fn counter<'a>(series: &'a SeriesTable, name: &str) -> impl Iterator<Item = &'a Point> {
    series.family(name).chain(series.family(name.strip_suffix("_total").unwrap_or_default()))
}

/// While a statement runs its connection is in use. What is left of the use is a connection that somebody holds for nothing.
/// Which pool a statement used is not on the page, so this works for services with one.
pub(super) fn hold(keys: &[Key], amounts: &mut HashMap<usize, Amount>) {
    let of = |kind| keys.iter().enumerate().filter(move |(_, key)| key.kind == kind).map(|(id, _)| id);
    let statements: f64 = of(PartKind::Database).filter_map(|id| amounts.get(&id)).map(|amount| amount.seconds).sum();
    // One that is no longer on the page, under another name before a deploy, uses nothing.
    let pools: Vec<_> = of(PartKind::Pool).filter(|id| amounts.contains_key(id)).collect();
    if let [pool] = pools.as_slice() {
        amounts.entry(*pool).or_default().seconds -= statements;
    }
}

fn timed(kind: PartKind, point: &Point, name: &[&str], each: &mut impl FnMut(u64, Key, Totals)) {
    if let Some(totals) = histogram(point) {
        each(point.identity, key(kind, point, name), totals);
    }
}

fn histogram(point: &Point) -> Option<Totals> {
    let Data::Histogram(histogram) = &point.data else { return None };
    let calls = histogram.counts().map(|count| count as f64).sum();
    let has_error = point.label(label::ERROR_TYPE).is_some_and(|error| !error.is_empty());
    Some(Totals(Amount { calls, seconds: histogram.sum, failed: if has_error { calls } else { 0.0 } }))
}

fn key(kind: PartKind, point: &Point, name: &[&str]) -> Key {
    let words: Vec<_> = name.iter().filter_map(|label| point.label(label)).filter(|word| !word.is_empty()).collect();
    Key { kind, name: words.join(" ").into() }
}
