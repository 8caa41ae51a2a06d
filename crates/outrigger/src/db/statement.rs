//! What is known of a statement, looked up by its text: a statement that is asked for again costs no allocation.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use ::metrics::Histogram;

use super::dialect::Dialect;
use super::labels::{OpenLabels, OperationLabels};
use super::scan::{self, SCAN_LIMIT, Scanned};
use super::{insight, shape};
use crate::Metrics;
use crate::series::Row;

/// A statement and the series that it writes to.
pub(crate) struct Statement {
    system: &'static str,
    operation: &'static str,
    text: Box<str>,
    settings: Arc<insight::Settings>,
    shape: OnceLock<shape::Known>,
    pub(super) durations: Arc<Row<OperationLabels>>,
    pub(super) rows: Arc<Row<OperationLabels>>,
    /// The series of success, once there is a recorder.
    pub(super) duration: OnceLock<Histogram>,
    pub(super) returned: OnceLock<Histogram>,
}

#[allow(dead_code, reason = "the face of a statement towards insight")]
impl Statement {
    pub(super) fn new(metrics: &Metrics, way: &Way, text: &str) -> Self {
        let text = readable(text);
        let Scanned { operation, collection } = scan::scan(text, way.system);
        let row = way.open.row(collection.unwrap_or_default());
        Self {
            system: way.system,
            operation,
            text: text.into(),
            settings: Arc::clone(&way.settings),
            shape: OnceLock::new(),
            durations: metrics.db().durations.row(&row),
            rows: metrics.db().rows.row(&row),
            duration: OnceLock::new(),
            returned: OnceLock::new(),
        }
    }

    pub(crate) fn system(&self) -> &'static str {
        self.system
    }

    /// The verb in capitals, or `_other`.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// The statement itself, values and all, up to 8 KiB: not for the eyes of others.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same number for statements of one [`shape`].
    pub(crate) fn shape_hash(&self) -> u64 {
        self.known_shape().hash
    }

    /// Whether it asks for many at once, by a long list.
    pub(super) fn is_batch(&self) -> bool {
        self.known_shape().batch
    }

    fn known_shape(&self) -> &shape::Known {
        self.shape.get_or_init(|| shape::known(&self.text, Dialect::of(self.system)))
    }

    pub(crate) fn settings(&self) -> &insight::Settings {
        &self.settings
    }

    pub(super) fn labels(&self) -> OperationLabels {
        self.labels_of(self.operation)
    }

    /// Those of another operation on the same collection.
    pub(super) fn labels_of(&self, operation: &'static str) -> OperationLabels {
        OperationLabels { system: self.system, operation, error: None }
    }
}

/// The way that statements go: to which system, under which labels, with which settings.
pub(super) struct Way {
    pub(super) system: &'static str,
    pub(super) open: OpenLabels,
    pub(super) settings: Arc<insight::Settings>,
    known: Cache,
}

impl Way {
    pub(super) fn new(system: &'static str, open: OpenLabels, settings: Arc<insight::Settings>) -> Self {
        Self { system, open, settings, known: Cache::default() }
    }

    /// What is known of a statement, by its text.
    pub(super) fn statement(&self, metrics: &Metrics, text: &str) -> Arc<Statement> {
        let text = readable(text);
        self.known.get_or_insert(text, || Statement::new(metrics, self, text))
    }
}

/// Nothing is made of what stands behind this: two statements that begin alike for so long are one.
fn readable(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SCAN_LIMIT)).unwrap_or_default()
}

/// A table of sets with a few places each, by the hash of the text. Who comes to a full set takes the next one's place.
///
/// A set has a lock of its own, and is written only by who is new: readers meet on one cache line if they run the same
/// statement, and wait for nobody.
struct Cache {
    sets: OnceLock<Box<[RwLock<Set>]>>,
}

#[derive(Default)]
struct Set {
    places: [Option<(u64, Arc<Statement>)>; PLACES],
    /// Whose place is taken next.
    next: usize,
}

/// With [`PLACES`], 1,024 statements.
const SETS: usize = 256;
const PLACES: usize = 4;

impl Default for Cache {
    fn default() -> Self {
        Self { sets: OnceLock::new() }
    }
}

impl Cache {
    fn get_or_insert(&self, text: &str, make: impl FnOnce() -> Statement) -> Arc<Statement> {
        let hash = hash(text.as_bytes());
        let sets = self.sets.get_or_init(|| (0..SETS).map(|_| RwLock::default()).collect());
        let Some(set) = sets.get(usize::from(hash as u8) % SETS) else { return Arc::new(make()) };
        if let Some(known) = set.read().unwrap_or_else(PoisonError::into_inner).get(hash, text) {
            return known;
        }
        let made = Arc::new(make());
        let mut set = set.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been quicker.
        if let Some(known) = set.get(hash, text) {
            return known;
        }
        let next = set.next;
        set.next = (next + 1) % PLACES;
        if let Some(place) = set.places.get_mut(next) {
            *place = Some((hash, Arc::clone(&made)));
        }
        made
    }
}

impl Set {
    fn get(&self, hash: u64, text: &str) -> Option<Arc<Statement>> {
        let mut places = self.places.iter().flatten();
        let found = places.find(|(known, statement)| *known == hash && *statement.text == *text);
        found.map(|(_, statement)| Arc::clone(statement))
    }
}

/// Eight bytes at a time, a multiplication each; the texts are the program's own, so nobody chooses them to collide, and
/// who did would only lose his own places.
fn hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = text.as_chunks::<8>();
    let mut hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    hash = mix(hash, u64::from_le_bytes(last));
    // The high bits are the mixed ones.
    hash ^ (hash >> 32) ^ (hash >> 56)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn way() -> Way {
        Way::new("sqlite", OpenLabels::default(), Arc::default())
    }

    #[test]
    fn a_statement_is_looked_up_by_its_text() {
        let (metrics, way) = (Metrics::global(), way());
        let one = way.statement(&metrics, "SELECT * FROM a");
        assert!(Arc::ptr_eq(&one, &way.statement(&metrics, "SELECT * FROM a")));
        let other = way.statement(&metrics, "SELECT * FROM b");
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!((one.operation(), one.text()), ("SELECT", "SELECT * FROM a"));
        assert_ne!(one.shape_hash(), other.shape_hash());
    }

    #[test]
    fn the_table_has_a_bound_and_forgets_the_oldest_of_a_set() {
        let (metrics, way) = (Metrics::global(), way());
        let many: Vec<_> = (0..20_000).map(|n| way.statement(&metrics, &format!("SELECT {n} FROM t"))).collect();
        let kept = many.iter().filter(|statement| Arc::strong_count(statement) > 1).count();
        assert_eq!(kept, SETS * PLACES, "they spread over all sets");
        let last = many.last().unwrap();
        assert!(Arc::ptr_eq(last, &way.statement(&metrics, last.text())));
    }

    #[test]
    fn long_texts_are_cut_and_hashes_differ_by_length_and_end() {
        let (metrics, way) = (Metrics::global(), way());
        let long = format!("SELECT '{}é'", "x".repeat(SCAN_LIMIT - 9));
        assert!(way.statement(&metrics, &long).text().len() < long.len());
        let texts = ["", "a", "b", "ab", "abcdefgh", "abcdefgh\0", "abcdefgi", "bbcdefgh", "abcdefgha", "aabcdefgh"];
        let hashes: HashSet<u64> = texts.iter().map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
