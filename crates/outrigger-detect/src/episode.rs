//! An open anomaly: when it began, which bound tells it best, and when it is over.

use serde::{Deserialize, Serialize};

use crate::{
    baseline::Baseline,
    bursts::Storm,
    evidence::{Odds, surprise},
    history::Block,
    interval::MAX_WIDTH,
    tracker::{Finding, Rules, Tracker},
};

/// Evidence that closes an anomaly, in nats: 150 to 1 for the baseline.
const CLEAR_EVIDENCE: f64 = 5.0;
/// A stretch with a tail beyond this score is not calm, whatever the tail that opened the anomaly says.
const CLEAR_SCORE: f64 = 3.0;
/// An anomaly of pauses is over when none came for this many times the longest time between them.
const GAPS: f64 = 2.0;
/// The share of the largest excess that the reported bound must have.
const TELLING: f64 = 0.8;

/// An open anomaly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Tail counts since the onset.
    pub(crate) tails: Vec<u64>,
    /// Seconds that the requests since the onset took together.
    pub(crate) spent: f64,
    /// Seconds since the onset.
    pub(crate) seconds: f64,
    /// Seconds since it opened.
    #[serde(default)]
    pub(crate) lasted: f32,
    /// The tail whose excess opened it, and its share then.
    pub(crate) tail: u8,
    share: f32,
    /// The highest score.
    pub(crate) peak: f32,
    /// The longest time between the pauses that opened it, in seconds; 0 if it was not opened by pauses.
    #[serde(default)]
    gap: f32,
}

impl Episode {
    fn new(width: usize, Finding { tail, share }: Finding) -> Self {
        Self {
            tails: vec![0; width],
            spent: 0.0,
            seconds: 0.0,
            lasted: 0.0,
            // Below MAX_WIDTH.
            tail: u8::try_from(tail).unwrap_or(u8::MAX),
            share: share as f32,
            peak: 0.0,
            gap: 0.0,
        }
    }

    pub(crate) fn tail(&self) -> usize {
        usize::from(self.tail)
    }

    fn add(&mut self, block: Block<'_>) {
        for (sum, count) in self.tails.iter_mut().zip(block.tails) {
            *sum = sum.saturating_add(u64::from(*count));
        }
        self.spent += block.spent;
        self.seconds += block.seconds;
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.tails.len() == width
            && (1..width).contains(&self.tail())
            && self.tails.is_sorted_by(|wide, narrow| wide >= narrow)
            && [self.spent, self.seconds].iter().all(|value| value.is_finite() && *value >= 0.0)
            && [self.lasted, self.share, self.peak, self.gap].iter().all(|value| value.is_finite() && *value >= 0.0)
    }
}

impl Tracker {
    /// The bound that tells an episode best: the highest that nearly as many extra requests exceed as any.
    pub(crate) fn telling_tail(&self, episode: &Episode) -> usize {
        let excess = |tail: usize| {
            let requests = *episode.tails.first()? as f64;
            Some(*episode.tails.get(tail)? as f64 - requests * self.baseline.share(tail))
        };
        let most = (1..episode.tails.len()).filter_map(excess).fold(0.0, f64::max);
        (1..episode.tails.len())
            .rev()
            .find(|tail| excess(*tail).is_some_and(|excess| excess > 0.0 && excess >= TELLING * most))
            .unwrap_or(episode.tail())
    }

    pub(crate) fn open(&mut self, finding: Finding, score: f64) {
        self.noise.forget_recent();
        let Finding { tail, share } = finding;
        let usual = self.baseline.share(tail);
        // The most likely change point given the share after it. The window's share is diluted by what came before the
        // change, so the share behind the first estimate serves for a second.
        let (_, behind) = self.change_point(tail, Odds::new(usual, share));
        let share = share.max(behind);
        let (onset, _) = self.change_point(tail, Odds::new(usual, share));
        let mut episode = Episode::new(self.baseline.width(), Finding { tail, share });
        episode.peak = score as f32;
        for block in self.history.blocks().take(onset) {
            episode.add(block);
        }
        self.episode = Some(episode);
    }

    /// Opens a storm of pauses. What is calm between them does not end it.
    pub(crate) fn open_storm(&mut self, Storm { finding, score, gap }: Storm) {
        self.open(finding, score);
        if let Some(episode) = &mut self.episode {
            episode.gap = gap as f32;
        }
    }

    /// Opens a slow drift, told by a tail. It began before all that is kept block by block; the long-term memory's latest
    /// behaviour is the part of it that is known, at so many seconds to a request.
    pub(crate) fn open_drift(&mut self, tail: usize, mean: f64) {
        self.noise.forget_recent();
        let (recent, seconds) = self.long_term.recent();
        let mut episode =
            Episode::new(self.baseline.width(), Finding { tail, share: self.long_term.recent_share(tail) });
        for (sum, count) in episode.tails.iter_mut().zip(recent) {
            *sum = count.round() as u64;
        }
        episode.spent = episode.tails.first().copied().unwrap_or(0) as f64 * mean;
        episode.seconds = seconds;
        for block in self.history.staying() {
            episode.add(block);
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

    /// Whether some stretch since the onset, long enough and up to now, speaks for the baseline and shows no other excess.
    pub(crate) fn has_recovered(
        &self,
        rules: &Rules<'_>,
        matters: &impl Fn(&Baseline, &[u64], usize, f64) -> bool,
    ) -> bool {
        let Some(episode) = &self.episode else { return false };
        let tail = episode.tail();
        let odds = Odds::new(self.baseline.share(tail), episode.share.into());
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
            let x = tails.get(tail).copied().unwrap_or(0) as f64;
            if seconds >= rules.pace.clear_seconds.max(GAPS * f64::from(episode.gap))
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
            let excess = x - n * self.baseline.share(tail);
            excess >= rules.min_excess.min(3.0)
                && excess >= n * self.required_share(rules)
                && surprise(x, n, self.baseline.count(tail), self.baseline.count(0))
                    >= CLEAR_SCORE * CLEAR_SCORE * self.noise.factor(0, tail, n, self.baseline.share(tail))
                && matters(&self.baseline, tails, tail, self.caution(rules))
        })
    }

    pub(crate) fn close(&mut self) {
        self.episode = None;
        self.is_expected = false;
        // What the anomaly left in the windows must not open it again.
        self.history.clear();
        self.long_term.forget_recent();
    }
}
