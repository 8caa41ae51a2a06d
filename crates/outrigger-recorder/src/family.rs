//! One metric: its series in a table, and what they share.

use std::collections::HashMap;
use std::sync::atomic;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::Key;
use outrigger_exposition::Kind;

use crate::alias::Aliases;
use crate::cell::{Bounds, Cell, Counter, Gauge, Histogram, Native, Overflow};
use crate::labels::{Labels, SharedLabels};
use crate::lock::lock;
use crate::name;
use crate::sync::{AtomicU64, Ordering};

/// A metric with its series.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) shared: Arc<Shared>,
    /// Held while a handle is made and while a piece of a page is, never while something is recorded.
    pub(crate) table: Mutex<Table>,
}

/// What the series of a metric have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The name, without the `_total` of a counter.
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// Of a histogram.
    pub(crate) bounds: Bounds,
    /// Whether its histograms have native buckets too.
    pub(crate) native: bool,
    /// Whether OpenMetrics cannot have it beside another family, see [`name::created`].
    pub(crate) is_off_openmetrics: bool,
    #[cfg(feature = "exemplars")]
    pub(crate) exemplar_source: Option<fn() -> Option<crate::exemplar::TraceContext>>,
    /// Observations that went to the overflow series.
    pub(crate) dropped: AtomicU64,
    /// Observations that were NaN or infinite.
    pub(crate) invalid: AtomicU64,
}

impl Shared {
    pub(crate) fn new(name: &str, kind: Kind, bounds: &[f64]) -> Self {
        Self {
            name: name.into(),
            kind,
            bounds: Bounds::new(bounds),
            native: false,
            is_off_openmetrics: false,
            #[cfg(feature = "exemplars")]
            exemplar_source: None,
            dropped: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
        }
    }
}

/// The series of a metric. A series keeps its place until it is removed, so a page finds its way by an index.
#[derive(Debug, Default)]
pub(crate) struct Table {
    places: Vec<Option<Series>>,
    free: Vec<usize>,
    by_labels: HashMap<SharedLabels, usize>,
    overflow: Option<OverflowCell>,
}

/// A label set with its cell.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: SharedLabels,
    pub(crate) cell: Cell,
    /// The hashes under which the cell is in the table of aliases.
    aliases: Vec<u64>,
    /// Its number among all series that were ever made. A page shows those that were there when it began, else a series
    /// that is removed and made again meanwhile could stand on it twice.
    born: u64,
    /// When it was made, in seconds since the epoch.
    pub(crate) created: f64,
    /// When the first page found it quiet.
    quiet_since: Option<Instant>,
}

/// How far a reader is in a family.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whether the head is written.
    pub(crate) begun: bool,
    /// The next point.
    pub(crate) next: usize,
    /// Up to where it has been decided what is shown: a piece may be full just then.
    settled: usize,
}

/// One reading of all series.
pub(crate) struct Pass<'r> {
    pub(crate) now: Instant,
    /// Series with a lower number were there when the reading began.
    pub(crate) births: u64,
    pub(crate) timeout: Option<Duration>,
    pub(crate) aliases: &'r Aliases,
}

/// The spellings of one series that are found without its family's lock; further ones take the longer way.
const ALIASES: usize = 4;

/// The handle behind all keys that a metric's cap on series keeps out.
#[derive(Clone, Debug)]
pub(crate) enum OverflowCell {
    Counter(Arc<Overflow<Counter>>),
    Gauge(Arc<Overflow<Gauge>>),
    Histogram(Arc<Overflow<Histogram>>),
    Native(Arc<Overflow<Native>>),
}

/// What a key leads to within a family.
pub(crate) enum Place {
    Series(Cell),
    /// The overflow series, and whether this is its first use.
    Overflow(OverflowCell, bool),
}

impl Family {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), table: Mutex::default() }
    }

    pub(crate) fn resolve(&self, key: &Key, limit: usize, births: &AtomicU64, aliases: &Aliases) -> Place {
        let labels = Labels::of(key, self.shared.kind);
        let table = &mut *lock(&self.table);
        let known = labels.as_ref().and_then(|labels| table.by_labels.get(labels).copied());
        let index = match (known, labels) {
            (Some(index), _) => index,
            (None, Some(labels)) if table.by_labels.len() < limit => table.insert(labels, &self.shared, births),
            _ => return table.overflow(&self.shared, births),
        };
        match table.places.get_mut(index).and_then(Option::as_mut) {
            Some(series) => {
                if series.aliases.len() < ALIASES && aliases.insert(key, &series.cell) {
                    series.aliases.push(key.get_hash());
                }
                Place::Series(series.cell.clone())
            }
            // The index names places that are taken.
            None => table.overflow(&self.shared, births),
        }
    }

    /// The name that people know the metric by.
    pub(crate) fn shown_name(&self) -> String {
        name::shown(&self.shared.name, self.shared.kind)
    }
}

impl Table {
    /// The next series that a reader shows, who moves [`Progress::next`] on once that is done.
    pub(crate) fn next_shown(&mut self, progress: &mut Progress, pass: &Pass<'_>) -> Option<&Series> {
        while progress.next < self.places.len() {
            let index = progress.next;
            if self.get(index).is_some_and(|series| series.born < pass.births) {
                let is_decided = index < progress.settled;
                progress.settled = index + 1;
                let is_shown = |timeout| is_decided || self.settle(index, pass.now, timeout, pass.aliases);
                if pass.timeout.is_none_or(is_shown) {
                    break;
                }
            }
            progress.next += 1;
        }
        self.get(progress.next)
    }

    fn get(&self, index: usize) -> Option<&Series> {
        self.places.get(index)?.as_ref()
    }

    fn insert(&mut self, labels: Labels, shared: &Arc<Shared>, births: &AtomicU64) -> usize {
        let labels = Arc::new(labels);
        let series = Series {
            labels: Arc::clone(&labels),
            cell: Cell::new(shared),
            aliases: Vec::new(),
            born: births.fetch_add(1, Ordering::Relaxed),
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            quiet_since: None,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.places.push(None);
                self.places.len() - 1
            }
        };
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(series);
        }
        self.by_labels.insert(labels, index);
        index
    }

    fn overflow(&mut self, shared: &Arc<Shared>, births: &AtomicU64) -> Place {
        if let Some(overflow) = &self.overflow {
            return Place::Overflow(overflow.clone(), false);
        }
        let labels = Labels::overflow();
        let index = self.by_labels.get(&labels).copied().unwrap_or_else(|| self.insert(labels, shared, births));
        let cell = self.get(index).map_or_else(|| Cell::new(shared), |series| series.cell.clone());
        let shared = Arc::clone(shared);
        let overflow = match cell {
            Cell::Counter(cell) => OverflowCell::Counter(Arc::new(Overflow::new(cell, shared))),
            Cell::Gauge(cell) => OverflowCell::Gauge(Arc::new(Overflow::new(cell, shared))),
            Cell::Histogram(cell) => OverflowCell::Histogram(Arc::new(Overflow::new(cell, shared))),
            Cell::Native(cell) => OverflowCell::Native(Arc::new(Overflow::new(cell, shared))),
        };
        self.overflow = Some(overflow.clone());
        Place::Overflow(overflow, true)
    }

    /// Whether the series at `index` shall be shown at `now`. One that was not written for `timeout` is not, and is
    /// removed if nobody else holds its cell.
    fn settle(&mut self, index: usize, now: Instant, timeout: Duration, aliases: &Aliases) -> bool {
        let Some(place) = self.places.get_mut(index) else { return false };
        let Some(series) = place else { return false };
        match series.look(now, timeout).unwrap_or_else(|| series.look_again(now, aliases)) {
            Fate::Shown => return true,
            Fate::Hidden => {}
            Fate::Removed => {
                if let Some(series) = place.take() {
                    self.by_labels.remove(&*series.labels);
                    self.free.push(index);
                }
            }
        }
        false
    }
}

/// What becomes of a series on a page.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Shown,
    /// Nothing was written for a while, but somebody may still do so.
    Hidden,
    Removed,
}

impl Series {
    /// Shown if it was written not long ago.
    fn look(&mut self, now: Instant, timeout: Duration) -> Option<Fate> {
        if !self.cell.quieten() {
            self.quiet_since = Some(now);
            return Some(Fate::Shown);
        }
        let since = *self.quiet_since.get_or_insert(now);
        (now.saturating_duration_since(since) < timeout).then_some(Fate::Shown)
    }

    /// What becomes of an idle series. Nobody but this table may hold the cell of one that is removed, and nothing may
    /// have been written to it since the first look. The caller holds the family's lock: once the aliases are gone, no
    /// handle is made without it.
    fn look_again(&mut self, now: Instant, aliases: &Aliases) -> Fate {
        if self.cell.holders() > 1 + self.aliases.len() {
            // What is written from here on wipes off the mark, which the next page sees.
            return Fate::Hidden;
        }
        for hash in self.aliases.drain(..) {
            aliases.remove(hash);
        }
        if self.cell.holders() > 1 {
            return Fate::Hidden;
        }
        // What the last holder wrote before it let go is seen from here on.
        atomic::fence(Ordering::Acquire);
        if self.cell.quieten() {
            return Fate::Removed;
        }
        // This look has put the mark back: no later one would know of the write.
        self.quiet_since = Some(now);
        Fate::Shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::CounterFn;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A family with one series that was written once, and has been quiet for longer than the timeout.
    struct Idle {
        family: Family,
        aliases: Aliases,
        key: Key,
        now: Instant,
    }

    impl Idle {
        fn new() -> Self {
            let family = Family::new(Shared::new("hits", Kind::Counter, &[]));
            let key = Key::from_parts("hits_total", vec![metrics::Label::new("a", "1")]);
            let mut idle = Self { family, aliases: Aliases::default(), key, now: Instant::now() };
            drop(idle.counter_of_family());
            idle.write();
            assert!(idle.settle() && idle.settle());
            idle.now += TIMEOUT;
            idle
        }

        fn counter_of_family(&self) -> Arc<Counter> {
            match self.family.resolve(&self.key, 10, &AtomicU64::new(0), &self.aliases) {
                Place::Series(Cell::Counter(counter)) => counter,
                _ => panic!("not a counter"),
            }
        }

        /// What a macro finds, without the family's lock.
        fn handle(&self) -> Arc<Counter> {
            match self.aliases.get(&self.key, Kind::Counter) {
                Some(Cell::Counter(counter)) => counter,
                other => panic!("{other:?}"),
            }
        }

        fn write(&self) {
            self.handle().increment(1);
        }

        fn settle(&mut self) -> bool {
            lock(&self.family.table).settle(0, self.now, TIMEOUT, &self.aliases)
        }

        fn with_series<T>(&self, look: impl FnOnce(&mut Series) -> T) -> T {
            look(lock(&self.family.table).places[0].as_mut().unwrap())
        }

        fn is_there(&self) -> bool {
            lock(&self.family.table).get(0).is_some()
        }
    }

    #[test]
    fn an_idle_series_is_removed() {
        let mut idle = Idle::new();
        assert!(!idle.settle());
        assert!(!idle.is_there());
        assert!(idle.aliases.get(&idle.key, Kind::Counter).is_none());
    }

    #[test]
    fn a_write_between_the_looks_shows_the_series_and_begins_anew() {
        let mut idle = Idle::new();
        assert_eq!(idle.with_series(|series| series.look(idle.now, TIMEOUT)), None);
        // Another thread finds the cell by its alias, writes, and lets go.
        idle.write();
        assert_eq!(idle.with_series(|series| series.look_again(idle.now, &idle.aliases)), Fate::Shown);
        idle.now += TIMEOUT - Duration::from_secs(1);
        assert!(idle.settle(), "its time began anew");
        assert_eq!(idle.counter_of_family().value(), 2);
        idle.now += Duration::from_secs(1);
        assert!(!idle.settle() && !idle.is_there());
    }

    #[test]
    fn a_write_of_a_holder_between_the_looks_is_shown_by_the_next_page() {
        let mut idle = Idle::new();
        let handle = idle.handle();
        assert_eq!(idle.with_series(|series| series.look(idle.now, TIMEOUT)), None);
        handle.increment(1);
        assert_eq!(idle.with_series(|series| series.look_again(idle.now, &idle.aliases)), Fate::Hidden);
        drop(handle);
        assert!(idle.settle());
        idle.now += TIMEOUT - Duration::from_secs(1);
        assert!(idle.settle(), "its time began anew");
        idle.now += Duration::from_secs(1);
        assert!(!idle.settle() && !idle.is_there());
    }
}
