//! All metrics by name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use metrics::Key;
use outrigger_exposition::{self as exposition, Kind, Label, Point, Value};
use outrigger_semconv::{Metric, label, library};

use crate::alias::Aliases;
use crate::builder::Settings;
use crate::cell::{Cell, Counter, Nowhere};
use crate::family::{Family, OverflowCell, Pass, Place, Shared};
use crate::lock::{lock, read, write};
use crate::name;
use crate::sync::{AtomicU64, Ordering};

/// What recorder and pages share.
pub(crate) struct Registry {
    pub(crate) settings: Settings,
    pub(crate) aliases: Aliases,
    families: RwLock<Names>,
    descriptions: RwLock<HashMap<Box<str>, Arc<Description>>>,
    /// What was refused, by the name that was asked for.
    refused: Mutex<BTreeMap<Box<str>, Arc<Nowhere>>>,
    /// What others say that they dropped before it came here, by the metric that it was meant for.
    dropped_before: Mutex<BTreeMap<Box<str>, Arc<Counter>>>,
    collectors: RwLock<Vec<Arc<Collector>>>,
    /// Series that were ever made.
    births: AtomicU64,
}

type Collector = dyn Fn() -> Vec<exposition::Family> + Send + Sync;

struct Names {
    families: BTreeMap<Arc<str>, Arc<Family>>,
    taken: Taken,
}

/// Names that are somebody's.
#[derive(Debug, Default)]
struct Taken {
    /// Those of families and of their samples.
    samples: HashSet<Box<str>>,
    /// Those that OpenMetrics keeps for creation times.
    created: HashSet<Box<str>>,
}

impl Taken {
    fn is_free(&self, name: &str, kind: Kind) -> bool {
        claims(name, kind).all(|claim| !self.samples.contains(&claim))
    }

    /// Whether the family can stand on a page of OpenMetrics beside the others.
    fn fits_openmetrics(&self, name: &str, kind: Kind) -> bool {
        name::created(name, kind).is_none_or(|created| !self.samples.contains(&*created))
            && claims(name, kind).all(|claim| !self.created.contains(&claim))
    }

    fn take(&mut self, name: &str, kind: Kind) {
        self.samples.extend(claims(name, kind));
        self.created.extend(name::created(name, kind).map(Into::into));
    }
}

/// What was said of a metric.
#[derive(Debug, Default)]
pub(crate) struct Description {
    help: Box<str>,
    pub(crate) unit: Option<&'static str>,
}

impl Description {
    pub(crate) fn help(&self) -> Option<&str> {
        Some(&*self.help).filter(|help| !help.is_empty())
    }
}

/// What a key leads to.
pub(crate) enum Found {
    Series(Cell),
    Overflow(OverflowCell),
    /// A count that joins what the recorder itself says under that name.
    Own(Arc<Counter>),
    Nowhere(Arc<Nowhere>),
}

/// Names that were refused, each with a count of its own; those beyond share one.
const REFUSED: usize = 1_000;

/// The name under which refused names beyond [`REFUSED`] are counted.
const OTHER: &str = "_other";

impl Registry {
    pub(crate) fn new(settings: Settings) -> Self {
        // The recorder's own metrics are made for each page, out of what the families count.
        let own = [&library::SERIES_DROPPED, &library::OBSERVATIONS_INVALID];
        let mut taken = Taken::default();
        own.iter().for_each(|metric| taken.take(name::family(metric.name, Kind::Counter), Kind::Counter));
        let descriptions = own.iter().map(|metric| {
            let description = Description { help: metric.help.into(), unit: None };
            (name::family(metric.name, Kind::Counter).into(), Arc::new(description))
        });
        Self {
            settings,
            aliases: Aliases::default(),
            families: RwLock::new(Names { families: BTreeMap::new(), taken }),
            descriptions: RwLock::new(descriptions.collect()),
            refused: Mutex::default(),
            dropped_before: Mutex::default(),
            collectors: RwLock::default(),
            births: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn find(&self, key: &Key, kind: Kind) -> Found {
        match self.aliases.get(key, kind) {
            Some(cell) => Found::Series(cell),
            None => self.find_by_name(key, kind),
        }
    }

    #[cold]
    fn find_by_name(&self, key: &Key, kind: Kind) -> Found {
        let name = name::metric(key.name());
        if name == library::SERIES_DROPPED.name && kind == Kind::Counter {
            return Found::Own(self.dropped_before(key));
        }
        let Some(family) = self.family(name::family(&name, kind), kind) else {
            return Found::Nowhere(self.refuse(&name, kind));
        };
        match family.resolve(key, self.settings.series_limit, &self.births, &self.aliases) {
            Place::Series(cell) => Found::Series(cell),
            Place::Overflow(cell, first) => {
                if first {
                    let (metric, limit) = (family.shown_name(), self.settings.series_limit);
                    tracing::warn!(metric, limit, "a metric has reached its cap on series; further ones are folded");
                }
                Found::Overflow(cell)
            }
        }
    }

    /// The family of this name, made if need be; `None` when its name or its samples' names belong to another one, or
    /// there are too many.
    fn family(&self, name: &str, kind: Kind) -> Option<Arc<Family>> {
        if let Some(family) = read(&self.families).families.get(name) {
            return (family.shared.kind == kind).then(|| Arc::clone(family));
        }
        let mut names = write(&self.families);
        if let Some(family) = names.families.get(name) {
            return (family.shared.kind == kind).then(|| Arc::clone(family));
        }
        if !names.taken.is_free(name, kind) || names.families.len() >= self.settings.metric_limit {
            return None;
        }
        let bounds = if kind == Kind::Histogram { self.settings.bounds(name) } else { &[] };
        let mut shared = Shared::new(name, kind, bounds);
        shared.native = kind == Kind::Histogram && self.settings.is_native(name);
        shared.is_off_openmetrics = !names.taken.fits_openmetrics(name, kind);
        #[cfg(feature = "exemplars")]
        {
            shared.exemplar_source = self.settings.exemplar_source;
        }
        let family = Arc::new(Family::new(shared));
        names.taken.take(name, kind);
        names.families.insert(Arc::clone(&family.shared.name), Arc::clone(&family));
        // As in `refuse`.
        drop(names);
        if family.shared.is_off_openmetrics {
            let metric = family.shown_name();
            tracing::warn!(
                metric,
                "a metric is left off OpenMetrics pages: one of two is called `_created` of the other"
            );
        }
        Some(family)
    }

    /// The count of what a layer of its own cap says that it dropped: one metric, whoever had to drop.
    fn dropped_before(&self, key: &Key) -> Arc<Counter> {
        let metric = key.labels().find(|label| label.key() == label::METRIC).map_or("", |label| label.value());
        let counts = &mut *lock(&self.dropped_before);
        if let Some(count) = counts.get(metric) {
            return Arc::clone(count);
        }
        let metric = if counts.len() < REFUSED { metric } else { OTHER };
        Arc::clone(counts.entry(metric.into()).or_default())
    }

    fn refuse(&self, name: &str, kind: Kind) -> Arc<Nowhere> {
        let mut refused = lock(&self.refused);
        if let Some(nowhere) = refused.get(name) {
            return Arc::clone(nowhere);
        }
        let name = if refused.len() < REFUSED { name } else { OTHER };
        let known = refused.len();
        let nowhere = Arc::clone(refused.entry(name.into()).or_default());
        let is_new = refused.len() > known;
        // Not under the lock: who listens to the log may count what is logged.
        drop(refused);
        if is_new {
            tracing::warn!(metric = name, %kind, "a metric is refused: its name is taken, or there are too many metrics");
        }
        nowhere
    }

    pub(crate) fn describe(&self, name: &str, kind: Kind, help: &str, unit: Option<&'static str>) {
        let name = name::metric(name);
        let name = name::family(&name, kind);
        let descriptions = &mut *write(&self.descriptions);
        if descriptions.len() < self.settings.metric_limit.saturating_mul(2) || descriptions.contains_key(name) {
            descriptions.insert(name.into(), Arc::new(Description { help: help.into(), unit }));
        }
    }

    pub(crate) fn description(&self, name: &str) -> Option<Arc<Description>> {
        read(&self.descriptions).get(name).cloned()
    }

    pub(crate) fn add_collector(&self, collector: Arc<Collector>) {
        write(&self.collectors).push(collector);
    }

    /// The first family whose name comes after `name`, or the first of all; `openmetrics` leaves out what cannot be there.
    pub(crate) fn family_after(&self, name: Option<&str>, openmetrics: bool) -> Option<Arc<Family>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let names = read(&self.families);
        let after = name.map_or(Unbounded, Excluded);
        let mut families = names.families.range::<str, _>((after, Unbounded)).map(|(_, family)| family);
        families.find(|family| !(openmetrics && family.shared.is_off_openmetrics)).map(Arc::clone)
    }

    /// A reading of the series that were there when there were `births` of them.
    pub(crate) fn pass(&self, now: Instant, births: u64) -> Pass<'_> {
        Pass { now, births, timeout: self.settings.idle_timeout, aliases: &self.aliases }
    }

    /// Series made so far.
    pub(crate) fn births(&self) -> u64 {
        self.births.load(Ordering::Relaxed)
    }

    /// The families that are made for a page, by name: the recorder's own and the collectors'. Those whose names belong
    /// to the registry, or came before, are left out, for `openmetrics` also those that cannot stand beside these.
    pub(crate) fn collect(&self, openmetrics: bool) -> Vec<exposition::Family> {
        // Not under the lock: a collector may take its time, and may use the recorder.
        let collectors = read(&self.collectors).clone();
        let mut made: Vec<exposition::Family> = collectors.iter().flat_map(|collector| collector()).collect();
        let own = self.own_families();
        let names = read(&self.families);
        let mut taken = Taken::default();
        made.retain_mut(|family| {
            let suffix = name::family(&family.name, family.kind).len();
            family.name.truncate(suffix);
            let (name, kind) = (&family.name, family.kind);
            let is_free =
                |taken: &Taken| taken.is_free(name, kind) && (!openmetrics || taken.fits_openmetrics(name, kind));
            let is_free = is_free(&names.taken) && is_free(&taken);
            taken.take(name, kind);
            is_free && !family.points.is_empty()
        });
        made.extend(own);
        made.sort_by(|one, other| one.name.cmp(&other.name));
        made
    }

    /// What the recorder says of itself; nothing while there is nothing to say.
    fn own_families(&self) -> Vec<exposition::Family> {
        let (mut dropped, mut invalid) = (BTreeMap::new(), BTreeMap::new());
        let add = |to: &mut BTreeMap<String, u64>, name: String, count: u64| {
            if count > 0 {
                *to.entry(name).or_default() += count;
            }
        };
        for family in read(&self.families).families.values() {
            if family.shared.dropped.load(Ordering::Relaxed) > 0 || family.shared.invalid.load(Ordering::Relaxed) > 0 {
                add(&mut dropped, family.shown_name(), family.shared.dropped.load(Ordering::Relaxed));
                add(&mut invalid, family.shown_name(), family.shared.invalid.load(Ordering::Relaxed));
            }
        }
        for (name, nowhere) in &*lock(&self.refused) {
            add(&mut dropped, name.to_string(), nowhere.dropped.load(Ordering::Relaxed));
        }
        for (name, count) in &*lock(&self.dropped_before) {
            add(&mut dropped, name.to_string(), count.value());
        }
        let made = [(&library::SERIES_DROPPED, dropped), (&library::OBSERVATIONS_INVALID, invalid)];
        made.into_iter().filter(|(_, counts)| !counts.is_empty()).map(|(metric, counts)| own(metric, counts)).collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The names that a family takes for itself and its samples.
fn claims(name: &str, kind: Kind) -> impl Iterator<Item = Box<str>> {
    name::suffixes(kind).iter().map(move |suffix| format!("{name}{suffix}").into())
}

fn own(metric: &Metric, counts: BTreeMap<String, u64>) -> exposition::Family {
    let mut family = exposition::Family::new(name::family(metric.name, Kind::Counter), Kind::Counter);
    family.help = Some(metric.help.to_owned());
    family.points = counts
        .into_iter()
        .map(|(name, count)| Point::new(vec![Label::new(label::METRIC, name)], Value::Counter(count as f64)))
        .collect();
    family
}
