//! Looks for an excess: every window against the baseline, bound by bound.

use crate::{
    baseline::Baseline,
    evidence::{surprise, term},
    history::WINDOWS,
    interval::MAX_WIDTH,
    sway::Ranks,
    tracker::{Finding, Rules, Tracker},
};

/// The extra caution about a young baseline fades within this many seconds after the warm-up.
const YOUTH_SECONDS: f64 = 600.0;
/// Noise is learnt around the baseline's share. Nearer to one half the same disturbance swings a share more; this much more
/// is allowed for, so that the noise of a thin tail cannot explain away everything.
const NOISE_SWING: f64 = 4.0;
/// Excess must show in this part of the time in which it would show if it were spread evenly; in more of a short window,
/// where a few pauses in quick succession are most of what there is.
const EVENNESS: f64 = 0.5;
const SHORT_EVENNESS: f64 = 0.6;
const SHORT_SECONDS: f64 = 30.0;
/// A short window needs so many times the score: there are more of them.
const SHORT_SCORE: f64 = 1.2;
/// Where most requests are faster than usual, a sway has the share above a bound expected to fall; so much of an excess must
/// be over the share that is usual, all the same.
const OWN_PART: f64 = 0.7;
/// A bound that more of the usual requests exceed is not judged: where it matters, it shows at the next one.
const MOST_USUAL: f64 = 0.6;
/// What a window that may be the beginning of an anomaly says about noise counts this much.
const SUSPICION_NOISE: f64 = 0.25;
/// The window that the sway is learnt from.
const SWAY_WINDOW: usize = 2;
/// A sway lasts minutes: of what a longer window shows it explains only the part that these seconds are.
const SWAY_SECONDS: f64 = 300.0;

/// One window as tail counts.
struct Window<'a> {
    index: usize,
    blocks: usize,
    tails: &'a [u64],
    requests: f64,
    seconds: f64,
}

/// What the windows are compared with.
struct Usual<'a> {
    shares: &'a [f64],
    /// Ranks of the buckets; none where requests have no pace in common.
    ranks: Option<Ranks>,
    /// What the windows say is learnt.
    learn: bool,
}

/// The strongest of what was seen.
#[derive(Default)]
struct Strongest {
    score: f64,
    /// The squared score of the finding.
    squared: f64,
    finding: Option<Finding>,
}

impl Tracker {
    /// Compares every window with the baseline: the highest score, and the strongest excess that passes all rules.
    pub(crate) fn look(
        &mut self,
        rules: &Rules<'_>,
        learn: bool,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> (f64, Option<Finding>) {
        let width = self.baseline.width();
        let mut shares = [0.0; MAX_WIDTH];
        for (tail, share) in shares.iter_mut().enumerate().take(width) {
            *share = self.baseline.share(tail);
        }
        let shares = shares.get(..width).unwrap_or_default();
        let ranks = (!rules.steps.is_empty()).then(|| Ranks::new(shares));
        // While the baseline is on its way to a faster service, its distance is no noise.
        let usual = Usual { shares, ranks, learn: learn && !self.is_faster(rules) };
        let mut strongest = Strongest { squared: rules.min_score * rules.min_score, ..Strongest::default() };
        let mut tails = [0_u64; MAX_WIDTH];
        let mut seconds = 0.0;
        let mut index = 0;
        let blocks = self.history.len();
        for age in 0..blocks {
            let Some(block) = self.history.block(age) else { break };
            seconds += block.seconds;
            for (sum, count) in tails.iter_mut().zip(block.tails) {
                *sum += u64::from(*count);
            }
            let ends = WINDOWS.get(index).is_some_and(|blocks| age + 1 == *blocks) || (index == 0 && age + 1 == blocks);
            if !ends {
                continue;
            }
            // What a long window holds must have had time to show in the baseline too. The first window is always looked
            // at, or coarse intervals would see nothing for long.
            if index > 0 && seconds > self.baseline.seconds() {
                break;
            }
            let tails = tails.get(..width).unwrap_or_default();
            let requests = tails.first().copied().unwrap_or(0) as f64;
            if requests > 0.0 {
                let window = Window { index, blocks: age + 1, tails, requests, seconds };
                self.compare(&window, &usual, rules, matters, &mut strongest);
            }
            index += 1;
        }
        (strongest.score, strongest.finding)
    }

    /// Compares one window with the usual.
    fn compare(
        &mut self,
        window: &Window<'_>,
        usual: &Usual<'_>,
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
        strongest: &mut Strongest,
    ) {
        let Window { index, tails, requests, .. } = *window;
        if usual.learn {
            self.noise.absorb_requests(index, requests);
        }
        let sway = usual.ranks.as_ref().map_or(0.0, |ranks| {
            if usual.learn && index == SWAY_WINDOW {
                self.sway.learn(ranks, usual.shares, tails, requests, self.learning_weight());
            }
            self.sway.of(ranks, tails, requests) * (SWAY_SECONDS / window.seconds.max(1.0)).min(1.0)
        });
        let short = if window.seconds < SHORT_SECONDS && usual.ranks.is_some() { SHORT_SCORE } else { 1.0 };
        let learnt = self.baseline.count(0).max(1.0);
        // The baseline is an estimate too.
        let unsure = 1.0 + requests / learnt;
        for (tail, (count, share)) in tails.iter().zip(usual.shares).enumerate().skip(1) {
            if usual.ranks.is_some() && *share > MOST_USUAL {
                continue;
            }
            let expected = if usual.ranks.is_some() { self.sway.explain(sway, tail, *share) } else { *share };
            let count = *count as f64;
            let excess = count - requests * expected;
            if excess < 1.0 && !usual.learn {
                continue;
            }
            // Half a request of variance stands for what a baseline without any slow request has not seen yet.
            let variance = requests * expected * (1.0 - expected) * unsure + 0.5;
            let noise = self.noise.factor(index, tail, requests, expected);
            if usual.learn {
                let squared = excess * excess / variance;
                let is_suspect = self.suspicious && excess > 0.0;
                let squared = if is_suspect { 1.0 + (squared - 1.0) * SUSPICION_NOISE } else { squared };
                self.noise.absorb(index, tail, squared, noise);
            }
            // The exact score takes logarithms; it is not needed where a normal approximation is far behind.
            if excess < 1.0 || 2.0 * excess * excess <= strongest.score * strongest.score * noise * variance {
                continue;
            }
            let during = count / requests;
            let swing = during * (1.0 - during) / (expected * (1.0 - expected)).max(1e-6);
            let noise = 1.0 + (noise - 1.0) * swing.clamp(1.0, NOISE_SWING);
            let surprise = if expected * learnt > self.baseline.count(tail) {
                2.0 * term(count, requests, expected)
            } else {
                surprise(count, requests, learnt * expected, learnt)
            };
            let squared = surprise / noise;
            strongest.score = strongest.score.max(squared.sqrt());
            let passes = squared >= strongest.squared
                && squared >= short * short * rules.min_score * rules.min_score
                && excess >= rules.min_excess
                && excess / requests >= self.required_share(rules).max(rules.min_share_seconds / window.seconds)
                && during - *share >= OWN_PART * (excess / requests)
                && self.lasts(window.blocks, tail, expected, excess / requests, rules.pace.persistence_seconds)
                && matters(&self.baseline, tails, tail, self.caution(rules));
            if passes {
                strongest.squared = squared;
                strongest.finding = Some(Finding { tail, share: during });
            }
        }
    }

    /// Whether the excess of a window shows in enough of its blocks: in each at least half as strong as in all of them
    /// together, and one request. One pause, however long the queue behind it, fills one block or two.
    fn lasts(&self, blocks: usize, tail: usize, usual: f64, excess_share: f64, persistence_seconds: f64) -> bool {
        if persistence_seconds <= 0.0 {
            return true;
        }
        let (mut shown, mut seconds, mut expected, mut length) = (0, 0.0, 0.0, 0.0);
        for block in self.history.blocks().take(blocks) {
            let requests = f64::from(block.tails.first().copied().unwrap_or(0));
            let above = f64::from(block.tails.get(tail).copied().unwrap_or(0));
            if above - requests * usual >= (0.5 * excess_share * requests).max(1.0) {
                shown += 1;
                seconds += block.seconds;
            }
            length += block.seconds;
            expected += block.seconds * (1.0 - (-excess_share * requests).exp());
        }
        let evenness = if length < SHORT_SECONDS { SHORT_EVENNESS } else { EVENNESS };
        shown >= 2 && seconds >= persistence_seconds.max(expected * evenness)
    }

    /// The excess share that matters at the baseline's age.
    pub(crate) fn required_share(&self, rules: &Rules<'_>) -> f64 {
        rules.min_share + rules.young_share * self.youth(rules)
    }

    /// How many times as much slower as usual requests must have become to matter: more for a young baseline.
    pub(crate) fn caution(&self, rules: &Rules<'_>) -> f64 {
        1.0 + self.youth(rules)
    }

    /// 1 at the end of the warm-up, 0 for a grown baseline.
    fn youth(&self, rules: &Rules<'_>) -> f64 {
        (1.0 - (self.baseline.seconds() - rules.pace.warm_up_seconds) / YOUTH_SECONDS).clamp(0.0, 1.0)
    }
}
