//! Figures that are not as usual: CPU, memory, hit ratios, queues.
//!
//! Each is looked at once a minute. A detector of single values finds a lot that nobody should be told of, so what it finds
//! opens nothing: it stands in the incident of the time as evidence.

use std::collections::BTreeMap;
use std::time::SystemTime;

use outrigger_detect::{PointDetector, PointSettings, SeriesState, StateError, Unusual};
use outrigger_semconv::{cache, db, label, process, runtime};
use serde::{Deserialize, Serialize};

use super::sign::{before, unix};
use super::{Role, Sign, Signal, Subject};
use crate::collect::process::Process;
use crate::incident::Severity;
use crate::series::SeriesTable;

/// The most figures of one target.
const MAX_FIGURES: usize = 32;
/// One that is gone for so long makes room for others, in seconds.
const FORGOTTEN: f64 = 86_400.0;
/// Each is looked at this often, in seconds.
const EVERY: f64 = 60.0;
/// And the page so often: what comes and goes within a minute counts by its mean.
const SAMPLE_EVERY: f64 = 9.5;
/// What was unusual stands as evidence for so long, in seconds.
const STANDS: f64 = 600.0;
/// Of fewer look-ups in a minute a ratio says nothing.
const MIN_LOOKUPS: f64 = 20.0;
/// A figure that changed by less than this share of itself is no evidence, however rare that is.
const MIN_CHANGE: f64 = 0.2;

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Share,
    Bytes,
    Number,
}

impl Unit {
    fn words(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.0} %", value * 100.0),
            Self::Bytes => format!("{:.0} MB", value / 1e6),
            Self::Number if value.abs() >= 10.0 => format!("{value:.0}"),
            Self::Number => format!("{value:.1}"),
        }
    }
}

/// One reading: what it is of, and the sum or value that the page has.
struct Reading {
    subject: Subject,
    unit: Unit,
    value: Value,
}

enum Value {
    /// A value that is as it is; its mean over the minute counts.
    Gauge(f64),
    /// A sum that rises; its rate counts.
    Sum(f64),
    /// Two sums; the share of the first in both counts.
    Parts(f64, f64),
}

/// The figures of one target.
#[derive(Debug, Default)]
pub(super) struct Figures {
    of: BTreeMap<Subject, Figure>,
    /// Seconds since the page was last looked at.
    waited: f64,
}

#[derive(Debug)]
struct Figure {
    detector: PointDetector,
    unit: Unit,
    /// Sum and number of the values of the minute at hand.
    mean: (f64, f64),
    /// What the sums were when it began.
    begun: Option<(f64, f64)>,
    /// Seconds of it.
    seconds: f64,
    told: Option<Told>,
    score: f64,
    /// When it was read last; not a number until then.
    seen: f64,
}

/// What was unusual.
#[derive(Clone, Debug)]
struct Told {
    at: f64,
    score: f64,
    from: f64,
    to: f64,
    words: String,
}

/// What is kept of a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptFigure {
    subject: Subject,
    state: SeriesState,
}

impl Figures {
    /// Takes in the page that was just read, `seconds` after the one before; `restarted` if another process wrote it.
    pub(super) fn observe(
        &mut self,
        series: &SeriesTable,
        process: Option<&Process>,
        seconds: f64,
        restarted: bool,
        at: SystemTime,
    ) {
        let at = unix(at);
        self.waited += seconds.max(0.0);
        if self.waited < SAMPLE_EVERY && !restarted {
            return;
        }
        let seconds = std::mem::take(&mut self.waited);
        let mut readings = Vec::new();
        read(series, process, &mut readings);
        for figure in self.of.values_mut().filter(|figure| figure.seen.is_nan()) {
            figure.seen = at;
        }
        self.of.retain(|_, figure| at.is_nan() || at - figure.seen <= FORGOTTEN);
        for Reading { subject, unit, value } in readings {
            if self.of.len() >= MAX_FIGURES && !self.of.contains_key(&subject) {
                continue;
            }
            let figure = self.of.entry(subject).or_insert_with(|| Figure::new(unit));
            (figure.unit, figure.seen) = (unit, at);
            if restarted {
                figure.begin(None);
            }
            figure.observe(value, seconds, at);
        }
    }

    pub(super) fn signs(&self, time: SystemTime, signs: &mut Vec<Sign>) {
        let at = unix(time);
        for (subject, figure) in &self.of {
            let Some(told) = figure.told.as_ref().filter(|told| at - told.at <= STANDS) else { continue };
            signs.push(Sign {
                subject: subject.clone(),
                signal: Signal::Level,
                role: Role::Supports,
                severity: Severity::Warning,
                score: told.score,
                since: before(time, at - told.at + EVERY),
                words: told.words.clone(),
                before: Some(told.from),
                now: Some(told.to),
                requests: 0,
                affected: 0,
                seconds: 0.0,
                aftermath_seconds: 0.0,
            });
        }
    }

    pub(super) fn scores(&self) -> impl Iterator<Item = (&Subject, f64)> {
        self.of.iter().map(|(subject, figure)| (subject, figure.score))
    }

    pub(super) fn keep(&self) -> Vec<KeptFigure> {
        let kept = |(subject, figure): (&Subject, &Figure)| KeptFigure {
            subject: subject.clone(),
            state: figure.detector.state(),
        };
        let mut kept: Vec<_> = self.of.iter().map(kept).collect();
        kept.sort_by(|a, b| a.subject.cmp(&b.subject));
        kept
    }

    pub(super) fn restore(kept: Vec<KeptFigure>, refused: &mut Option<StateError>) -> Self {
        let mut figures = Self::default();
        for KeptFigure { subject, state } in kept.into_iter().take(MAX_FIGURES) {
            match PointDetector::restore(PointSettings::default(), state) {
                Ok(detector) => {
                    figures.of.insert(subject, Figure { detector, ..Figure::new(Unit::Number) });
                }
                Err(error) => _ = refused.get_or_insert(error),
            }
        }
        figures
    }
}

impl Figure {
    fn new(unit: Unit) -> Self {
        let detector = PointDetector::new(PointSettings::default());
        Self { detector, unit, mean: (0.0, 0.0), begun: None, seconds: 0.0, told: None, score: 0.0, seen: f64::NAN }
    }

    fn begin(&mut self, sums: Option<(f64, f64)>) {
        (self.mean, self.seconds, self.begun) = ((0.0, 0.0), 0.0, sums);
    }

    fn observe(&mut self, value: Value, seconds: f64, at: f64) {
        let sums = match value {
            Value::Gauge(value) => {
                self.mean = (self.mean.0 + value, self.mean.1 + 1.0);
                (0.0, 0.0)
            }
            Value::Sum(sum) => (sum, 0.0),
            Value::Parts(part, rest) => (part, rest),
        };
        let Some(begun) = self.begun.filter(|begun| sums.0 >= begun.0 && sums.1 >= begun.1) else {
            return self.begin(Some(sums));
        };
        self.seconds += seconds.max(0.0);
        if self.seconds < EVERY {
            return;
        }
        let (first, second) = (sums.0 - begun.0, sums.1 - begun.1);
        let figure = match value {
            Value::Gauge(_) => Some(self.mean.0 / self.mean.1),
            Value::Sum(_) => Some(first / self.seconds),
            Value::Parts(..) => Some(first / (first + second)).filter(|_| first + second >= MIN_LOOKUPS),
        };
        self.begin(Some(sums));
        let Some(figure) = figure.filter(|figure| figure.is_finite()) else { return };
        let verdict = self.detector.observe(at, figure);
        self.score = verdict.score;
        // The figure itself, which a mean of the latest ones only comes to later.
        let Some((from, to)) = verdict.unusual.and_then(from_where).map(|from| (from, figure)) else { return };
        if (to - from).abs() >= MIN_CHANGE * from.abs().max(to.abs()) {
            let went = if to > from { "rose" } else { "fell" };
            let words = format!("{went} from {} to {}", self.unit.words(from), self.unit.words(to));
            self.told = Some(Told { at, score: verdict.score, from, to, words });
        }
    }
}

/// What an unusual figure is usually; none if it only sways more.
fn from_where(unusual: Unusual) -> Option<f64> {
    match unusual {
        Unusual::Spike { from, .. } | Unusual::Drop { from, .. } => Some(from),
        Unusual::Level { from, .. } | Unusual::Drift { from, .. } => Some(from),
        Unusual::Hour { value, high, .. } if value > high => Some(high),
        Unusual::Hour { value, low, .. } if value < low => Some(low),
        Unusual::Hour { .. } | Unusual::Spread { .. } => None,
    }
}

/// Everything that is looked at.
fn read(series: &SeriesTable, process: Option<&Process>, readings: &mut Vec<Reading>) {
    let first = |name: &str| series.counter(name).find_map(|point| point.number());
    let mut add = |subject, unit, value| readings.push(Reading { subject, unit, value });
    let own = |read: fn(&Process) -> f64| process.map(read);
    let cpu = first(process::CPU_SECONDS.name).or_else(|| own(|process| process.cpu_user + process.cpu_system));
    if let Some(seconds) = cpu {
        add(Subject::resource("cpu", ""), Unit::Share, Value::Sum(seconds));
    }
    let memory = first(process::RESIDENT_MEMORY.name)
        .or_else(|| first(process::MEMORY_USAGE.name))
        .or_else(|| own(|process| process.resident_memory as f64));
    if let Some(bytes) = memory {
        add(Subject::resource("memory", "resident"), Unit::Bytes, Value::Gauge(bytes));
    }
    let mut caches: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for point in series.counter(cache::REQUESTS.name) {
        let (Some(name), Some(count)) = (point.label(label::CACHE_NAME), point.number()) else { continue };
        let sums = caches.entry(name).or_default();
        *(if point.label(label::CACHE_RESULT) == Some("hit") { &mut sums.0 } else { &mut sums.1 }) += count;
    }
    for (name, (hits, misses)) in caches {
        add(Subject::resource("hit_ratio", name), Unit::Share, Value::Parts(hits, misses));
    }
    let gauges = [
        (db::CLIENT_CONNECTION_PENDING_REQUESTS.name, label::DB_CLIENT_CONNECTION_POOL_NAME, "waiting"),
        (runtime::GLOBAL_QUEUE_DEPTH.name, label::TOKIO_RUNTIME_NAME, "queue"),
    ];
    for (family, name, what) in gauges {
        for point in series.family(family) {
            if let Some(value) = point.number() {
                add(Subject::resource(what, point.label(name).unwrap_or_default()), Unit::Number, Value::Gauge(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_figure_that_is_gone_makes_room_after_a_day() {
        let (series, start) = (SeriesTable::new(10), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let mut figures = Figures::default();
        figures.of.insert(Subject::resource("queue", "old"), Figure::new(Unit::Number));
        for (hours, left) in [(0, 1), (23, 1), (25, 0)] {
            figures.observe(&series, None, EVERY, false, start + Duration::from_secs(hours * 3600));
            assert_eq!(figures.of.len(), left, "after {hours} h");
        }
    }
}
