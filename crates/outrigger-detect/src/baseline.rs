//! What is normal for a route: the share of requests above each bound.

use serde::{Deserialize, Serialize};

use crate::history::Block;

/// A baseline forgets no faster than this, in seconds, however young it is.
const SHORTEST_HALF_LIFE: f64 = 60.0;
/// A baseline of fewer requests than this remembers longer, up to so many times: evidence is counted in requests.
const ENOUGH_REQUESTS: f64 = 3000.0;
const LONGEST_STRETCH: f64 = 24.0;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Decayed tail counts, as in [`Block::tails`].
    tails: Vec<f64>,
    /// Decayed time spent by these requests, in seconds.
    spent: f64,
    /// Time learnt from, not decayed.
    seconds: f64,
    /// Requests learnt from, not decayed.
    requests: u64,
}

impl Baseline {
    pub(crate) fn new(width: usize) -> Self {
        Self { tails: vec![0.0; width], ..Self::default() }
    }

    /// Learns from a block, with a weight between 0 and 1.
    pub(crate) fn absorb(&mut self, block: Block<'_>, weight: f64, half_life: f64) {
        let stretch = (ENOUGH_REQUESTS / self.count(0).max(1.0)).clamp(1.0, LONGEST_STRETCH);
        let half_life = (half_life * stretch).min(self.seconds.max(SHORTEST_HALF_LIFE)).max(1.0);
        // Silence teaches nothing, so one long block halves the past at most.
        let keep = (-block.seconds * weight / half_life).max(-1.0).exp2();
        for (sum, count) in self.tails.iter_mut().zip(block.tails) {
            *sum = *sum * keep + f64::from(*count) * weight;
        }
        self.spent = self.spent * keep + block.spent * weight;
        self.seconds += block.seconds * weight;
        self.requests = self.requests.saturating_add(block.tails.first().copied().unwrap_or(0).into());
    }

    /// Takes other tail counts for the baseline: requests of another time, and what they took on average, in seconds.
    pub(crate) fn replace(&mut self, tails: &[f64], mean: f64) {
        for (own, other) in self.tails.iter_mut().zip(tails) {
            *own = *other;
        }
        self.spent = mean * self.count(0);
    }

    /// Decayed tail counts.
    pub(crate) fn tails(&self) -> &[f64] {
        &self.tails
    }

    /// Decayed requests above a bound; tail 0 is all of them.
    pub(crate) fn count(&self, tail: usize) -> f64 {
        self.tails.get(tail).copied().unwrap_or(0.0)
    }

    /// Share of requests above a bound.
    pub(crate) fn share(&self, tail: usize) -> f64 {
        if self.count(0) > 0.0 { (self.count(tail) / self.count(0)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Mean time of a request, in seconds.
    pub(crate) fn mean(&self) -> f64 {
        if self.count(0) > 0.0 { self.spent / self.count(0) } else { 0.0 }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn width(&self) -> usize {
        self.tails.len()
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.tails.len() == width
            && self.tails.is_sorted_by(|wide, narrow| wide >= narrow)
            && self.tails.iter().all(|value| value.is_finite() && *value >= 0.0)
            && [self.spent, self.seconds].iter().all(|value| value.is_finite() && *value >= 0.0)
    }
}
