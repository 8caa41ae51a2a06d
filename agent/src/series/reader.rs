//! The parser's visitor that writes a page into the table.

use std::fmt::Write as _;
use std::time::SystemTime;

use outrigger_exposition::{Escaped, Kind, Labels, Sample, Visitor};

use super::{Data, Family, Histogram, LineError, Part, Point, SeriesTable, Slot};

/// Writes one page into a table.
pub(super) struct Reader<'t> {
    table: &'t mut SeriesTable,
    at: SystemTime,
    key: String,
    dropped: u64,
    first_bad_line: Option<String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(table: &'t mut SeriesTable, at: SystemTime) -> Self {
        Self { table, at, key: String::new(), dropped: 0, first_bad_line: None }
    }

    pub(super) fn finish(self) -> (u64, Option<String>) {
        (self.dropped, self.first_bad_line)
    }

    /// The slot of a line that was not seen before; `None` if there is no room for it.
    fn add(&mut self, sample: &Sample<'_>) -> Option<Slot> {
        let (family, part) = self.place(sample)?;
        if self.table.families.get(family)?.refused {
            return self.refuse(family);
        }
        if self.table.slots.len() >= self.table.limit {
            self.dropped += self.table.make_room();
            if self.table.families.get(family)?.refused {
                return self.refuse(family);
            }
        }
        let point = self.point(family, sample);
        let slot = Slot { point, family, part };
        self.table.slots.insert(self.key.as_str().into(), slot);
        self.table.families.get_mut(family)?.series += 1;
        Some(slot)
    }

    fn refuse(&mut self, family: usize) -> Option<Slot> {
        let page = self.table.page;
        if let Some(family) = self.table.families.get_mut(family) {
            family.refused_samples += 1;
            family.refused_page = Some(page);
        }
        self.dropped += 1;
        None
    }

    /// The family that a line belongs to, and what it is of its point. Lines that say nothing of their own, such as
    /// `_created`, have no place.
    fn place(&mut self, sample: &Sample<'_>) -> Option<(usize, Part)> {
        const SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_created"];
        for suffix in SUFFIXES {
            let Some(base) = sample.name.strip_suffix(suffix) else { continue };
            let Some(family) = self.table.family_ids.get(base).copied() else { continue };
            let part = match (self.table.families.get(family)?.kind, suffix) {
                (Kind::Histogram, "_bucket") => Part::Bucket(number(sample.labels, "le")?),
                (Kind::Histogram | Kind::Summary, "_sum") => Part::Sum,
                (Kind::Histogram | Kind::Summary, "_count") => Part::Count,
                (Kind::Counter, "_total") => Part::Value,
                (Kind::Histogram | Kind::Summary | Kind::Counter, "_created") => return None,
                _ => continue,
            };
            if suffix == "_total"
                && let Some(family) = self.table.families.get_mut(family)
            {
                family.total_in_sample = true;
            }
            return Some((family, part));
        }
        let family = match self.table.family_ids.get(sample.name) {
            Some(family) => *family,
            // No `# TYPE` stands above it, or its kind (info, state set, gauge histogram) is not gathered: a plain number.
            None => self.declare(sample.name)?,
        };
        let part = match self.table.families.get(family)?.kind {
            Kind::Summary => Part::Quantile(number(sample.labels, "quantile")?),
            // A histogram has no line with its bare name.
            Kind::Histogram => return None,
            _ => Part::Value,
        };
        Some((family, part))
    }

    /// The point of a line, which may be new.
    fn point(&mut self, family: usize, sample: &Sample<'_>) -> usize {
        let kind = self.table.families.get(family).map_or(Kind::Unknown, |family| family.kind);
        let own = |name: &str| !matches!((kind, name), (Kind::Histogram, "le") | (Kind::Summary, "quantile"));
        let mut labels: Vec<(Box<str>, Box<str>)> = sample
            .labels
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(name, value)| (name.into(), value.unescape().into()))
            .collect();
        labels.shrink_to_fit();

        let mut label_key = String::new();
        let mut sorted: Vec<_> = labels.iter().collect();
        sorted.sort();
        for (name, value) in sorted {
            // Debug quotes both, so that no value can look like another label.
            let _ = write!(label_key, "|{name:?}={value:?}");
        }
        let table = &mut *self.table;
        let identity = format!("{family}{label_key}");
        if let Some(id) = table.point_ids.get(identity.as_str()) {
            return *id;
        }
        let data = match kind {
            Kind::Histogram => Data::Histogram(Histogram::default()),
            Kind::Summary => Data::Summary { quantiles: Vec::new(), sum: 0.0, count: 0.0 },
            Kind::Counter => Data::Counter(0.0),
            _ => Data::Gauge(0.0),
        };
        let point = Point {
            identity: hash(&[table.families.get(family).map_or("", |family| &family.name), &label_key]),
            labels,
            data,
            timestamp_ms: None,
            first_seen: self.at,
            reset_at: None,
            family,
            page: table.page,
        };
        let id = match table.free.pop() {
            Some(id) => id,
            None => {
                table.points.push(None);
                table.points.len() - 1
            }
        };
        if let Some(place) = table.points.get_mut(id) {
            *place = Some(point);
        }
        table.point_ids.insert(identity.into(), id);
        id
    }

    /// The family of this name, which may be new; `None` if there are too many.
    fn declare(&mut self, name: &str) -> Option<usize> {
        if let Some(id) = self.table.family_ids.get(name) {
            return Some(*id);
        }
        if self.table.families.len() >= self.table.limit {
            self.dropped += 1;
            return None;
        }
        let id = self.table.families.len();
        self.table.families.push(Family { name: name.to_owned(), ..Family::default() });
        self.table.family_ids.insert(name.into(), id);
        Some(id)
    }
}

impl Visitor for Reader<'_> {
    fn kind(&mut self, name: &str, kind: Kind) {
        // Only kinds that are gathered, or whose numbers carry the family's name, are kept. The others' lines are plain
        // numbers with names of their own.
        let kind = match kind {
            Kind::Info | Kind::StateSet | Kind::GaugeHistogram => return,
            kind => kind,
        };
        let Some(id) = self.declare(name) else { return };
        let Some(family) = self.table.families.get_mut(id) else { return };
        if family.kind != kind {
            family.kind = kind;
            if family.series > 0 {
                // Another release of the target: what is kept of this family has the wrong shape.
                self.table.evict(|point, _| point.family == id);
            }
        }
    }

    fn help(&mut self, name: &str, help: Escaped<'_>) {
        if let Some(id) = self.declare(name)
            && let Some(family) = self.table.families.get_mut(id)
            && family.help.is_empty()
        {
            family.help = help.unescape().chars().take(MAX_HELP).collect();
        }
    }

    fn unit(&mut self, name: &str, unit: &str) {
        if let Some(id) = self.declare(name)
            && let Some(family) = self.table.families.get_mut(id)
        {
            family.unit = unit.chars().take(MAX_UNIT).collect();
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        self.key.clear();
        self.key.push_str(sample.name);
        self.key.push('{');
        self.key.push_str(sample.labels.raw());
        let known = self.table.slots.get(self.key.as_str()).copied();
        let Some(slot) = known.or_else(|| self.add(sample)) else {
            return;
        };
        let before = self.table.read_at;
        let Some(point) = self.table.points.get_mut(slot.point).and_then(Option::as_mut) else { return };
        if point.page != self.table.page {
            point.begin_page(self.table.page);
        }
        point.timestamp_ms = sample.timestamp_ms;
        if point.set(slot.part, sample.value) {
            point.reset_at = before;
            self.table.fell = true;
        }
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.first_bad_line.get_or_insert_with(|| error.to_string());
    }
}

/// FNV-1a (Fowler, Noll, Vo; 64 bits): unlike the standard library's hash it is the same in every release, for what is
/// kept on disk.
fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The most characters of a help text and of a unit that are kept.
const MAX_HELP: usize = 1000;
const MAX_UNIT: usize = 60;

fn number(labels: Labels<'_>, name: &str) -> Option<f64> {
    labels.get(name)?.unescape().parse().ok()
}
