//! The pace of a route as a whole: requests that all become a little slower together, as on a busy machine.
//!
//! Such a sway moves every bound's share at once, each by its own amount, and is most of what a busy route's shares swing
//! by. It is seen in the mean rank of the requests among those of the baseline; how much a bound's share moves with it is
//! learnt. What the sway explains is taken off before a share is judged, so that a change of its own stands out.

use serde::{Deserialize, Serialize};

use crate::interval::MAX_WIDTH;

/// Blocks after which the estimate rolls on rather than averages, and blocks that the assumption of no sway counts for.
const MEMORY: u32 = 900;
const PRIOR: u32 = 50;
/// A sway explains no more than this many standard deviations of the usual one.
const REACH: f64 = 3.0;
/// Or this much of the mean rank, whatever was seen before: requests slower by a sixth or so.
const REACH_RANK: f64 = 0.12;
/// It at most doubles a share, at least halves it, and leaves this part of the requests below a bound.
const MOST: f64 = 2.0;
const LEAST: f64 = 0.5;
const LEFT: f64 = 0.3;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sway {
    /// Variance of the mean rank beyond that of independent requests.
    variance: f32,
    /// Covariance of the share above each bound with the mean rank, likewise.
    covariance: Vec<f32>,
    /// Blocks that they were learnt from, at most [`MEMORY`].
    blocks: u32,
}

/// The rank of each bucket in the baseline, from -0.5 for the fastest requests to 0.5, and the variance of a request's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranks {
    ranks: [f64; MAX_WIDTH],
    spread: f64,
}

impl Ranks {
    /// From the share of the baseline's requests above each bound; the first share is 1.
    pub(crate) fn new(usual: &[f64]) -> Self {
        let mut ranks = [0.0; MAX_WIDTH];
        let mut spread = 0.0;
        for (bucket, rank) in ranks.iter_mut().enumerate().take(usual.len()) {
            let (above, beyond) = ends(usual, bucket);
            *rank = 0.5 - f64::midpoint(above, beyond);
            spread += (above - beyond) * *rank * *rank;
        }
        Self { ranks, spread }
    }

    /// The mean rank of the requests of a window.
    fn mean(&self, tails: &[u64], requests: f64) -> f64 {
        // Summation by parts: each bound adds its step in rank for the requests above it.
        let first = self.ranks.first().copied().unwrap_or(0.0);
        let steps = self.ranks.iter().skip(1).zip(&self.ranks).map(|(rank, before)| rank - before);
        first + tails.iter().skip(1).zip(steps).map(|(tail, step)| *tail as f64 * step).sum::<f64>() / requests
    }
}

impl Sway {
    pub(crate) fn new(width: usize) -> Self {
        Self { covariance: vec![0.0; width], ..Self::default() }
    }

    /// Learns from a window, with a weight between 0 and 1.
    pub(crate) fn learn(&mut self, ranks: &Ranks, usual: &[f64], tails: &[u64], requests: f64, weight: f64) {
        let chance = ranks.spread / requests;
        let mean = ranks.mean(tails, requests);
        let most = REACH * (self.variance() + chance).sqrt().max(0.01);
        let clipped = mean.clamp(-most, most);
        let part = if mean == 0.0 { 1.0 } else { clipped / mean };
        let step = weight as f32 / (self.blocks + PRIOR) as f32;
        self.variance += ((clipped * clipped - chance) as f32 - self.variance) * step;
        let mut ranks_above = 0.0;
        for (tail, covariance) in self.covariance.iter_mut().enumerate().skip(1).rev() {
            let (above, beyond) = ends(usual, tail);
            ranks_above += (above - beyond) * ranks.ranks.get(tail).copied().unwrap_or(0.0);
            let moved = tails.get(tail).copied().unwrap_or(0) as f64 / requests - above;
            let product = moved * part * clipped - ranks_above / requests;
            *covariance += (product as f32 - *covariance) * step;
        }
        self.blocks = (self.blocks + 1).min(MEMORY);
    }

    /// The sway of a window, to be asked for each bound by [`explain`](Self::explain).
    pub(crate) fn of(&self, ranks: &Ranks, tails: &[u64], requests: f64) -> f64 {
        let (own, chance) = (self.variance(), ranks.spread / requests);
        if own <= 0.0 {
            return 0.0;
        }
        let reach = (REACH * own.sqrt()).max(REACH_RANK);
        (ranks.mean(tails, requests) * own / (own + chance)).clamp(-reach, reach) / own
    }

    /// The share above a bound that is to be expected at a sway.
    pub(crate) fn explain(&self, sway: f64, tail: usize, usual: f64) -> f64 {
        let moved = sway * f64::from(self.covariance.get(tail).copied().unwrap_or(0.0).max(0.0));
        (usual + moved).max(LEAST * usual).min(MOST * usual).min(usual + (1.0 - LEFT) * (1.0 - usual))
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.covariance.len() == width
            && self.variance.is_finite()
            && self.covariance.iter().all(|value| value.is_finite())
            && self.blocks <= MEMORY
    }

    fn variance(&self) -> f64 {
        f64::from(self.variance.max(0.0))
    }
}

/// The shares of requests above the lower and the upper end of a bucket.
fn ends(usual: &[f64], bucket: usize) -> (f64, f64) {
    let above = if bucket == 0 { 1.0 } else { usual.get(bucket).copied().unwrap_or(0.0) };
    (above, usual.get(bucket + 1).copied().unwrap_or(0.0))
}
