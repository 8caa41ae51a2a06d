//! What is known beside the time that a cause took: ratios, limits and findings that make a cause clear to a reader.

use std::collections::BTreeMap;

use super::machine;
use super::meter::{Amount, Key, Measure};
use super::reading::Sums;
use super::usual::Usual;
use crate::collect::strain::Strain;

/// The facts about one incident.
pub(super) struct Facts<'a> {
    keys: &'a [(usize, &'a Key)],
    usual: &'a Usual,
    during: &'a Sums,
    limits: &'a BTreeMap<Box<str>, f64>,
    strain: Option<&'a Strain>,
}

/// What a pool needs by Little's law, and what it has.
pub(super) struct Need {
    pub(super) per_second: f64,
    pub(super) held_seconds: f64,
    pub(super) most: Option<f64>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        keys: &'a [(usize, &'a Key)],
        usual: &'a Usual,
        during: &'a Sums,
        limits: &'a BTreeMap<Box<str>, f64>,
        strain: Option<&'a Strain>,
    ) -> Self {
        Self { keys, usual, during, limits, strain }
    }

    fn ids(&self, measure: Measure) -> impl Iterator<Item = (usize, &'a Key)> {
        self.keys.iter().copied().filter(move |(_, key)| key.measure == measure)
    }

    fn id(&self, measure: Measure, name: &str) -> Option<usize> {
        self.ids(measure).find(|(_, key)| *key.name == *name).map(|(id, _)| id)
    }

    /// The share of a cache's look-ups that found something, before and during.
    pub(super) fn hit_ratio(&self, cache: &str) -> Option<(f64, f64)> {
        let (hits, misses) = (self.id(Measure::Hits, cache), self.id(Measure::Misses, cache));
        let calls = |id: Option<usize>| id.map_or((0.0, 0.0), |id| self.usual.contrast(id, self.during).calls);
        let (hits, misses) = (calls(hits), calls(misses));
        let ratio = |hits: f64, misses: f64| (hits + misses > 0.0).then(|| (hits / (hits + misses)).clamp(0.0, 1.0));
        Some((ratio(hits.0, misses.0)?, ratio(hits.1, misses.1)?))
    }

    /// How many connections a pool's users need at a time.
    pub(super) fn need(&self, pool: &str) -> Option<Need> {
        let Amount { calls, seconds, .. } = self.during.amount(self.id(Measure::Uses, pool)?);
        let need = Need {
            per_second: calls / self.during.seconds,
            held_seconds: seconds / calls,
            most: self.limits.get(pool).copied(),
        };
        (need.per_second.is_finite() && need.held_seconds.is_finite()).then_some(need)
    }

    /// Whether the plan of a statement on the table that stands last in its name was found to want an index meanwhile.
    pub(super) fn lacks_index(&self, statement: &str) -> bool {
        let tables = self.ids(Measure::Unserved).filter(|(id, _)| self.usual.more_calls(*id, self.during) > 0.0);
        let is_of = |table: &str| statement.split(' ').any(|word| word == table);
        tables.map(|(_, key)| key).any(|key| !key.name.is_empty() && is_of(&key.name))
    }

    /// The route on which most statements were found repeated beyond the usual, and how many.
    pub(super) fn repeats(&self) -> Option<(&str, f64)> {
        let more = self.ids(Measure::Repeats).map(|(id, key)| (&*key.name, self.usual.more_calls(id, self.during)));
        more.filter(|(_, more)| *more > 0.0).max_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// Which part of the time one of the machine's doings lasted, before and during.
    pub(super) fn share(&self, key: &Key) -> Option<(f64, f64)> {
        Some(self.usual.share(self.id(key.measure, &key.name)?, self.during))
    }

    /// Processors that other programs use, before and during.
    pub(super) fn others(&self) -> (f64, f64) {
        machine::others(self.keys, self.usual, self.during)
    }

    /// The share of its limit that the container's working set has.
    pub(super) fn working_set(&self) -> Option<f64> {
        let (used, limit) = self.strain?.working_set?;
        Some(used as f64 / limit as f64).filter(|share| share.is_finite())
    }

    /// Calls that were made again beyond the usual.
    pub(super) fn retries(&self) -> f64 {
        self.ids(Measure::Retries).map(|(id, _)| self.usual.more_calls(id, self.during)).sum()
    }
}
