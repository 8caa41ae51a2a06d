//! The recorder that a program installs.

use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use outrigger_exposition::{Family, Kind};

use crate::builder::Builder;
use crate::cell::Cell;
use crate::family::OverflowCell;
use crate::format::PageFormat;
use crate::page::{self, Page};
use crate::registry::{Found, Registry};

/// A [`metrics::Recorder`] that keeps its metrics in memory and writes them as pages. A cheap clone: all clones are one.
///
/// ```
/// use metrics::Recorder as _;
/// use outrigger_recorder::{PageFormat, Recorder};
///
/// let recorder = Recorder::new();
/// // A program does this once: metrics::set_global_recorder(recorder.clone())
/// metrics::with_local_recorder(&recorder, || {
///     metrics::describe_counter!("jobs_total", "Jobs done.");
///     metrics::counter!("jobs_total", "queue" => "mail").increment(3);
/// });
/// assert_eq!(recorder.render(PageFormat::Text), "\
/// ## HELP jobs_total Jobs done.
/// ## TYPE jobs_total counter
/// jobs_total{queue=\"mail\"} 3
/// ");
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    registry: Arc<Registry>,
}

impl Recorder {
    /// A recorder with all defaults.
    #[must_use]
    pub fn new() -> Self {
        Builder::default().into_recorder()
    }

    /// Settings for a recorder.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) const fn from_registry(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Adds families that are made each time somebody asks for the metrics, such as figures of the process.
    ///
    /// They stand among the others by name. A family without points is left out, and so is one whose name, or whose
    /// samples' names, a registered metric or an earlier family has; on OpenMetrics pages also one that
    /// [cannot stand beside those](crate#names). The collector may take its time: no lock is held.
    ///
    /// ```
    /// use outrigger_exposition::{Family, Kind, Point, Value};
    /// use outrigger_recorder::{PageFormat, Recorder};
    ///
    /// let recorder = Recorder::new();
    /// recorder.collector(|| {
    ///     let mut family = Family::new("answer", Kind::Gauge);
    ///     family.points.push(Point::new(vec![], Value::Gauge(42.0)));
    ///     vec![family]
    /// });
    /// assert_eq!(recorder.render(PageFormat::Text), "# TYPE answer gauge\nanswer 42\n");
    /// ```
    pub fn collector(&self, collector: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        self.registry.add_collector(Arc::new(collector));
    }

    /// A page of all metrics, in pieces that are made as they are asked for.
    #[must_use]
    pub fn page(&self, format: PageFormat) -> Page {
        Page::new(Arc::clone(&self.registry), format, Instant::now())
    }

    /// A whole page as text. A large one is better sent by [`page`](Self::page), which never holds all of it.
    #[must_use]
    pub fn render(&self, format: PageFormat) -> String {
        // Pieces may end within a character, the whole never does.
        String::from_utf8(self.render_bytes(format)).unwrap_or_default()
    }

    /// A whole page.
    #[must_use]
    pub fn render_bytes(&self, format: PageFormat) -> Vec<u8> {
        let mut page = Vec::new();
        self.page(format).for_each(|piece| page.extend_from_slice(&piece));
        page
    }

    /// All metrics as owned families, in the order of their names: for those who send them elsewhere. Units are those
    /// that were described, whether or not the name ends with them. With [`Builder::idle_timeout`] the points of
    /// counters and histograms say when their series was made: one that was removed and has come back begins anew.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        page::families(&self.registry, Instant::now())
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.registry.describe(key.as_str(), Kind::Counter, &description, word(unit));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.registry.describe(key.as_str(), Kind::Gauge, &description, word(unit));
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.registry.describe(key.as_str(), Kind::Histogram, &description, word(unit));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.registry.find(key, Kind::Counter) {
            Found::Series(Cell::Counter(cell)) => Counter::from_arc(cell),
            Found::Overflow(OverflowCell::Counter(cell)) => Counter::from_arc(cell),
            Found::Own(count) => Counter::from_arc(count),
            Found::Nowhere(cell) => Counter::from_arc(cell),
            Found::Series(_) | Found::Overflow(_) => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.registry.find(key, Kind::Gauge) {
            Found::Series(Cell::Gauge(cell)) => Gauge::from_arc(cell),
            Found::Overflow(OverflowCell::Gauge(cell)) => Gauge::from_arc(cell),
            Found::Nowhere(cell) => Gauge::from_arc(cell),
            Found::Series(_) | Found::Overflow(_) | Found::Own(_) => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.registry.find(key, Kind::Histogram) {
            Found::Series(Cell::Histogram(cell)) => Histogram::from_arc(cell),
            Found::Series(Cell::Native(cell)) => Histogram::from_arc(cell),
            Found::Overflow(OverflowCell::Histogram(cell)) => Histogram::from_arc(cell),
            Found::Overflow(OverflowCell::Native(cell)) => Histogram::from_arc(cell),
            Found::Nowhere(cell) => Histogram::from_arc(cell),
            Found::Series(_) | Found::Overflow(_) | Found::Own(_) => Histogram::noop(),
        }
    }
}

/// A unit as names carry it; a plain number of things has none.
fn word(unit: Option<Unit>) -> Option<&'static str> {
    unit.filter(|unit| *unit != Unit::Count).map(|unit| unit.as_str())
}
