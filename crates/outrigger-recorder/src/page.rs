//! A page, made while it is sent.

use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use outrigger_exposition::{self as exposition, Header, Histogram, Point, Value, ValueRef};

use crate::cell::Scratch;
use crate::family::{Family, Progress};
use crate::format::PageFormat;
use crate::lock::lock;
use crate::output::{Full, Output};
use crate::registry::{Description, Registry};

/// A page of all metrics, in pieces of at most 64 KiB that are made when they are asked for; made by
/// [`Recorder::page`](crate::Recorder::page).
///
/// Families come in the order of their names. No lock is held between two pieces, and none at all against those who
/// record, so a slow scraper holds up nobody. A series is on a page at most once; one that is made while the page is
/// being read is left for the next. Memory is reused for the next piece as soon as a piece is dropped.
pub struct Page {
    registry: Arc<Registry>,
    output: Output,
    is_openmetrics: bool,
    /// Collected families that are still to come.
    made: Peekable<std::vec::IntoIter<exposition::Family>>,
    at: At,
    now: Instant,
    /// Series with a lower number were there when the page began.
    births: u64,
    scratch: Scratch,
}

/// How far a page is.
enum At {
    /// All registered families up to this one are written.
    After(Option<Arc<Family>>),
    Registered(Arc<Family>, Option<Arc<Description>>, Progress),
    /// Within a collected family; the registered family to go on after.
    Made(exposition::Family, Progress, Option<Arc<Family>>),
    /// Only the end is missing.
    End,
    Done,
}

impl Page {
    pub(crate) fn new(registry: Arc<Registry>, format: PageFormat, now: Instant) -> Self {
        let births = registry.births();
        let is_openmetrics = format == PageFormat::OpenMetrics;
        Self {
            output: Output::new(format),
            is_openmetrics,
            made: registry.collect(is_openmetrics).into_iter().peekable(),
            at: At::After(None),
            now,
            births,
            scratch: Scratch::default(),
            registry,
        }
    }

    /// Writes until the piece is full or the page done.
    fn fill(&mut self) -> Result<(), Full> {
        loop {
            match &mut self.at {
                At::After(last) => {
                    let last = last.take();
                    self.at = self.choose(last);
                }
                At::Registered(family, description, progress) => {
                    let pass = self.registry.pass(self.now, self.births);
                    let header = Header {
                        name: &family.shared.name,
                        kind: family.shared.kind,
                        help: description.as_ref().and_then(|it| it.help()),
                        unit: description.as_ref().and_then(|it| it.unit),
                    };
                    let mut table = lock(&family.table);
                    let series = (&mut *table, family.shared.bounds.finite());
                    self.output.series(header, series, &pass, progress, &mut self.scratch)?;
                    drop(table);
                    self.at = At::After(Some(Arc::clone(family)));
                }
                At::Made(family, progress, last) => {
                    self.output.made(family, progress)?;
                    self.at = At::After(last.take());
                }
                At::End => {
                    self.output.end()?;
                    self.at = At::Done;
                }
                At::Done => return Ok(()),
            }
        }
    }

    /// What comes next: the registered or the collected family whose name is the lower one.
    fn choose(&mut self, last: Option<Arc<Family>>) -> At {
        let after = last.as_ref().map(|family| &*family.shared.name);
        let registered = self.registry.family_after(after, self.is_openmetrics);
        let is_next =
            |made: &exposition::Family| registered.as_ref().is_none_or(|family| *made.name < *family.shared.name);
        if let Some(made) = self.made.next_if(is_next) {
            return At::Made(made, Progress::default(), last);
        }
        match registered {
            Some(family) => {
                let description = self.registry.description(&family.shared.name);
                At::Registered(family, description, Progress::default())
            }
            None => At::End,
        }
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.output.prepare();
        // Full or done: what is there is the piece.
        let _ = self.fill();
        self.output.take()
    }
}

impl std::iter::FusedIterator for Page {}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("output", &self.output).finish_non_exhaustive()
    }
}

/// All metrics as owned families, in the order of their names.
pub(crate) fn families(registry: &Registry, now: Instant) -> Vec<exposition::Family> {
    let pass = registry.pass(now, registry.births());
    let mut families = registry.collect(false);
    let mut last: Option<Arc<Family>> = None;
    let mut scratch = Scratch::default();
    while let Some(family) = registry.family_after(last.as_ref().map(|family| &*family.shared.name), false) {
        let shared = &family.shared;
        let mut owned = exposition::Family::new(&*shared.name, shared.kind);
        if let Some(description) = registry.description(&shared.name) {
            owned.help = description.help().map(str::to_owned);
            owned.unit = description.unit.map(str::to_owned);
        }
        let mut table = lock(&family.table);
        let mut progress = Progress::default();
        while let Some(series) = table.next_shown(&mut progress, &pass) {
            let value = owned_value(series.cell.read(shared.bounds.finite(), true, &mut scratch), shared.kind);
            let mut point = Point::new(series.labels.to_vec(), value);
            // A series that may have begun anew says so; else all are as old as the recorder, for all it matters.
            let counts = shared.kind != exposition::Kind::Gauge;
            point.created = pass.timeout.filter(|_| counts).map(|_| series.created);
            owned.points.push(point);
            progress.next += 1;
        }
        drop(table);
        if !owned.points.is_empty() {
            families.push(owned);
        }
        last = Some(family);
    }
    families.sort_by(|one, other| one.name.cmp(&other.name));
    families
}

fn owned_value(value: ValueRef<'_>, kind: exposition::Kind) -> Value {
    match value {
        ValueRef::Histogram { bounds, counts, sum, exemplars, native } => Value::Histogram(Histogram {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            sum,
            exemplars: exemplars.to_vec(),
            native: native.cloned(),
        }),
        ValueRef::Number(number) if kind == exposition::Kind::Counter => Value::Counter(number),
        ValueRef::Number(number) => Value::Gauge(number),
        // No cell has quantiles.
        ValueRef::Summary { .. } => Value::Unknown(f64::NAN),
    }
}
