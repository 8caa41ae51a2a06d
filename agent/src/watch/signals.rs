//! Everything that is watched of one target beside its routes, and what of it is not as it should be.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use outrigger_detect::StateError;
use outrigger_semconv::{db, label, process as names};
use serde::{Deserialize, Serialize};

use super::budget::{Budgets, KeptBudget};
use super::figures::{Figures, KeptFigure};
use super::fill::{Fills, Gauge, KeptFill, KeptTrend, Kind};
use super::traffic::{KeptTraffic, Traffic};
use super::{KeptWatch, Sign, Signal, Subject, WatchSettings, Watches, dependencies};
use crate::collect::process::Process;
use crate::config::Settings;
use crate::derive::{Dependencies, DependencyKey, Kept, Routes};
use crate::series::{Point, SeriesTable};

/// What is watched of one target beside its routes.
#[derive(Debug)]
pub(crate) struct Signals {
    settings: WatchSettings,
    pub(crate) calls: Dependencies,
    pub(crate) watches: Watches<DependencyKey>,
    pub(crate) budgets: Budgets,
    pub(crate) fills: Fills,
    traffic: Traffic,
    figures: Figures,
    signs: Vec<Sign>,
}

/// What is kept of it. A field that is added needs a default, so that older files can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptSignals {
    calls: Kept<DependencyKey>,
    watches: Vec<KeptWatch<DependencyKey>>,
    budgets: Vec<KeptBudget>,
    fills: Vec<KeptFill>,
    trend: KeptTrend,
    traffic: Vec<KeptTraffic>,
    figures: Vec<KeptFigure>,
}

/// What of a page is counted.
pub(crate) struct Seen {
    /// Calls that found no room in the table of dependencies.
    pub(crate) overflow: u64,
    /// Anomalies that began and come by the clock.
    pub(crate) expected: u64,
}

impl Signals {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.watch.clone(),
            calls: Dependencies::new(settings.watch.dependency_limit),
            watches: Watches::default(),
            budgets: Budgets::new(&settings.slo),
            fills: Fills::default(),
            traffic: Traffic::new(),
            figures: Figures::default(),
            signs: Vec::new(),
        }
    }

    /// Watches by other settings from now on. What is not watched any more is forgotten.
    pub(crate) fn set(&mut self, settings: &Settings) {
        let new = Self::new(settings);
        self.settings = new.settings;
        self.calls.set_limit(settings.watch.dependency_limit);
        self.budgets.set(&settings.slo);
        if !settings.watch.dependencies {
            (self.calls, self.watches) = (new.calls, new.watches);
        }
        if !settings.watch.saturation {
            self.fills = new.fills;
        }
        if !settings.watch.traffic {
            self.traffic = new.traffic;
        }
        if !settings.watch.figures {
            self.figures = new.figures;
        }
        self.signs.clear();
    }

    /// Takes in the page that was just read.
    pub(crate) fn observe(
        &mut self,
        series: &SeriesTable,
        routes: &Routes,
        process: Option<&Process>,
        at: SystemTime,
    ) -> Seen {
        let overflow = if self.settings.dependencies { self.calls.update(series) } else { 0 };
        let mut seen = Seen { overflow, expected: 0 };
        let Some(interval) = series.interval().map(|interval| interval.as_secs_f64()) else { return seen };
        let last = || routes.iter().filter_map(|(_, route)| route.last());
        let restarted = series.restarted() || last().any(|interval| interval.reset);
        self.budgets.observe(routes, at);
        if self.settings.dependencies {
            seen.expected = self.watches.observe(&self.calls, at);
        }
        if self.settings.saturation {
            let requests: f64 = last().map(|interval| interval.requests() as f64).sum();
            self.fills.observe(gauges(series, process), requests, interval, restarted, at, self.settings.horizon);
        }
        if self.settings.traffic {
            self.traffic.observe(routes, at);
        }
        if self.settings.figures {
            self.figures.observe(series, process, interval, restarted, at);
        }
        self.signs.clear();
        dependencies::signs(&self.watches, at, &mut self.signs);
        self.budgets.signs(at, &mut self.signs);
        self.fills.signs(at, &mut self.signs);
        self.traffic.signs(at, &mut self.signs);
        self.figures.signs(at, &mut self.signs);
        seen
    }

    /// What is not as it should be, by the last page.
    pub(crate) fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// How far from usual everything is that has no route: by subject and signal.
    pub(crate) fn scores(&self) -> Vec<(Subject, Signal, f64)> {
        let dependencies = self.watches.iter().flat_map(|(key, watch)| {
            let judged = |phase| phase != outrigger_detect::Phase::WarmingUp;
            let verdicts = watch.verdicts().iter().filter(move |(_, verdict)| judged(verdict.phase));
            verdicts.map(move |(signal, verdict)| (Subject::Dependency(key.clone()), *signal, verdict.score))
        });
        let traffic = self.settings.traffic.then_some(&self.traffic).into_iter().flat_map(Traffic::scores);
        let traffic = traffic.map(|(subject, score)| (subject, Signal::Traffic, score));
        let figures = self.figures.scores().map(|(subject, score)| (subject.clone(), Signal::Level, score));
        dependencies.chain(traffic).chain(figures).collect()
    }

    pub(crate) fn keep(&self) -> KeptSignals {
        KeptSignals {
            calls: self.calls.keep(),
            watches: self.watches.keep(),
            budgets: self.budgets.keep(),
            fills: self.fills.keep(),
            trend: self.fills.keep_trend(),
            traffic: self.traffic.keep(),
            figures: self.figures.keep(),
        }
    }

    /// Goes on from what was kept; of what `is_recent` denies, only with the error budgets. Answers why a detector could not.
    pub(crate) fn restore(settings: &Settings, kept: KeptSignals, is_recent: bool) -> (Self, Option<StateError>) {
        let mut refused = None;
        let KeptSignals { calls, watches, budgets, fills, trend, traffic, figures } = kept;
        let mut signals = Self::new(settings);
        signals.budgets = Budgets::restore(&settings.slo, budgets, &mut refused);
        if is_recent && settings.watch.dependencies {
            signals.calls = Dependencies::restore(settings.watch.dependency_limit, &calls);
            let error;
            (signals.watches, error) = Watches::restore(watches, &signals.calls);
            refused = refused.or(error);
        }
        if is_recent && settings.watch.saturation {
            signals.fills = Fills::restore(fills, &mut refused);
            signals.fills.restore_trend(trend);
        }
        // Earlier days stay what they were.
        if settings.watch.traffic {
            signals.traffic = Traffic::restore(traffic, &mut refused);
        }
        if settings.watch.figures {
            signals.figures = Figures::restore(figures, &mut refused);
        }
        (signals, refused)
    }
}

/// The most pools that are looked at on one page.
const MAX_POOLS: usize = 16;
/// The most characters of a pool's name.
const MAX_NAME: usize = 100;

/// What of the target can run full.
fn gauges(series: &SeriesTable, process: Option<&Process>) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    let pool = label::DB_CLIENT_CONNECTION_POOL_NAME;
    // Each family is walked once, however many pools there are.
    let of = |family: &str, state: Option<&str>| -> BTreeMap<&str, f64> {
        let is_it =
            |point: &&Point| state.is_none_or(|state| point.label(label::DB_CLIENT_CONNECTION_STATE) == Some(state));
        let points = series.family(family).filter(is_it).take(MAX_POOLS);
        points.filter_map(|point| Some((point.label(pool).unwrap_or_default(), point.number()?))).collect()
    };
    let (used, waiting) =
        (of(db::CLIENT_CONNECTION_COUNT.name, Some("used")), of(db::CLIENT_CONNECTION_PENDING_REQUESTS.name, None));
    for (name, limit) in of(db::CLIENT_CONNECTION_MAX.name, None) {
        if let Some(used) = used.get(name) {
            let (name_of, waiting) = (name.chars().take(MAX_NAME).collect(), waiting.get(name).copied());
            gauges.push(Gauge { kind: Kind::Pool, name: name_of, used: *used, limit, waiting });
        }
    }
    let first = |name: &str| series.family(name).find_map(|point| point.number());
    let used = first(names::OPEN_FDS.name)
        .or_else(|| first(names::UNIX_FILE_DESCRIPTOR_COUNT.name))
        .or_else(|| process?.open_fds.map(|count| count as f64));
    let limit = first(names::MAX_FDS.name).or_else(|| process?.max_fds.map(|count| count as f64));
    if let Some((used, limit)) = used.zip(limit) {
        gauges.push(Gauge { kind: Kind::Descriptors, name: String::new(), used, limit, waiting: None });
    }
    if let Some((used, limit)) = process.and_then(|process| process.memory_of_group) {
        let (used, limit) = (used as f64, limit as f64);
        gauges.push(Gauge { kind: Kind::Memory, name: "container".to_owned(), used, limit, waiting: None });
    }
    gauges
}

/// The host's own, which belongs to no target.
#[derive(Debug, Default)]
pub(crate) struct HostSignals {
    pub(crate) fills: Fills,
    signs: Vec<Sign>,
    at: Option<SystemTime>,
}

impl HostSignals {
    /// Takes in how full the host is.
    pub(crate) fn observe(&mut self, gauges: Vec<Gauge>, at: SystemTime, horizon: Duration) -> &[Sign] {
        let since = self.at.replace(at).and_then(|before| at.duration_since(before).ok()).unwrap_or_default();
        self.fills.observe(gauges, 0.0, since.as_secs_f64(), false, at, horizon);
        self.signs.clear();
        self.fills.signs(at, &mut self.signs);
        &self.signs
    }

    pub(crate) fn restore(kept: Vec<KeptFill>) -> Result<Self, StateError> {
        let mut refused = None;
        let fills = Fills::restore(kept, &mut refused);
        refused.map_or(Ok(Self { fills, ..Self::default() }), Err)
    }
}
