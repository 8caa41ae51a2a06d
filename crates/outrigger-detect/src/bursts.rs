//! Pauses that come again and again: a garbage collector that storms, a lock that convoys. Each is too short to last, and
//! between them all is well, so that on average little is wrong.

use serde::{Deserialize, Serialize};

use crate::{
    baseline::Baseline,
    history::{Block, FINE},
    interval::MAX_WIDTH,
    tracker::{Finding, Rules, Tracker},
};

/// Pauses with calm between them that make a storm, within the fine blocks.
const PAUSES: u32 = 3;
/// A storm lasts: what comes within less than so many seconds is one disturbance.
const LEAST_SECONDS: f64 = 45.0;
/// A block is bad whose excess is so many standard deviations, and this share of its requests, and so many of them.
const BAD_SCORE: f64 = 3.0;
const BAD_SHARE: f64 = 0.03;
const BAD_REQUESTS: f64 = 2.0;
/// Noise of a single block counts so many times that of the shortest window: it has had less time to even out.
const BLOCK_NOISE: f64 = 2.0;
/// The sum of the squared scores of the pauses.
const EVIDENCE: f64 = 50.0;
/// How unlikely so many pauses must be for the route, as a logarithm: once in a quarter of a million blocks.
const UNLIKELY: f64 = 12.5;
/// Pauses are assumed to come once in so many blocks, and the assumption counts for as many.
const ASSUMED_BLOCKS: f64 = 600.0;
/// After so many blocks, what was counted counts half.
const MEMORY: u16 = 1800;
/// Most of the time is calm in a storm too: the level between pauses is the share of the block of this rank, from the
/// lowest, where it is above the usual one.
const CALM_RANK: usize = 5;
/// Bounds that more of the usual requests exceed are not judged.
const MOST_USUAL: f64 = 0.6;

/// How often a route pauses by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pauses {
    /// Bad blocks, by the bound that they were bad at.
    counts: Vec<u16>,
    /// Blocks in all.
    blocks: u16,
}

impl Pauses {
    pub(crate) fn new(width: usize) -> Self {
        Self { counts: vec![0; width], blocks: 0 }
    }

    /// Makes room in what was kept by a release that did not count pauses.
    pub(crate) fn fit(&mut self, width: usize) {
        self.counts.resize(width, 0);
    }

    fn count(&mut self, tail: usize) {
        if let Some(count) = self.counts.get_mut(tail) {
            *count = count.saturating_add(1);
        }
    }

    fn end_block(&mut self) {
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks >= MEMORY {
            self.blocks /= 2;
            for count in &mut self.counts {
                *count /= 2;
            }
        }
    }

    /// Minus the logarithm of the chance of so many pauses or more within the fine blocks, at most: Poisson's.
    fn surprise(&self, tail: usize, pauses: u32) -> f64 {
        let counted = f64::from(self.counts.get(tail).copied().unwrap_or(0));
        let usual = FINE as f64 * (counted + 1.0) / (f64::from(self.blocks) + ASSUMED_BLOCKS);
        let permutations: f64 = (1..=pauses).map(|k| f64::from(k).ln()).sum();
        permutations - f64::from(pauses) * usual.ln()
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.counts.len() == width || self.counts.is_empty()
    }
}

/// Several pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) finding: Finding,
    pub(crate) score: f64,
    /// The longest time from the end of a pause to the end of the next, in seconds.
    pub(crate) gap: f64,
}

impl Tracker {
    /// Looks for several pauses among the fine blocks, bound by bound, and learns how often they come.
    pub(crate) fn look_for_storm(
        &mut self,
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> Option<Storm> {
        let mut pauses = std::mem::take(&mut self.pauses);
        let mut blocks = [Block { tails: &[], spent: 0.0, seconds: 0.0 }; FINE];
        let mut held = 0;
        for (place, block) in blocks.iter_mut().zip(self.history.blocks()) {
            *place = block;
            held += 1;
        }
        let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
        if held < FINE || rules.steps.is_empty() || seconds < LEAST_SECONDS {
            self.pauses = pauses;
            return None;
        }
        let mut strongest: Option<Storm> = None;
        for tail in 1..self.baseline.width() {
            let (storm, begins_bad) = self.storm_above(tail, &blocks, rules, matters, &pauses);
            // What is about to leave the fine blocks was no storm.
            if begins_bad {
                pauses.count(tail);
            }
            strongest = match (strongest, storm) {
                (Some(a), Some(b)) if a.score >= b.score => Some(a),
                (a, b) => b.or(a),
            };
        }
        pauses.end_block();
        self.pauses = pauses;
        strongest
    }

    /// The storm above a bound, if there is one, and whether the oldest block is bad.
    fn storm_above(
        &self,
        tail: usize,
        blocks: &[Block<'_>; FINE],
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
        known: &Pauses,
    ) -> (Option<Storm>, bool) {
        let usual = self.baseline.share(tail);
        if usual > MOST_USUAL {
            return (None, false);
        }
        let counts = |block: &Block<'_>| {
            let count = |tail: usize| f64::from(block.tails.get(tail).copied().unwrap_or(0));
            (count(0), count(tail))
        };
        let threshold = |requests: f64| (BAD_SHARE * requests).max(BAD_REQUESTS);
        let is_suspect = |block: &Block<'_>| {
            let (requests, above) = counts(block);
            above - requests * usual >= threshold(requests)
        };
        if !blocks.iter().any(is_suspect) {
            return (None, false);
        }
        let mut shares = blocks.each_ref().map(|block| {
            let (requests, above) = counts(block);
            above / requests.max(1.0)
        });
        shares.sort_unstable_by(f64::total_cmp);
        let level = shares.get(CALM_RANK).map_or(usual, |share| share.max(usual));

        let (mut requests, mut above, mut excess_in_pauses, mut seconds) = (0.0, 0.0, 0.0, 0.0);
        let mut in_pauses = [0_u64; MAX_WIDTH];
        let (mut pauses, mut evidence, mut strongest) = (0, 0.0, 0.0_f64);
        let (mut calm, mut gap) = (0.0, 0.0_f64);
        let mut is_pause = false;
        for block in blocks {
            let (n, x) = counts(block);
            let excess = x - n * level;
            requests += n;
            above += x;
            seconds += block.seconds;
            calm += block.seconds;
            let mut score = 0.0;
            if excess >= threshold(n) {
                let noise = 1.0 + (self.noise.factor(0, tail, n, level) - 1.0) * BLOCK_NOISE;
                score = excess / (n * level * (1.0 - level) * noise + 0.5).sqrt();
            }
            if score < BAD_SCORE {
                is_pause = false;
                continue;
            }
            if !is_pause {
                gap = if pauses > 0 { gap.max(calm) } else { 0.0 };
                pauses += 1;
                evidence += strongest * strongest;
                strongest = 0.0;
            }
            is_pause = true;
            calm = 0.0;
            strongest = strongest.max(score);
            excess_in_pauses += excess;
            for (sum, count) in in_pauses.iter_mut().zip(block.tails) {
                *sum += u64::from(*count);
            }
        }
        evidence += strongest * strongest;
        let is_storm = pauses >= PAUSES
            && evidence >= EVIDENCE
            && known.surprise(tail, pauses) >= UNLIKELY
            && excess_in_pauses >= rules.min_excess
            && excess_in_pauses / requests >= self.required_share(rules).max(rules.min_share_seconds / seconds)
            && matters(
                &self.baseline,
                in_pauses.get(..self.baseline.width()).unwrap_or_default(),
                tail,
                self.caution(rules),
            );
        let finding = Finding { tail, share: above / requests };
        let score = (evidence / f64::from(pauses.max(1))).sqrt();
        (is_storm.then_some(Storm { finding, score, gap }), is_pause)
    }
}
