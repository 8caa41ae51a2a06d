//! The visitor behind `families`: groups lines to families and points.

use std::collections::{HashMap, HashSet};

use crate::assemble::{Part, Parts};
use crate::encode::unit_fits;
use crate::escape::Escaped;
use crate::families::{BadLine, Families, Limits, Problem, ProblemKind};
use crate::labels::Labels;
use crate::model::{Exemplar, Family, Kind, Label, Point, Value};
use crate::number;
use crate::parse::{LineError, Parsed, Visitor};
use crate::sample::{ExemplarRef, Sample};

/// Takes a page's lines and groups them.
pub(crate) struct Collector {
    limits: Limits,
    entries: Vec<Entry>,
    /// Entries by their name on the page.
    by_name: HashMap<String, usize>,
    /// The entry of the latest `# TYPE` line.
    current: Option<usize>,
    points: HashMap<PointKey, usize>,
    out: Families,
}

/// A family in the making.
#[derive(Default)]
struct Entry {
    /// The name on the page, where a counter may carry its `_total`.
    page_name: String,
    kind: Kind,
    /// Whether a `# TYPE` line gave the kind.
    declared: bool,
    help: Option<String>,
    unit: Option<String>,
    points: Vec<Draft>,
}

/// A point in the making.
struct Draft {
    labels: Vec<Label>,
    timestamp_ms: Option<i64>,
    parts: Parts,
}

/// What tells points apart.
#[derive(PartialEq, Eq, Hash)]
struct PointKey {
    entry: usize,
    timestamp_ms: Option<i64>,
    /// Sorted: the order of labels means nothing.
    labels: Vec<Label>,
}

impl Visitor for Collector {
    fn kind(&mut self, name: &str, kind: Kind) {
        self.current = self.entry(name);
        let Some(entry) = self.current.and_then(|index| self.entries.get_mut(index)) else { return };
        if entry.declared || !entry.points.is_empty() {
            if entry.kind != kind {
                self.report(name, &[], ProblemKind::KindChanged);
            }
        } else {
            entry.kind = kind;
        }
        if let Some(entry) = self.current.and_then(|index| self.entries.get_mut(index)) {
            entry.declared = true;
        }
    }

    fn help(&mut self, name: &str, help: Escaped<'_>) {
        if let Some(entry) = self.entry(name).and_then(|index| self.entries.get_mut(index)) {
            entry.help.get_or_insert_with(|| help.unescape().into_owned());
        }
    }

    fn unit(&mut self, name: &str, unit: &str) {
        if let Some(entry) = self.entry(name).and_then(|index| self.entries.get_mut(index)) {
            entry.unit.get_or_insert_with(|| unit.to_owned());
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let Some(index) = self.resolve(sample.name) else {
            self.out.over_limit += 1;
            return;
        };
        if let Err(problem) = self.take(index, sample) {
            self.report(sample.name, &owned(sample.labels, None), problem);
        }
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        if self.out.bad_lines.len() < self.limits.reports {
            let start = String::from_utf8_lossy(error.start).into_owned();
            self.out.bad_lines.push(BadLine { line: error.line, reason: error.reason, start });
        }
    }
}

impl Collector {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            by_name: HashMap::new(),
            current: None,
            points: HashMap::new(),
            out: Families::default(),
        }
    }

    pub(crate) fn finish(mut self, parsed: Parsed) -> Families {
        self.out.parsed = parsed;
        let mut entries = std::mem::take(&mut self.entries);
        // Help or a unit alone says nothing about any number.
        entries.retain(|entry| entry.declared || !entry.points.is_empty());
        self.settle_names(&mut entries);
        for entry in entries {
            let family = self.family(entry);
            self.out.families.push(family);
        }
        self.out
    }

    /// The entry that is called `name` on the page, made if need be; `None` if there are too many.
    fn entry(&mut self, name: &str) -> Option<usize> {
        if let Some(&index) = self.by_name.get(name) {
            return Some(index);
        }
        if self.entries.len() >= self.limits.families {
            return None;
        }
        self.entries.push(Entry { page_name: name.to_owned(), ..Entry::default() });
        self.by_name.insert(name.to_owned(), self.entries.len() - 1);
        Some(self.entries.len() - 1)
    }

    /// The entry that a sample belongs to: the current one, or the one of its very name, or the one of its name without
    /// a suffix, or a new one.
    fn resolve(&mut self, name: &str) -> Option<usize> {
        const SUFFIXES: [&str; 8] = ["_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"];
        let has = |index: &usize| self.entries.get(*index).is_some_and(|entry| entry.part(name).is_some());
        self.current
            .filter(has)
            .or_else(|| self.by_name.get(name).copied())
            .or_else(|| {
                let base = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))?;
                self.by_name.get(base).copied().filter(has)
            })
            .or_else(|| self.entry(name))
    }

    fn take(&mut self, index: usize, sample: &Sample<'_>) -> Result<(), ProblemKind> {
        let Some(entry) = self.entries.get_mut(index) else { return Ok(()) };
        let part = entry.part(sample.name).ok_or(ProblemKind::UnexpectedSample)?;
        let own = part.own_label();
        // A label that the format keeps for itself would come twice when the point is written.
        let reserved = match entry.kind {
            Kind::Histogram | Kind::GaugeHistogram => Some("le"),
            Kind::Summary => Some("quantile"),
            _ => None,
        };
        if own.is_none() && reserved.is_some_and(|name| sample.labels.get(name).is_some()) {
            return Err(ProblemKind::UnexpectedSample);
        }
        let own_value = own.and_then(|name| sample.labels.get(name)).and_then(|value| number::float(&value.unescape()));
        if own.is_some() && own_value.is_none() {
            return Err(ProblemKind::Bound);
        }
        let labels = owned(sample.labels, own);
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        let key = PointKey { entry: index, timestamp_ms: sample.timestamp_ms, labels: sorted };
        let total = self.points.len();
        let point = match self.points.get(&key) {
            Some(&point) => point,
            None if total >= self.limits.points => {
                self.out.over_limit += 1;
                return Ok(());
            }
            None => {
                entry.points.push(Draft { labels, timestamp_ms: sample.timestamp_ms, parts: Parts::default() });
                self.points.insert(key, entry.points.len() - 1);
                entry.points.len() - 1
            }
        };
        let Some(draft) = entry.points.get_mut(point) else { return Ok(()) };
        let exemplar = sample.exemplar.as_ref().map(owned_exemplar).filter(Exemplar::fits);
        draft.parts.take(part, own_value, sample.value, exemplar)
    }

    /// Makes sure that no two families write the same name, in either format.
    fn settle_names(&mut self, entries: &mut Vec<Entry>) {
        let others: HashSet<String> = entries
            .iter()
            .filter(|entry| entry.kind != Kind::Counter)
            .map(|entry| entry.family_name().to_owned())
            .collect();
        let mut taken = HashSet::new();
        entries.retain_mut(|entry| {
            if entry.kind == Kind::Counter
                && others.contains(entry.family_name())
                && entry.page_name.ends_with("_total")
            {
                // OpenMetrics has one namespace for `x` and the counter `x_total`: the number stays, its kind goes.
                self.report(&entry.page_name, &[], ProblemKind::NameClash);
                entry.kind = Kind::Unknown;
            }
            let name = entry.family_name();
            let sample_name = format!("{name}{}", entry.kind.value_suffix());
            if taken.contains(name) || taken.contains(&sample_name) {
                self.report(&entry.page_name, &[], ProblemKind::NameClash);
                return false;
            }
            taken.insert(name.to_owned());
            taken.insert(sample_name);
            true
        });
    }

    fn family(&mut self, entry: Entry) -> Family {
        let mut family = Family::new(entry.family_name(), entry.kind);
        family.help = entry.help;
        family.unit = entry.unit.filter(|unit| !unit.is_empty());
        if family.unit.as_ref().is_some_and(|unit| !unit_fits(&family.name, unit, family.kind)) {
            self.report(&family.name, &[], ProblemKind::Unit);
            family.unit = None;
        }
        for mut draft in entry.points {
            let assembled = draft.parts.assemble(entry.kind);
            if let Some(problem) = assembled.as_ref().map_or_else(|problem| Some(*problem), |(_, problem)| *problem) {
                self.report(&family.name, &draft.labels, problem);
            }
            let Ok((value, _)) = assembled else { continue };
            if matches!(value, Value::State(_)) && !draft.labels.iter().any(|label| label.name == family.name) {
                self.report(&family.name, &draft.labels, ProblemKind::State);
                continue;
            }
            let is_counter = entry.kind == Kind::Counter;
            family.points.push(Point {
                labels: draft.labels,
                value,
                timestamp_ms: draft.timestamp_ms,
                created: draft.parts.created,
                exemplar: draft.parts.exemplar.filter(|_| is_counter),
            });
        }
        family
    }

    fn report(&mut self, family: &str, labels: &[Label], kind: ProblemKind) {
        self.out.problem_count += 1;
        if self.out.problems.len() < self.limits.reports {
            self.out.problems.push(Problem { family: family.to_owned(), labels: labels.to_vec(), kind });
        }
    }
}

impl Entry {
    fn family_name(&self) -> &str {
        self.kind.family_name(&self.page_name)
    }

    /// What a sample of this name means to the family.
    fn part(&self, name: &str) -> Option<Part> {
        let suffix = self.kind.value_suffix();
        let is_page_name = self.page_name == name && !suffix.is_empty() && name.ends_with(suffix);
        let named = name.strip_prefix(self.family_name()).and_then(|suffix| Part::of(self.kind, suffix));
        named.or(is_page_name.then_some(Part::Value))
    }
}

/// The labels, unescaped, without the one called `without`.
fn owned(labels: Labels<'_>, without: Option<&str>) -> Vec<Label> {
    labels
        .into_iter()
        .filter(|(name, _)| Some(*name) != without)
        .map(|(name, value)| Label::new(name, value.unescape()))
        .collect()
}

fn owned_exemplar(exemplar: &ExemplarRef<'_>) -> Exemplar {
    Exemplar { labels: owned(exemplar.labels, None), value: exemplar.value, timestamp_ms: exemplar.timestamp_ms }
}
