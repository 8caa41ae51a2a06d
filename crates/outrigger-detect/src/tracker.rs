//! The engine of the latency detector: is the share of requests above some bound higher than it uses to be?
//!
//! The bounds are those of the histogram. Six windows of different length are compared with the baseline after each
//! interval; an anomaly opens when in one of them the excess is beyond chance (and beyond the route's own noise), large
//! enough to matter, and spread over time. It closes when a recent stretch speaks for the baseline and against the share
//! that opened it.

use serde::{Deserialize, Serialize};

use crate::{
    Ending, Pace, Phase,
    baseline::Baseline,
    bursts::Pauses,
    episode::Episode,
    history::{Block, History},
    interval::MAX_WIDTH,
    longterm::{LongTerm, level},
    noise::Noise,
    rhythm::Rhythm,
    sway::Sway,
};

/// Scores above this part of the opening score slow learning down, by the factor below: what may be the beginning of an
/// anomaly should not become normal, and what stays should not be strange for ever.
const SUSPICION: f64 = 0.6;
const SUSPICION_WEIGHT: f64 = 0.25;
/// A route that became faster by this much, as a logarithm, is learnt so many times faster.
const FASTER: f64 = 0.08;
const HASTE: f64 = 6.0;
/// An anomaly that never scored this high and ended by itself was the route's noise after all: it becomes known so that
/// the same scores this part of the opening score the next time.
const CRY_WOLF: f64 = 2.0;
const CRY_WOLF_PART: f64 = 0.8;
/// What became normal was told for this part of the time before, however long ago it began.
const TOLD_PART: f64 = 0.25;
/// A drift is judged at the bounds whose shares it raised by at least this part of its largest rise. All requests became slower
/// together, and certainly: it needs a smaller part of the shift that a sudden change has to make.
const DRIFT_PART: f64 = 0.1;
const DRIFT_CAUTION: f64 = 0.5;

/// What opens an anomaly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) pace: &'a Pace,
    pub(crate) min_score: f64,
    pub(crate) min_excess: f64,
    pub(crate) min_share: f64,
    pub(crate) min_share_seconds: f64,
    pub(crate) young_share: f64,
    /// Differences of the logarithms of latency between neighbouring buckets; none where slow change is not looked for.
    pub(crate) steps: &'a [f32],
    /// When the interval ended, in seconds since the epoch, if known.
    pub(crate) at: f64,
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
    pub(crate) baseline: Baseline,
    pub(crate) noise: Noise,
    pub(crate) sway: Sway,
    #[serde(default)]
    pub(crate) pauses: Pauses,
    pub(crate) history: History,
    pub(crate) long_term: LongTerm,
    /// Seconds of cold caches left after a restart.
    grace: f64,
    /// Seconds since the last request.
    idle: f64,
    /// The last score was high enough to be the beginning of an anomaly.
    pub(crate) suspicious: bool,
    pub(crate) episode: Option<Episode>,
    /// The episode comes by the clock, and is not told.
    #[serde(default)]
    pub(crate) is_expected: bool,
    #[serde(default)]
    rhythm: Rhythm,
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
pub(crate) struct Finding {
    pub(crate) tail: usize,
    pub(crate) share: f64,
}

impl Tracker {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            baseline: Baseline::new(width),
            noise: Noise::new(width),
            sway: Sway::new(width),
            pauses: Pauses::new(width),
            history: History::new(width),
            long_term: LongTerm::new(width),
            ..Self::default()
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match (self.warm, self.episode()) {
            (false, _) => Phase::WarmingUp,
            (true, None) => Phase::Calm,
            (true, Some(_)) => Phase::Anomalous,
        }
    }

    pub(crate) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The open episode, unless it is one that comes by the clock.
    pub(crate) fn episode(&self) -> Option<&Episode> {
        self.episode.as_ref().filter(|_| !self.is_expected)
    }

    /// An episode is open that comes by the clock, and is not told.
    pub(crate) fn is_expected(&self) -> bool {
        self.is_expected
    }

    /// Takes in an interval. `matters` is asked about an excess that has passed all rules: given the tail counts of the window,
    /// the tail, and how many times the usual shift is asked for, is the change worth an alarm?
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
        let was_told = self.episode().is_some();
        let score = self.take_in(sample, requests, rules, matters);
        let recovered = (was_told && self.episode.is_none()).then_some(Ending::Recovered);
        Outcome { score, ended: expired.or(recovered) }
    }

    /// Ends an episode that there is nothing more to learn about.
    fn expire(&mut self, seconds: f64, pace: &Pace) -> Option<Ending> {
        let episode = self.episode.as_mut()?;
        episode.seconds += seconds;
        episode.lasted += seconds as f32;
        let lasted = f64::from(episode.lasted);
        let gap = self.baseline.seconds() / self.baseline.requests().max(1) as f64;
        if self.idle >= pace.idle_limit(gap) {
            let was_told = !self.is_expected;
            self.close();
            return was_told.then_some(Ending::Idle { seconds: self.idle });
        }
        if episode.seconds >= pace.adopt_seconds && lasted >= pace.adopt_seconds * TOLD_PART {
            *self = Self { rhythm: self.rhythm, ..Self::new(self.baseline.width()) };
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

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.baseline.is_sound(width)
            && self.noise.is_sound(width)
            && self.sway.is_sound(width)
            && self.pauses.is_sound(width)
            && self.long_term.is_sound(width)
            && self.history.is_sound(width)
            && self.rhythm.is_sound()
            && (self.episode.is_some() || !self.is_expected)
            && [self.grace, self.idle].iter().all(|value| value.is_finite())
            && self.episode.as_ref().is_none_or(|episode| episode.is_sound(width))
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
            if finding.is_none() {
                self.learn(rules);
            }
            self.noise.end_block(self.suspicious);
        }
        if !calm {
            if let Some(episode) = &mut self.episode {
                episode.peak = episode.peak.max(score as f32);
            }
            self.is_expected = self.is_expected && self.comes_by_the_clock(rules);
            if self.has_recovered(rules, &matters) {
                self.learn_from_end(rules);
                self.close();
                return score;
            }
        } else if let Some(finding) = finding {
            self.open(finding, score);
            self.is_expected = self.comes_by_the_clock(rules);
        } else if complete {
            if let Some(storm) = self.look_for_storm(rules, &matters) {
                self.open_storm(storm);
                self.is_expected = self.comes_by_the_clock(rules);
            } else {
                self.open_if_drifting(rules, &matters);
            }
        }
        if complete {
            self.history.roll();
        }
        score
    }

    /// Learns from the block that is old enough to be trusted.
    fn learn(&mut self, rules: &Rules<'_>) {
        let haste = if self.is_faster(rules) { HASTE } else { 1.0 };
        let weight = self.learning_weight();
        let Some(block) = self.history.leaving() else { return };
        self.baseline.absorb(block, weight, rules.pace.half_life_seconds / haste);
        if rules.steps.is_empty() {
            return;
        }
        self.long_term.follow(block);
        if !self.suspicious {
            self.long_term.learn(block, rules.at, haste);
        }
    }

    /// Whether the open episode is one that comes by the clock, and no worse than it uses to be. What lasts long enough to
    /// become normal is told before.
    fn comes_by_the_clock(&self, rules: &Rules<'_>) -> bool {
        let Some(episode) = &self.episode else { return false };
        let (began, rise) = (rules.at - episode.seconds, self.rise(episode, rules));
        self.rhythm.expects(began, episode.seconds, rise, rules.pace.adopt_seconds / 2.0)
    }

    /// By how much the mean logarithm of latency rose.
    fn rise(&self, episode: &Episode, rules: &Rules<'_>) -> f64 {
        let mut tails = [0.0; MAX_WIDTH];
        for (wide, count) in tails.iter_mut().zip(&episode.tails) {
            *wide = *count as f64;
        }
        let tails = tails.get(..episode.tails.len()).unwrap_or_default();
        level(tails, rules.steps) - level(self.baseline.tails(), rules.steps)
    }

    /// An anomaly that ended by itself teaches when it came, a weak one noise as well.
    fn learn_from_end(&mut self, rules: &Rules<'_>) {
        let Some(episode) = &self.episode else { return };
        let (tail, peak) = (episode.tail(), f64::from(episode.peak));
        let (began, rise) = (rules.at - episode.seconds, self.rise(episode, rules));
        self.rhythm.remember(began, episode.seconds, rise, !self.is_expected);
        if peak > 0.0 && peak < CRY_WOLF * rules.min_score && !rules.steps.is_empty() {
            let times = (peak / (rules.min_score * CRY_WOLF_PART)).powi(2).max(1.0);
            self.noise.raise(tail, times, self.baseline.share(tail));
        }
    }

    /// Opens an anomaly if the route has slowly become slower. The baseline has followed it, so that of earlier takes over.
    fn open_if_drifting(&mut self, rules: &Rules<'_>, matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool) {
        let Some(by_hour) = self.long_term.drift(rules.at, rules.steps) else { return };
        let width = self.baseline.width();
        let mut reference = [0.0; MAX_WIDTH];
        self.long_term.reference(rules.at, by_hour, &mut reference);
        let reference = reference.get(..width).unwrap_or_default();
        let mut followed = [0.0; MAX_WIDTH];
        for (own, tail) in followed.iter_mut().zip(self.baseline.tails()) {
            *own = *tail;
        }
        let followed = followed.get(..width).unwrap_or_default();
        // The mean followed the drift as the shares did.
        let mean = self.baseline.mean();
        let times = (level(reference, rules.steps) - level(followed, rules.steps)).exp();
        self.baseline.replace(reference, mean * times);
        let Some(tail) = self.drifting_tail(rules, matters) else {
            self.baseline.replace(followed, mean);
            return;
        };
        let times = (self.long_term.recent_level(rules.steps) - level(reference, rules.steps)).exp();
        self.open_drift(tail, self.baseline.mean() * times);
    }

    /// The bound whose share the drift raised most, if it matters there or at one that it raised nearly as much.
    fn drifting_tail(
        &self,
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> Option<usize> {
        let width = self.baseline.width();
        let rise = |tail: usize| self.long_term.recent_share(tail) - self.baseline.share(tail);
        let most = (1..width).max_by(|a, b| rise(*a).total_cmp(&rise(*b)))?;
        let (recent, _) = self.long_term.recent();
        let requests = f64::from(recent.first().copied().unwrap_or(0.0));
        let mut tails = [0_u64; MAX_WIDTH];
        for (tail, count) in tails.iter_mut().zip(recent) {
            *tail = count.round() as u64;
        }
        let tails = tails.get(..width).unwrap_or_default();
        let is_worth = |tail: usize| {
            rise(tail) >= DRIFT_PART * rise(most)
                && rise(tail) * requests >= rules.min_excess
                && matters(&self.baseline, tails, tail, DRIFT_CAUTION * self.caution(rules))
        };
        (1..width).any(is_worth).then_some(most)
    }

    /// The route is on its way to a new, faster level.
    pub(crate) fn is_faster(&self, rules: &Rules<'_>) -> bool {
        self.long_term.rise_over(self.baseline.tails(), rules.steps) < -FASTER
    }

    pub(crate) fn learning_weight(&self) -> f64 {
        if self.suspicious { SUSPICION_WEIGHT } else { 1.0 }
    }
}
