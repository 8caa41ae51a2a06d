//! The series of one target: what was last read, keyed once and found again at every scrape.
//!
//! A line of a page costs one look-up of its name and raw labels; the answer says which [`Point`] it belongs to and as
//! what. Only a line that was never seen before is taken apart. Points are what the rest of the agent reads: a number, or
//! a whole histogram or summary, gathered from its lines.
//!
//! The table has a limit. When it is reached, the metric family with the most series goes, all of it, and stays away until
//! there is room again: one metric whose labels explode costs that metric, not the target. The request durations, which
//! the detector reads, go last.

mod point;
mod reader;
mod start;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use outrigger_exposition::{Kind, LineError, parse};
use outrigger_semconv::{db, http, process};

use crate::collect::scrape::Page;
pub(crate) use point::{Data, Histogram, Point};
use point::{Part, Slot};
use reader::Reader;
pub(crate) use start::ProcessStart;

/// The series of one target.
pub(crate) struct SeriesTable {
    limit: usize,
    families: Vec<Family>,
    family_ids: HashMap<Box<str>, usize>,
    /// Name and raw labels of each line to where its value goes.
    slots: HashMap<Box<str>, Slot>,
    /// Family and labels, without `le` and `quantile`, to the point.
    point_ids: HashMap<Box<str>, usize>,
    points: Vec<Option<Point>>,
    free: Vec<usize>,
    /// Number of the last page that was read; a point that was not on it is stale.
    page: u64,
    /// When the last page was read: by the clock, and by one that nobody sets.
    read_at: Option<SystemTime>,
    read_instant: Option<Instant>,
    /// The time between the last two pages.
    interval: Option<Duration>,
    /// The last page that was cut at the size limit.
    cut_page: Option<u64>,
    /// A counter on the page at hand is lower than it was.
    fell: bool,
    start: ProcessStart,
}

/// A metric family of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    /// The name behind `# TYPE`.
    name: String,
    /// OpenMetrics writes the `_total` of a counter on its samples only.
    total_in_sample: bool,
    pub(crate) kind: Kind,
    pub(crate) help: String,
    pub(crate) unit: String,
    /// Series (lines) that are kept.
    series: usize,
    /// It was the largest when the table was full: its samples are not kept for now.
    refused: bool,
    /// Its samples on the current page that were not kept.
    refused_samples: usize,
    /// The last page of which samples were not kept.
    refused_page: Option<u64>,
}

impl Family {
    /// The name by which the catalogue and queries know the family: a counter's with its `_total`.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        if self.total_in_sample { format!("{}_total", self.name).into() } else { self.name.as_str().into() }
    }
}

/// What came of reading one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PageSummary {
    /// Samples on the page.
    pub(crate) samples: u64,
    /// Lines that could not be read.
    pub(crate) bad_lines: u64,
    /// The first of them.
    pub(crate) first_bad_line: Option<String>,
    /// Samples that were not kept because the table is full.
    pub(crate) dropped: u64,
}

impl SeriesTable {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            families: Vec::new(),
            family_ids: HashMap::new(),
            slots: HashMap::new(),
            point_ids: HashMap::new(),
            points: Vec::new(),
            free: Vec::new(),
            page: 0,
            read_at: None,
            read_instant: None,
            interval: None,
            cut_page: None,
            fell: false,
            start: ProcessStart::default(),
        }
    }

    /// A table that has read nothing yet, with the same limit.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.limit)
    }

    /// One of the histograms that detectors read counts without buckets: it may have native ones, which text cannot say.
    pub(crate) fn has_bare_histogram(&self) -> bool {
        let is_bare = |point: &Point| matches!(&point.data, Data::Histogram(histogram) if histogram.is_bare());
        let names = [http::SERVER_REQUEST_DURATION, http::CLIENT_REQUEST_DURATION, db::CLIENT_OPERATION_DURATION];
        names.iter().any(|metric| self.family(metric.name).any(is_bare))
    }

    /// Reads a page whose scrape began at `at`, which is `started` by the clock that nobody sets. A page without a single
    /// sample changes nothing but the summary.
    pub(crate) fn read(&mut self, page: &Page, at: SystemTime, started: Instant) -> PageSummary {
        self.page += 1;
        self.fell = false;
        let mut reader = Reader::new(self, at);
        let parsed = parse(&page.bytes, page.format, &mut reader);
        let (dropped, first_bad_line) = reader.finish();
        if parsed.samples > 0 {
            let read_at = self.read_at.replace(at);
            let before_is_ours = self.read_instant.is_some();
            let since = match self.read_instant.replace(started) {
                Some(before) => Some(started.saturating_duration_since(before)),
                // The page before was an earlier agent's; between the two there is only the clock that people set.
                None => read_at.and_then(|before| at.duration_since(before).ok()),
            };
            let is_unbroken = before_is_ours || since.is_some_and(|since| since <= LONGEST_GAP);
            self.interval = since.filter(|_| is_unbroken);
            self.start.update(self.told_start(), at, since.unwrap_or_default(), self.fell);
            if page.cut_samples > 0 {
                self.cut_page = Some(self.page);
            }
        } else {
            self.page -= 1;
        }
        self.tidy();
        PageSummary { samples: parsed.samples, bad_lines: parsed.bad_lines, first_bad_line, dropped }
    }

    /// Keeps at most so many series from now on; what is too much goes as soon as a new one comes.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The time between the last two pages: what was counted then can be judged. `None` if there was only one, or if the
    /// agent itself was away in between for long: nobody knows any more how what was counted meanwhile was spread.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// When the last page was read, and which process had served it.
    pub(crate) fn keep(&self) -> Option<(SystemTime, ProcessStart)> {
        Some((self.read_at?, self.start.clone()))
    }

    /// Goes on after a page that an earlier agent read. It knew series that this one does not, so nothing that is new on
    /// the first page counts as new at the target.
    pub(crate) fn restore(limit: usize, read_at: SystemTime, start: ProcessStart) -> Self {
        Self { page: 1, cut_page: Some(1), read_at: Some(read_at), start, ..Self::new(limit) }
    }

    /// Series (lines) that are kept.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The points of the last page, with their families.
    pub(crate) fn points(&self) -> impl Iterator<Item = (&Family, &Point)> {
        let live = self.points.iter().flatten().filter(|point| point.page == self.page);
        live.filter_map(|point| Some((self.families.get(point.family)?, point)))
    }

    /// The points of one family on the last page.
    pub(crate) fn family(&self, name: &str) -> impl Iterator<Item = &Point> {
        // One that is not there costs no walk.
        let id = self.family_ids.get(name).copied();
        let points = id.map(|id| self.points.iter().flatten().filter(move |point| point.family == id));
        points.into_iter().flatten().filter(|point| point.page == self.page)
    }

    /// The points of a counter, whose family OpenMetrics writes without the `_total`.
    pub(crate) fn counter<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Point> {
        let without = name.strip_suffix("_total");
        self.family(name).chain(without.into_iter().flat_map(|name| self.family(name)))
    }

    /// The start of the target's process, in seconds since the epoch, if its pages tell. It stays the same until the
    /// process restarts, even if the clock is set.
    pub(crate) fn process_start(&self) -> Option<f64> {
        self.start.kept
    }

    /// The last page came from another process than the one before, going by its start.
    pub(crate) fn restarted(&self) -> bool {
        self.start.restarted
    }

    /// The page before the last one may have had series of this family that were not kept, so a series that is new here is
    /// not new at the target.
    pub(crate) fn was_hidden(&self, name: &str) -> bool {
        let family = self.family_ids.get(name).and_then(|id| self.families.get(*id));
        let before = self.page.checked_sub(1);
        before.is_some() && (self.cut_page == before || family.is_some_and(|family| family.refused_page == before))
    }

    /// The start that the last page tells.
    fn told_start(&self) -> Option<f64> {
        let start = self.family(process::START_TIME.name).next()?;
        start.number().filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    }

    /// Forgets series that have not been on the last pages, and lets refused families back in when there is room.
    fn tidy(&mut self) {
        let room = self.limit.saturating_sub(self.slots.len()) * 9 / 10;
        for family in &mut self.families {
            family.refused &= family.refused_samples > room;
            family.refused_samples = 0;
        }
        if self.page.is_multiple_of(STALE_PAGES) {
            self.evict(|point, page| page - point.page >= STALE_PAGES);
        }
    }

    /// Drops the points that `goes` names, with all that leads to them.
    fn evict(&mut self, goes: impl Fn(&Point, u64) -> bool) {
        let page = self.page;
        let mut any = false;
        for (id, slot) in self.points.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|point| goes(point, page)) {
                *slot = None;
                self.free.push(id);
                any = true;
            }
        }
        if !any {
            return;
        }
        let (points, families) = (&self.points, &mut self.families);
        self.point_ids.retain(|_, id| points.get(*id).is_some_and(Option::is_some));
        self.slots.retain(|_, slot| {
            let lives = points.get(slot.point).is_some_and(Option::is_some);
            if !lives && let Some(family) = families.get_mut(slot.family) {
                family.series = family.series.saturating_sub(1);
            }
            lives
        });
    }

    /// Makes room for one more series: first by what is stale, then by the largest family. Answers how many samples of the
    /// current page went with that.
    fn make_room(&mut self) -> u64 {
        self.evict(|point, page| page - point.page > 1);
        if self.slots.len() < self.limit {
            return 0;
        }
        let rank =
            |family: &Family| (family.name != http::SERVER_REQUEST_DURATION.name && family.series > 0, family.series);
        let largest = self.families.iter().enumerate().max_by_key(|(_, family)| rank(family)).map(|(id, _)| id);
        let Some((id, family)) = largest.and_then(|id| Some((id, self.families.get_mut(id)?))) else { return 0 };
        tracing::warn!(
            family = %family.name, series = family.series, limit = self.limit,
            "the series limit is reached; the largest metric family is left out until there is room"
        );
        let (points, page) = (&self.points, self.page);
        let is_new =
            |slot: &&Slot| points.get(slot.point).and_then(Option::as_ref).is_some_and(|point| point.page == page);
        let gone = self.slots.values().filter(|slot| slot.family == id).filter(is_new).count();
        family.refused = true;
        family.refused_samples = gone;
        family.refused_page = Some(page);
        self.evict(|point, _| point.family == id);
        gone as u64
    }
}

/// An agent that was away no longer than this goes on as if a scrape had failed. The detectors' longest scales are minutes.
const LONGEST_GAP: Duration = Duration::from_secs(300);
/// Pages without a series before it is forgotten.
const STALE_PAGES: u64 = 5;
