//! The ratio of failures that is usual, and how it varies by itself.

use serde::{Deserialize, Serialize};

use crate::ErrorSettings;

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
/// The half-life of the ratio that what creeps up is held against, in seconds, and how many times as much the latest ratio and
/// the worst block may say that is usual: what creeps up must not become usual on its way.
const SLOW_HALF_LIFE: f64 = 43_200.0;
const SLOW_TIMES: f64 = 4.0;
/// What was adopted is over when a block has a smaller part of its ratio, and so many failures were to be expected in it.
const FALLEN: f64 = 0.5;
const FALLEN_EXPECTED: f64 = 20.0;

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
    /// The ratio of an anomaly that lasted until it was the usual one; 0 if there was none, or it is over.
    #[serde(default)]
    adopted: f64,
    /// The same counts, of half a day.
    #[serde(default)]
    slow: Block,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Block {
    failed: f64,
    total: f64,
    /// Not of the slow counts.
    seconds: f64,
}

impl Block {
    /// The highest ratio that the counts make likely: one standard deviation above them, so that a few requests without a
    /// failure do not promise that there is none.
    fn highest(self) -> f64 {
        let failed = self.failed + 0.5;
        (failed + failed.sqrt()) / (self.total + 1.0)
    }
}

impl Ratio {
    /// Makes a ratio the usual one.
    pub(super) fn adopt(&mut self, failed: u64, total: u64, seconds: f64) {
        self.begin(Block { failed: failed as f64, total: total as f64, seconds });
        self.adopted = self.share();
    }

    /// Begins anew with these counts. How failures come together is another matter.
    fn begin(&mut self, counts: Block) {
        let (spread, expected) = (self.spread, self.expected);
        let Block { failed, total, seconds } = counts;
        *self = Self { failed, total, seconds, spread, expected, slow: counts, ..Self::default() };
    }

    /// Takes in an interval as if only this part of it had been seen.
    pub(super) fn learn(&mut self, failed: u64, total: u64, seconds: f64, settings: &ErrorSettings, weight: f64) {
        let (failed, total) = (failed as f64, total as f64);
        self.worst *= 0.5_f64.powf(seconds / WORST_HALF_LIFE);
        if weight < 1.0 {
            // What may be the beginning of an anomaly is no noise yet.
            self.block = Block::default();
        } else {
            self.learn_burst(failed, total);
            if self.learn_block(failed, total, seconds, settings.objective) {
                return;
            }
        }
        let age = self.seconds.max(60.0);
        let halves = |half_life: f64| (seconds / half_life.min(age)).min(total / LEAST_KNOWN);
        let keep = 0.5_f64.powf(weight * halves(settings.pace.half_life_seconds.clamp(1.0, 1e9)));
        self.failed = keep * self.failed + weight * failed;
        self.total = keep * self.total + weight * total;
        let keep = 0.5_f64.powf(weight * halves(SLOW_HALF_LIFE));
        self.slow.failed = keep * self.slow.failed + weight * failed;
        self.slow.total = keep * self.slow.total + weight * total;
        self.seconds = (self.seconds + seconds).min(1e12);
    }

    /// Adds to the block at hand. True if it shows that what was adopted is over: then all that is known is this block.
    fn learn_block(&mut self, failed: f64, total: f64, seconds: f64, objective: f64) -> bool {
        self.block.failed += failed;
        self.block.total += total;
        self.block.seconds += seconds;
        let (block, adopted) = (self.block, self.adopted);
        if block.seconds < BLOCK_SECONDS || (adopted > 0.0 && block.total * adopted < FALLEN_EXPECTED) {
            return false;
        }
        self.block = Block::default();
        let of = block.total.max(1.0);
        if adopted <= 0.0 {
            let beyond_chance = (block.failed - CHANCE * block.failed.sqrt()) / of;
            if beyond_chance <= SLOW_TIMES * self.slow.highest().max(objective) {
                self.worst = self.worst.max(beyond_chance);
            }
        } else if block.failed / of < FALLEN * adopted {
            self.begin(block);
            return true;
        }
        // What is still as bad as what was adopted is known already, and no noise of what comes after it.
        false
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
        let (failed, total) = (failed as f64, total as f64);
        if seconds < BLOCK_SECONDS && total < self.total / 2.0 {
            self.total -= total;
            self.failed = (self.failed - failed).clamp(0.0, self.total);
            let slow = &mut self.slow;
            slow.total = (slow.total - total).max(0.0);
            slow.failed = (slow.failed - failed).clamp(0.0, slow.total);
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

    /// The highest ratio that is likely to be usual: by the counts, within reach of half a day's and of the objective, and at
    /// least the worst five minutes of late.
    pub(super) fn highest(&self, objective: f64) -> f64 {
        let counts = Block { failed: self.failed, total: self.total, seconds: self.seconds };
        let most = SLOW_TIMES * self.slow.highest().max(objective);
        counts.highest().min(most).max(self.worst).min(1.0)
    }

    pub(super) fn is_sound(&self) -> bool {
        let Self { failed, total, seconds, spread, expected, block, worst, adopted, slow } = *self;
        [failed, total, seconds, spread, expected, worst, adopted]
            .into_iter()
            .chain([block, slow].into_iter().flat_map(|counts| [counts.failed, counts.total, counts.seconds]))
            .all(|number| number.is_finite() && number >= 0.0)
            && failed <= total * (1.0 + 1e-9)
    }
}
