//! A page, made while it is sent.

use std::fmt::Write;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use outrigger_exposition::{self as exposition, EncodeError, Encoder, Extra, Format, Header, ValueRef};

use crate::cell::Cell;
use crate::family::Family;
use crate::format::PageFormat;
use crate::lock::lock;
use crate::piece::Piece;
use crate::registry::{Description, Registry};

/// A page of all metrics, in pieces of at most 64 KiB that are made when they are asked for; made by
/// [`Recorder::page`](crate::Recorder::page).
///
/// Families come in the order of their names. No lock is held between two pieces, and none at all against those who
/// record, so a slow scraper holds up nobody. A series is on a page at most once; one that is made while the page is
/// being read is left for the next. Memory is reused for the next piece as soon as a piece is dropped.
#[derive(Debug)]
pub struct Page {
    registry: Arc<Registry>,
    encoder: Encoder<Piece>,
    format: Format,
    /// Collected families that are still to come.
    made: Peekable<std::vec::IntoIter<exposition::Family>>,
    at: At,
    now: Instant,
    /// Series with a lower number were there when the page began.
    births: u64,
    counts: Vec<u64>,
}

/// How far a page is.
#[derive(Debug)]
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

/// How far a family is.
#[derive(Debug, Default)]
struct Progress {
    /// Whether its head is written.
    begun: bool,
    /// The next point.
    next: usize,
    /// Up to where it has been decided what is shown.
    settled: usize,
}

/// The piece is full.
struct Full;

impl Page {
    pub(crate) fn new(registry: Arc<Registry>, format: PageFormat, now: Instant) -> Self {
        let births = registry.births();
        Self {
            encoder: Encoder::new(format.text(), Piece::default()),
            format: format.text(),
            made: registry.collect().into_iter().peekable(),
            at: At::After(None),
            now,
            births,
            counts: Vec::new(),
            registry,
        }
    }

    /// Writes until the piece is full or the page done.
    fn fill(&mut self) -> Result<(), Full> {
        loop {
            self.at = match std::mem::replace(&mut self.at, At::Done) {
                At::After(last) => self.choose(last),
                At::Registered(family, description, mut progress) => {
                    match self.registered(&family, description.as_deref(), &mut progress) {
                        Ok(()) => At::After(Some(family)),
                        Err(Full) => {
                            self.at = At::Registered(family, description, progress);
                            return Err(Full);
                        }
                    }
                }
                At::Made(family, mut progress, last) => match self.made(&family, &mut progress) {
                    Ok(()) => At::After(last),
                    Err(Full) => {
                        self.at = At::Made(family, progress, last);
                        return Err(Full);
                    }
                },
                At::End => {
                    if self.format == Format::OpenMetrics && self.encoder.get_mut().write_str("# EOF\n").is_err() {
                        self.at = At::End;
                        return Err(Full);
                    }
                    At::Done
                }
                At::Done => return Ok(()),
            };
        }
    }

    /// What comes next: the registered or the collected family whose name is the lower one.
    fn choose(&mut self, last: Option<Arc<Family>>) -> At {
        let registered = self.registry.family_after(last.as_ref().map(|family| &*family.shared.name));
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

    fn registered(
        &mut self,
        family: &Family,
        description: Option<&Description>,
        progress: &mut Progress,
    ) -> Result<(), Full> {
        let header = Header {
            name: &family.shared.name,
            kind: family.shared.kind,
            help: description.map(|description| &*description.help).filter(|help| !help.is_empty()),
            unit: description.and_then(|description| description.unit),
        };
        let mut table = lock(&family.table);
        while progress.next < table.len() {
            let index = progress.next;
            let shown = table.get(index).is_some_and(|series| series.born < self.births);
            let decided = index < progress.settled;
            progress.settled = progress.settled.max(index + 1);
            if shown
                && (decided
                    || self
                        .registry
                        .settings
                        .idle_timeout
                        .is_none_or(|timeout| table.settle(index, self.now, timeout, &self.registry.aliases)))
                && let Some(series) = table.get(index)
            {
                let value = match &series.cell {
                    Cell::Counter(cell) => ValueRef::Number(cell.value() as f64),
                    Cell::Gauge(cell) => ValueRef::Number(cell.value()),
                    Cell::Histogram(cell) => {
                        let sum = cell.read(&mut self.counts);
                        ValueRef::Histogram {
                            bounds: family.shared.bounds.finite(),
                            counts: &self.counts,
                            sum: Some(sum),
                            exemplars: &[],
                            native: None,
                        }
                    }
                };
                put(&mut self.encoder, header, &mut progress.begun, series.labels.pairs(), value, Extra::default())?;
            }
            progress.next += 1;
        }
        Ok(())
    }

    fn made(&mut self, family: &exposition::Family, progress: &mut Progress) -> Result<(), Full> {
        let header = Header {
            name: &family.name,
            kind: family.kind,
            help: family.help.as_deref(),
            unit: family.unit.as_deref(),
        };
        while let Some(point) = family.points.get(progress.next) {
            let labels = point.labels.iter().map(|label| (&*label.name, &*label.value));
            let extra =
                Extra { timestamp_ms: point.timestamp_ms, created: point.created, exemplar: point.exemplar.as_ref() };
            put(&mut self.encoder, header, &mut progress.begun, labels, ValueRef::from(&point.value), extra)?;
            progress.next += 1;
        }
        Ok(())
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.encoder.get_mut().prepare();
        let _ = self.fill();
        self.encoder.get_mut().take()
    }
}

impl std::iter::FusedIterator for Page {}

/// Writes a point, with the family's head before the first; all of it or nothing. A point whose value does not fit its
/// family is left out, as nobody could read it.
fn put<'l>(
    encoder: &mut Encoder<Piece>,
    header: Header<'_>,
    begun: &mut bool,
    labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    value: ValueRef<'_>,
    extra: Extra<'_>,
) -> Result<(), Full> {
    let start = encoder.get_mut().len();
    let write = |encoder: &mut Encoder<Piece>| {
        let points = if *begun { encoder.resume(header) } else { encoder.begin(header) };
        points.and_then(|mut points| points.point(labels.clone(), value, extra))
    };
    let mut written = write(encoder);
    if written == Err(EncodeError::Write) {
        encoder.get_mut().truncate(start);
        if start > 0 {
            return Err(Full);
        }
        // It fits into no piece: the following ones take what is too much.
        encoder.get_mut().set_unbounded(true);
        written = write(encoder);
        encoder.get_mut().set_unbounded(false);
    }
    match written {
        Ok(()) => *begun = true,
        Err(_) => encoder.get_mut().truncate(start),
    }
    Ok(())
}

/// All metrics as owned families, in the order of their names.
pub(crate) fn families(registry: &Registry, now: Instant) -> Vec<exposition::Family> {
    let births = registry.births();
    let mut families = registry.collect();
    let mut last: Option<Arc<Family>> = None;
    let mut counts = Vec::new();
    while let Some(family) = registry.family_after(last.as_ref().map(|family| &*family.shared.name)) {
        let mut owned = exposition::Family::new(&*family.shared.name, family.shared.kind);
        if let Some(description) = registry.description(&family.shared.name) {
            owned.help = Some(description.help.to_string()).filter(|help| !help.is_empty());
            owned.unit = description.unit.map(str::to_owned);
        }
        let mut table = lock(&family.table);
        for index in 0..table.len() {
            if table.get(index).is_none_or(|series| series.born >= births) {
                continue;
            }
            let timeout = registry.settings.idle_timeout;
            if timeout.is_none_or(|timeout| table.settle(index, now, timeout, &registry.aliases))
                && let Some(series) = table.get(index)
            {
                let value = series.cell.owned_value(family.shared.bounds.finite(), &mut counts);
                owned.points.push(exposition::Point::new(series.labels.to_vec(), value));
            }
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
