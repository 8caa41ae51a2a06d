//! The engine of both detectors: is the share of requests above some bound higher than it uses to be?
//!
//! For latency the bounds are those of the histogram, for errors there is one bound between success and failure. Six
//! windows of different length are compared with the baseline after each interval; an anomaly opens when in one of them
//! the excess is beyond chance (and beyond the route's own noise), large enough to matter, and spread over time. It closes
//! when a recent stretch speaks for the baseline and against the share that opened it.

use serde::{Deserialize, Serialize};

use crate::{
    Ending, Pace, Phase,
    baseline::Baseline,
    evidence::{Odds, surprise, term},
    history::{Block, History, WINDOWS},
    interval::MAX_WIDTH,
};

/// The extra caution about a young baseline fades within this many seconds after the warm-up.
const YOUTH_SECONDS: f64 = 600.0;
/// Scores above this part of the opening score slow learning down, by the factor below: what may be the beginning of an
/// anomaly should not become normal, and what stays should not be strange for ever.
const SUSPICION: f64 = 0.6;
const SUSPICION_WEIGHT: f64 = 0.25;
/// Noise is learnt around the baseline's share. Nearer to one half the same disturbance swings a share more; this much more
/// is allowed for, so that the noise of a thin tail cannot explain away everything.
const NOISE_SWING: f64 = 4.0;
/// Excess must show in this part of the time in which it would show if it were spread evenly.
const EVENNESS: f64 = 0.5;
/// Evidence that closes an anomaly, in nats: 150 to 1 for the baseline.
const CLEAR_EVIDENCE: f64 = 5.0;
/// A stretch with a tail beyond this score is not calm, whatever the tail that opened the anomaly says.
const CLEAR_SCORE: f64 = 3.0;
/// The share of the largest excess that the reported bound must have.
const TELLING: f64 = 0.8;

/// What opens an anomaly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) pace: &'a Pace,
    pub(crate) min_score: f64,
    pub(crate) min_excess: f64,
    pub(crate) min_share: f64,
    pub(crate) min_share_seconds: f64,
    pub(crate) young_share: f64,
    /// Share that is normal even where the baseline has less.
    pub(crate) objective: f64,
}

/// One interval as tail counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) tails: &'a [u64],
    pub(crate) spent: f64,
    pub(crate) seconds: f64,
    pub(crate) reset: bool,
}

/// All that is known about one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tracker {
    warm: bool,
    baseline: Baseline,
    history: History,
    /// Seconds of cold caches left after a restart.
    grace: f64,
    /// Seconds since the last request.
    idle: f64,
    /// The last score was high enough to be the beginning of an anomaly.
    suspicious: bool,
    episode: Option<Episode>,
}

/// An open anomaly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Tail counts since the onset.
    pub(crate) tails: Vec<u64>,
    /// Seconds that the requests since the onset took together.
    pub(crate) spent: f64,
    /// Seconds since the onset.
    pub(crate) seconds: f64,
    /// The tail whose excess opened it, and its share then.
    tail: usize,
    share: f64,
}

/// What an interval led to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) score: f64,
    /// Why the episode ended, if this interval ended it.
    pub(crate) ended: Option<Ending>,
}

/// The strongest evidence of one look at the windows.
#[derive(Clone, Copy, Debug)]
struct Finding {
    tail: usize,
    share: f64,
}

impl Tracker {
    pub(crate) fn new(width: usize) -> Self {
        Self { baseline: Baseline::new(width), history: History::new(width), ..Self::default() }
    }

    pub(crate) fn phase(&self) -> Phase {
        match (self.warm, &self.episode) {
            (false, _) => Phase::WarmingUp,
            (true, None) => Phase::Calm,
            (true, Some(_)) => Phase::Anomalous,
        }
    }

    pub(crate) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    pub(crate) fn episode(&self) -> Option<&Episode> {
        self.episode.as_ref()
    }

    /// Takes in an interval. `matters` is asked about an excess that has passed all rules: given the
    /// tail counts of the window, the tail, and how young the baseline is (1 to 0), is the change worth an alarm?
    pub(crate) fn observe(
        &mut self,
        sample: &Sample<'_>,
        rules: &Rules<'_>,
        matters: impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> Outcome {
        let requests = sample.tails.first().copied().unwrap_or(0);
        if sample.reset {
            self.grace = rules.pace.restart_grace_seconds.max(0.0);
            self.history.clear();
        }
        self.idle = if requests == 0 { self.idle + sample.seconds } else { 0.0 };
        let expired = self.expire(sample.seconds, rules.pace);
        let was_open = self.episode.is_some();
        let score = self.take_in(sample, requests, rules, matters);
        let recovered = (was_open && self.episode.is_none()).then_some(Ending::Recovered);
        Outcome { score, ended: expired.or(recovered) }
    }

    /// Ends an episode that there is nothing more to learn about.
    fn expire(&mut self, seconds: f64, pace: &Pace) -> Option<Ending> {
        let episode = self.episode.as_mut()?;
        episode.seconds += seconds;
        if self.idle >= pace.idle_seconds {
            self.close();
            return Some(Ending::Idle { seconds: self.idle });
        }
        if episode.seconds >= pace.adopt_seconds {
            *self = Self::new(self.baseline.width());
            return Some(Ending::Adopted);
        }
        None
    }

    /// Learns from an interval or judges it, and returns the score.
    fn take_in(
        &mut self,
        sample: &Sample<'_>,
        requests: u64,
        rules: &Rules<'_>,
        matters: impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> f64 {
        if self.grace > 0.0 {
            if requests > 0 {
                self.grace -= sample.seconds;
            }
            return 0.0;
        }
        let mut tails = [0_u32; MAX_WIDTH];
        for (narrow, wide) in tails.iter_mut().zip(sample.tails) {
            *narrow = u32::try_from(*wide).unwrap_or(u32::MAX);
        }
        let tails = tails.get(..self.baseline.width()).unwrap_or_default();
        let block = Block { tails, spent: sample.spent, seconds: sample.seconds };
        if !self.warm {
            self.warm_up(block, rules.pace);
            return 0.0;
        }
        if let Some(episode) = &mut self.episode {
            for (sum, count) in episode.tails.iter_mut().zip(sample.tails) {
                *sum = sum.saturating_add(*count);
            }
            episode.spent += sample.spent;
        }
        self.history.add(block);
        self.judge(rules, matters)
    }

    /// The bound that tells an episode best: the highest that nearly as many extra requests exceed as any.
    pub(crate) fn telling_tail(&self, episode: &Episode, objective: f64) -> usize {
        let excess = |tail: usize| {
            let requests = *episode.tails.first()? as f64;
            Some(*episode.tails.get(tail)? as f64 - requests * self.baseline.share(tail).max(objective))
        };
        let most = (1..episode.tails.len()).filter_map(excess).fold(0.0, f64::max);
        (1..episode.tails.len())
            .rev()
            .find(|tail| excess(*tail).is_some_and(|excess| excess > 0.0 && excess >= TELLING * most))
            .unwrap_or(episode.tail)
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        let episode = self.episode.as_ref().is_none_or(|episode| {
            episode.tails.len() == width
                && (1..width).contains(&episode.tail)
                && episode.tails.is_sorted_by(|wide, narrow| wide >= narrow)
                && [episode.spent, episode.seconds, episode.share]
                    .iter()
                    .all(|value| value.is_finite() && *value >= 0.0)
        });
        self.baseline.width() == width
            && self.baseline.is_sound()
            && self.history.is_sound(width)
            && [self.grace, self.idle].iter().all(|value| value.is_finite())
            && episode
    }

    fn warm_up(&mut self, block: Block<'_>, pace: &Pace) {
        if block.tails.first().is_some_and(|requests| *requests > 0) {
            self.baseline.absorb(block, 1.0, pace.half_life_seconds);
        }
        self.warm =
            self.baseline.seconds() >= pace.warm_up_seconds && self.baseline.requests() >= pace.warm_up_requests;
    }

    fn judge(&mut self, rules: &Rules<'_>, matters: impl Fn(&Baseline, &[u64], usize, f64) -> bool) -> f64 {
        let calm = self.episode.is_none();
        let complete = self.history.is_block_complete();
        let (score, finding) = self.look(rules, calm && complete, &matters);
        self.suspicious = score >= SUSPICION * rules.min_score;
        if calm && complete {
            if let (Some(block), None) = (self.history.leaving(), finding) {
                self.baseline.absorb(block, self.learning_weight(), rules.pace.half_life_seconds);
            }
            self.baseline.end_noise_block(self.suspicious);
        }
        if let (true, Some(finding)) = (calm, finding) {
            self.open(finding, rules);
        } else if self.episode.is_some() && self.has_recovered(rules, &matters) {
            self.close();
            return score;
        }
        if complete {
            self.history.roll();
        }
        score
    }

    /// Compares every window with the baseline: the highest score, and the strongest excess that passes all rules.
    fn look(
        &mut self,
        rules: &Rules<'_>,
        learn_noise: bool,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> (f64, Option<Finding>) {
        let width = self.baseline.width();
        let learnt = self.baseline.count(0);
        let mut usual = [0.0; MAX_WIDTH];
        for (tail, share) in usual.iter_mut().enumerate().take(width) {
            *share = self.baseline.share(tail).max(rules.objective);
        }
        let mut window_tails = [0_u64; MAX_WIDTH];
        let mut window_seconds = 0.0;
        let mut window = 0;
        let (mut top, mut strongest) = (0.0_f64, None);
        let mut strongest_squared = rules.min_score * rules.min_score;
        let mut blocks = self.history.blocks().enumerate().peekable();
        while let Some((age, block)) = blocks.next() {
            window_seconds += block.seconds;
            for (sum, count) in window_tails.iter_mut().zip(block.tails) {
                *sum += u64::from(*count);
            }
            let ends = WINDOWS.get(window).is_some_and(|blocks| age + 1 == *blocks)
                || (window == 0 && blocks.peek().is_none());
            if !ends {
                continue;
            }
            // What a long window holds must have had time to show in the baseline too. The first window is always looked
            // at, or coarse intervals would see nothing for long.
            if window > 0 && window_seconds > self.baseline.seconds() {
                break;
            }
            let n = window_tails.first().copied().unwrap_or(0) as f64;
            // The baseline is an estimate too.
            let unsure = 1.0 + n / learnt.max(1.0);
            for tail in 1..width {
                let (Some(x), Some(usual)) = (window_tails.get(tail), usual.get(tail)) else { break };
                let x = *x as f64;
                let excess = x - n * usual;
                if excess < 1.0 && !learn_noise {
                    continue;
                }
                // Half a request of variance stands for what a baseline without any slow request has not seen yet.
                let variance = n * usual * (1.0 - usual) * unsure + 0.5;
                let noise = self.baseline.noise(window, tail);
                if learn_noise {
                    self.baseline.absorb_noise(window, tail, excess * excess / variance);
                }
                // The exact score takes logarithms; it is not needed where a normal approximation is far behind.
                if excess < 1.0 || 2.0 * excess * excess <= top * top * noise * variance {
                    continue;
                }
                let share = x / n;
                let swing = (share * (1.0 - share) / (usual * (1.0 - usual)).max(1e-6)).clamp(1.0, NOISE_SWING);
                let noise = 1.0 + (noise - 1.0) * swing;
                let squared = if usual * learnt > self.baseline.count(tail) {
                    2.0 * term(x, n, *usual)
                } else {
                    surprise(x, n, self.baseline.count(tail), learnt)
                } / noise;
                top = top.max(squared.sqrt());
                let passes = squared >= strongest_squared
                    && excess >= rules.min_excess
                    && excess / n >= self.required_share(rules).max(rules.min_share_seconds / window_seconds)
                    && self.lasts(age + 1, tail, *usual, excess / n, rules.pace.persistence_seconds)
                    && matters(&self.baseline, window_tails.get(..width).unwrap_or_default(), tail, self.youth(rules));
                if passes {
                    strongest_squared = squared;
                    strongest = Some(Finding { tail, share: x / n });
                }
            }
            window += 1;
        }
        (top, strongest)
    }

    fn open(&mut self, finding: Finding, rules: &Rules<'_>) {
        self.baseline.forget_recent_noise();
        let Finding { tail, share } = finding;
        let usual = self.baseline.share(tail).max(rules.objective);
        // The most likely change point given the share after it. The window's share is diluted by what came before the
        // change, so the share behind the first estimate serves for a second.
        let (_, behind) = self.change_point(tail, Odds::new(usual, share));
        let share = share.max(behind);
        let (onset, _) = self.change_point(tail, Odds::new(usual, share));
        let mut episode = Episode { tails: vec![0; self.baseline.width()], spent: 0.0, seconds: 0.0, tail, share };
        for block in self.history.blocks().take(onset) {
            for (sum, count) in episode.tails.iter_mut().zip(block.tails) {
                *sum = sum.saturating_add(u64::from(*count));
            }
            episode.spent += block.spent;
            episode.seconds += block.seconds;
        }
        self.episode = Some(episode);
    }

    /// How many of the newest blocks lie behind the most likely change, at least one, and their share above the bound.
    fn change_point(&self, tail: usize, odds: Odds) -> (usize, f64) {
        let (mut x, mut n) = (0.0, 0.0);
        let mut best = (f64::NEG_INFINITY, 1, 0.0);
        for (age, block) in self.history.blocks().enumerate() {
            x += f64::from(block.tails.get(tail).copied().unwrap_or(0));
            n += f64::from(block.tails.first().copied().unwrap_or(0));
            let evidence = odds.weigh(x, n);
            if n > 0.0 && evidence > best.0 {
                best = (evidence, age + 1, x / n);
            }
        }
        (best.1, best.2)
    }

    /// Whether the excess of a window shows in enough of its blocks: in each at least half as strong as in all of them
    /// together, and one request. One pause, however long the queue behind it, fills one block or two.
    fn lasts(&self, blocks: usize, tail: usize, usual: f64, excess_share: f64, persistence_seconds: f64) -> bool {
        if persistence_seconds <= 0.0 {
            return true;
        }
        let (mut shown, mut seconds, mut expected) = (0, 0.0, 0.0);
        for block in self.history.blocks().take(blocks) {
            let requests = f64::from(block.tails.first().copied().unwrap_or(0));
            let above = f64::from(block.tails.get(tail).copied().unwrap_or(0));
            if above - requests * usual >= (0.5 * excess_share * requests).max(1.0) {
                shown += 1;
                seconds += block.seconds;
            }
            expected += block.seconds * (1.0 - (-excess_share * requests).exp());
        }
        shown >= 2 && seconds >= persistence_seconds.max(expected * EVENNESS)
    }

    /// Whether some stretch since the onset, long enough and up to now, speaks for the baseline and shows no other excess.
    fn has_recovered(&self, rules: &Rules<'_>, matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool) -> bool {
        let Some(episode) = &self.episode else { return false };
        let odds = Odds::new(self.baseline.share(episode.tail).max(rules.objective), episode.share);
        let mut tails = [0_u64; MAX_WIDTH];
        let mut seconds = 0.0;
        for block in self.history.blocks() {
            seconds += block.seconds;
            if seconds > episode.seconds {
                break;
            }
            for (sum, count) in tails.iter_mut().zip(block.tails) {
                *sum += u64::from(*count);
            }
            let n = tails.first().copied().unwrap_or(0) as f64;
            let x = tails.get(episode.tail).copied().unwrap_or(0) as f64;
            if seconds >= rules.pace.clear_seconds
                && odds.weigh(x, n) <= -CLEAR_EVIDENCE
                && !self.is_elevated(tails.get(..self.baseline.width()).unwrap_or_default(), rules, matters)
            {
                return true;
            }
        }
        false
    }

    fn is_elevated(
        &self,
        tails: &[u64],
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> bool {
        let n = tails.first().copied().unwrap_or(0) as f64;
        tails.iter().enumerate().skip(1).any(|(tail, x)| {
            let x = *x as f64;
            let excess = x - n * self.baseline.share(tail).max(rules.objective);
            excess >= rules.min_excess.min(3.0)
                && excess >= n * self.required_share(rules)
                && surprise(x, n, self.baseline.count(tail), self.baseline.count(0))
                    >= CLEAR_SCORE * CLEAR_SCORE * self.baseline.noise(0, tail)
                && matters(&self.baseline, tails, tail, self.youth(rules))
        })
    }

    fn close(&mut self) {
        self.episode = None;
        // What the anomaly left in the windows must not open it again.
        self.history.clear();
    }

    fn learning_weight(&self) -> f64 {
        if self.suspicious { SUSPICION_WEIGHT } else { 1.0 }
    }

    /// The excess share that matters at the baseline's age.
    fn required_share(&self, rules: &Rules<'_>) -> f64 {
        rules.min_share + rules.young_share * self.youth(rules)
    }

    /// 1 at the end of the warm-up, 0 for a grown baseline.
    fn youth(&self, rules: &Rules<'_>) -> f64 {
        (1.0 - (self.baseline.seconds() - rules.pace.warm_up_seconds) / YOUTH_SECONDS).clamp(0.0, 1.0)
    }
}
