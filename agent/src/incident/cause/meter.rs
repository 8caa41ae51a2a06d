//! Which series of a page tell what the time of requests is spent on.

use std::collections::BTreeMap;

use outrigger_detect::PartKind;
use outrigger_semconv::{cache, db, db_findings, http, label, process, resilience, runtime, task};
use serde::{Deserialize, Serialize};

use crate::derive::CANCELLED;
use crate::series::{Data, Point, SeriesTable};

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    /// What time is spent on.
    Part(PartKind),
    /// Look-ups of a cache that found something.
    Hits,
    /// Look-ups that did not.
    Misses,
    /// Connections of a pool that were given out, and how long they stayed away.
    Uses,
    /// Plans of statements on a table that were found to want an index.
    Unserved,
    /// Statements that one request repeated (N+1), as the service found them.
    Repeats,
    /// Calls that were made again.
    Retries,
    /// CPU time of everything on the machine.
    Busy,
    /// Requests of a route, and how long they took.
    Route,
}

/// One thing that is measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) measure: Measure,
    /// Which of its kind.
    pub(super) name: Box<str>,
}

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
        &db_findings::CLIENT_PLAN_FINDINGS,
        &db_findings::CLIENT_N_PLUS_ONE,
        &cache::LOAD_DURATION,
        &cache::REQUESTS,
        &http::CLIENT_REQUEST_DURATION,
        &runtime::SCHEDULING_DELAY,
        &process::CPU_SECONDS,
        &process::CPU_TIME,
        &resilience::RETRIES,
        &resilience::TIMEOUTS,
        &resilience::BREAKER_CALLS,
        &task::RETRIES,
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
        let uses = named(Measure::Uses, point, &[label::DB_CLIENT_CONNECTION_POOL_NAME]);
        each(also(point.identity), uses, Totals(amount));
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
        each(
            point.identity,
            Key { measure: Measure::Part(PartKind::Cpu), name },
            Totals(Amount { seconds, ..Amount::default() }),
        );
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
    let mut counts = |family: &str, measure, name: &[&str], of: fn(&Point) -> bool| {
        for point in counter(series, family).filter(|point| of(point)) {
            let Some(calls) = point.number() else { continue };
            let totals = Totals(Amount { calls, ..Amount::default() });
            each(also(point.identity), named(measure, point, name), totals);
        }
    };
    counts(resilience::RETRIES.name, Measure::Retries, &[label::DEPENDENCY], all);
    counts(task::RETRIES.name, Measure::Retries, &[label::TASK_NAME], all);
    let found = |point: &Point| point.label(label::CACHE_RESULT) == Some("hit");
    let missed = |point: &Point| point.label(label::CACHE_RESULT) == Some("miss");
    counts(cache::REQUESTS.name, Measure::Hits, &[label::CACHE_NAME], found);
    counts(cache::REQUESTS.name, Measure::Misses, &[label::CACHE_NAME], missed);
    let wants_index =
        |point: &Point| matches!(point.label(label::DB_PLAN_FINDING), Some("missing_index" | "sequential_scan"));
    counts(db_findings::CLIENT_PLAN_FINDINGS.name, Measure::Unserved, &[label::DB_COLLECTION_NAME], wants_index);
    counts(db_findings::CLIENT_N_PLUS_ONE.name, Measure::Repeats, &[label::HTTP_ROUTE], all);
}

/// The most connections that each pool may have.
pub(super) fn limits(series: &SeriesTable) -> impl Iterator<Item = (Box<str>, f64)> {
    series.family(db::CLIENT_CONNECTION_MAX.name).filter_map(|point| {
        let name = named(Measure::Uses, point, &[label::DB_CLIENT_CONNECTION_POOL_NAME]).name;
        Some((name, point.number().filter(|most| most.is_finite() && *most > 0.0)?))
    })
}

/// Who is remembered by a point's identity, but for a second thing that the point tells.
fn also(identity: u64) -> u64 {
    identity ^ 0x5bd1_e995_9e37_79b9
}

/// The points of a counter, whose family OpenMetrics writes without the `_total`.
fn counter<'a>(series: &'a SeriesTable, name: &str) -> impl Iterator<Item = &'a Point> {
    series.family(name).chain(series.family(name.strip_suffix("_total").unwrap_or_default()))
}

/// While a statement runs its connection is in use. What is left of the use is a connection that somebody holds for nothing.
/// Which pool a statement used is not on the page, so this works for services with one.
pub(super) fn hold(keys: &[Key], amounts: &mut BTreeMap<usize, Amount>) {
    let of =
        |kind| keys.iter().enumerate().filter(move |(_, key)| key.measure == Measure::Part(kind)).map(|(id, _)| id);
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
    // What its caller gave up has not failed.
    let has_error = point.label(label::ERROR_TYPE).is_some_and(|error| !error.is_empty() && error != CANCELLED);
    Some(Totals(Amount { calls, seconds: histogram.sum, failed: if has_error { calls } else { 0.0 } }))
}

fn key(kind: PartKind, point: &Point, name: &[&str]) -> Key {
    named(Measure::Part(kind), point, name)
}

fn named(measure: Measure, point: &Point, name: &[&str]) -> Key {
    let words: Vec<_> = name.iter().filter_map(|label| point.label(label)).filter(|word| !word.is_empty()).collect();
    Key { measure, name: words.join(" ").into() }
}
