//! The ratio of failures that is usual, and how it varies by itself.

use serde::{Deserialize, Serialize};

/// Requests that halve what was known at the soonest: a ratio of one in a thousand is not known from fewer.
const LEAST_KNOWN: f64 = 2000.0;
/// Failures that halve what is known of their bursts.
const BURSTS_KNOWN: f64 = 50.0;
/// Single failures that are assumed to have been seen at first.
const SINGLES: f64 = 3.0;
/// Bursts beyond this are no noise.
const MOST_BURST: f64 = 20.0;
/// The length of a block whose ratio may be the worst that is usual, in seconds, and the half-life of the worst.
const BLOCK_SECONDS: f64 = 300.0;
/// Standard deviations that a block's failures are taken down by.
const CHANCE: f64 = 2.0;
const WORST_HALF_LIFE: f64 = 86_400.0;

/// Counts that halve with time and with requests, whichever is slower. A young ratio forgets with its own age as half-life,
/// so that a cold start does not stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ratio {
    failed: f64,
    total: f64,
    seconds: f64,
    /// Squares of intervals' failures, and the squares to expect of failures that come by themselves.
    spread: f64,
    expected: f64,
    block: Block,
    worst: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Block {
    failed: f64,
    total: f64,
    seconds: f64,
}

impl Ratio {
    /// Makes a ratio the usual one.
    pub(super) fn adopt(&mut self, failed: u64, total: u64, seconds: f64) {
        let (spread, expected) = (self.spread, self.expected);
        let (failed, total) = (failed as f64, total as f64);
        *self = Self { failed, total, seconds, spread, expected, ..Self::default() };
    }

    /// Takes in an interval as if only this part of it had been seen.
    pub(super) fn learn(&mut self, failed: u64, total: u64, seconds: f64, half_life: f64, weight: f64) {
        let (failed, total) = (failed as f64, total as f64);
        self.worst *= 0.5_f64.powf(seconds / WORST_HALF_LIFE);
        if weight < 1.0 {
            // What may be the beginning of an anomaly is no noise yet.
            self.block = Block::default();
        } else {
            self.learn_burst(failed, total);
            self.learn_block(failed, total, seconds);
        }
        let half_life = half_life.clamp(1.0, 1e9).min(self.seconds.max(60.0));
        let halves = (seconds / half_life).min(total / LEAST_KNOWN);
        let keep = 0.5_f64.powf(weight * halves);
        self.failed = keep * self.failed + weight * failed;
        self.total = keep * self.total + weight * total;
        self.seconds = (self.seconds + seconds).min(1e12);
    }

    fn learn_block(&mut self, failed: f64, total: f64, seconds: f64) {
        let Block { failed: in_block, total: of, seconds: lasted } = &mut self.block;
        *in_block += failed;
        *of += total;
        *lasted += seconds;
        if *lasted >= BLOCK_SECONDS {
            let beyond_chance = (*in_block - CHANCE * in_block.sqrt()) / of.max(1.0);
            self.worst = self.worst.max(beyond_chance);
            self.block = Block::default();
        }
    }

    /// Learns how failures come together: those that come by themselves have a mean square of their mean and its square.
    pub(super) fn learn_burst(&mut self, failed: f64, total: f64) {
        let failed = failed.min(MOST_BURST * (1.0 + total * self.share()));
        let keep = 0.5_f64.powf(failed / BURSTS_KNOWN);
        self.spread = keep * self.spread + failed * failed;
        self.expected = keep * self.expected + failed * (1.0 + total * self.share());
    }

    /// A ratio that was an anomaly, but a small one that went by itself, is usual from now on.
    pub(super) fn forgive(&mut self, ratio: f64) {
        self.worst = self.worst.max(ratio);
    }

    pub(super) fn is_older_than(&self, seconds: f64, requests: u64) -> bool {
        self.seconds >= seconds && self.total >= requests as f64
    }

    /// Takes back what was learnt of the last few minutes, which was no longer usual.
    pub(super) fn take_back(&mut self, failed: u64, total: u64, seconds: f64) {
        if seconds < BLOCK_SECONDS && (total as f64) < self.total / 2.0 {
            self.total -= total as f64;
            self.failed = (self.failed - failed as f64).clamp(0.0, self.total);
        }
    }

    /// The share of failures.
    pub(super) fn share(&self) -> f64 {
        if self.total > 0.0 { (self.failed / self.total).min(1.0) } else { 0.0 }
    }

    /// How many failures come together (the dispersion): 1 if each comes by itself.
    pub(super) fn burst(&self) -> f64 {
        ((self.spread + SINGLES) / (self.expected + SINGLES)).clamp(1.0, MOST_BURST)
    }

    /// The highest ratio that is likely to be usual: one standard deviation above the counts, so that a few requests without
    /// a failure do not promise that there is none, and at least the worst five minutes of late.
    pub(super) fn highest(&self) -> f64 {
        let failed = self.failed + 0.5;
        ((failed + failed.sqrt()) / (self.total + 1.0)).max(self.worst).min(1.0)
    }

    pub(super) fn is_sound(&self) -> bool {
        let Self { failed, total, seconds, spread, expected, block, worst } = *self;
        [failed, total, seconds, spread, expected, block.failed, block.total, block.seconds, worst]
            .iter()
            .all(|number| number.is_finite() && *number >= 0.0)
            && failed <= total * (1.0 + 1e-9)
    }
}
