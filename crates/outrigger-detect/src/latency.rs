//! Latency of a route against its own baseline.

use crate::{
    Distribution, Ending, Interval, LatencySettings, LatencyShift, Quantiles, Shift, State, StateError, Verdict,
    baseline::Baseline,
    episode::Episode,
    interval::{MAX_WIDTH, elapsed},
    longterm::log_steps,
    quantile::interpolate,
    tracker::{Outcome, Rules, Sample, Tracker},
};

/// Finds routes that became slower than they use to be. One detector watches one route.
///
/// When the bucket bounds change, the detector warms up again: counts of different buckets do not compare.
#[derive(Clone, Debug)]
pub struct LatencyDetector {
    settings: LatencySettings,
    bounds: Vec<f64>,
    /// See [`log_steps`].
    steps: Vec<f32>,
    tracker: Tracker,
}

impl LatencyDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: LatencySettings) -> Self {
        Self { settings, bounds: Vec::new(), steps: Vec::new(), tracker: Tracker::new(1) }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to an error detector, or is damaged.
    pub fn restore(settings: LatencySettings, state: State) -> Result<Self, StateError> {
        let (bounds, tracker) = state.open_latency()?;
        let mut steps = vec![0.0; bounds.len()];
        log_steps(&bounds, &mut steps);
        Ok(Self { settings, bounds, steps, tracker })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &LatencySettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> State {
        State::of_latency(self.bounds.clone(), self.tracker.clone())
    }

    /// Takes in one interval and answers where the route stands.
    pub fn observe(&mut self, interval: &Interval<'_>) -> Verdict {
        if !interval.is_readable() {
            return self.verdict(Outcome::default());
        }
        let mut ended = None;
        if self.bounds != interval.bounds {
            ended = self.tracker.episode().map(|_| Ending::Adopted);
            self.bounds.clear();
            self.bounds.extend_from_slice(interval.bounds);
            self.steps.resize(interval.bounds.len(), 0.0);
            log_steps(interval.bounds, &mut self.steps);
            self.tracker = Tracker::new(interval.bounds.len() + 1);
        }
        let mut tails = [0; MAX_WIDTH];
        let mut above = 0_u64;
        for (tail, count) in tails.iter_mut().take(interval.delta.len()).rev().zip(interval.delta.iter().rev()) {
            above = above.saturating_add(*count);
            *tail = above;
        }
        let sample = Sample {
            tails: tails.get(..interval.delta.len()).unwrap_or_default(),
            spent: interval.spent(),
            seconds: elapsed(interval.seconds),
            reset: interval.reset,
        };
        let LatencySettings { pace, min_score, min_share, min_share_seconds, young_share, .. } = self.settings;
        let rules = Rules {
            pace: &pace,
            min_score,
            min_excess: self.settings.min_requests as f64,
            min_share,
            min_share_seconds,
            young_share,
            steps: self.steps.as_slice(),
            at: interval.at,
        };
        let (bounds, settings) = (&self.bounds, &self.settings);
        let outcome = self.tracker.observe(&sample, &rules, |baseline, window, tail, caution| {
            let ratio = settings.min_shift_ratio * caution;
            displacement(bounds, baseline, window, tail)
                .is_some_and(|(before, during)| during - before >= settings.min_shift_seconds.max(ratio * before))
        });
        self.verdict(Outcome { ended: ended.or(outcome.ended), ..outcome })
    }

    fn verdict(&self, Outcome { score, ended }: Outcome) -> Verdict {
        let shift = self.tracker.episode().map(|episode| Shift::Latency(self.shift(episode)));
        Verdict { phase: self.tracker.phase(), score, shift, ended }
    }

    /// The route is worse than usual now, as it regularly is at this time, and no worse than then: after three anomalies in the
    /// same rhythm, of half an hour or more, the next ones are not told.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.tracker.is_expected()
    }

    /// How the requests of the baseline and those since the onset spread over the buckets; `None` unless the route is
    /// anomalous, or while either has no requests.
    #[must_use]
    pub fn distribution(&self) -> Option<Distribution> {
        let episode = self.tracker.episode()?;
        let baseline = self.tracker.baseline();
        let shares = |tail: &dyn Fn(usize) -> f64| -> Option<Vec<f64>> {
            let all = Some(tail(0)).filter(|all| *all > 0.0 && all.is_finite())?;
            let below = |bucket: usize| if bucket < self.bounds.len() { tail(bucket + 1) } else { 0.0 };
            Some((0..=self.bounds.len()).map(|bucket| ((tail(bucket) - below(bucket)) / all).max(0.0)).collect())
        };
        let before = shares(&|tail| baseline.count(tail))?;
        let during = shares(&|tail| episode.tails.get(tail).map_or(0.0, |count| *count as f64))?;
        Some(Distribution { bounds: self.bounds.clone(), before, during })
    }

    fn shift(&self, episode: &Episode) -> LatencyShift {
        let baseline = self.tracker.baseline();
        let tail = self.tracker.telling_tail(episode);
        let requests = episode.tails.first().copied().unwrap_or(0);
        let above = episode.tails.get(tail).copied().unwrap_or(0) as f64;
        let share_before = baseline.share(tail);
        let during =
            |q| tail_quantile(&self.bounds, |tail| episode.tails.get(tail).map_or(0.0, |count| *count as f64), q);
        let before = |q| tail_quantile(&self.bounds, |tail| baseline.count(tail), q);
        LatencyShift {
            onset_seconds_ago: episode.seconds,
            before: Quantiles { p50: before(0.5), p95: before(0.95), p99: before(0.99) },
            during: Quantiles { p50: during(0.5), p95: during(0.95), p99: during(0.99) },
            bound: self.bounds.get(tail.saturating_sub(1)).copied().unwrap_or(0.0),
            share_before,
            share_during: if requests > 0 { above / requests as f64 } else { 0.0 },
            requests,
            // Floating point rounds huge counts, and may round them up.
            affected: ((above - requests as f64 * share_before).round().max(0.0) as u64).min(requests),
            added_seconds: (episode.spent - requests as f64 * baseline.mean()).max(0.0),
        }
    }
}

/// How far the requests that moved across a bound moved: before and during, the quantile in the middle of those displaced.
fn displacement(bounds: &[f64], baseline: &Baseline, window: &[u64], tail: usize) -> Option<(f64, f64)> {
    let share_during = *window.get(tail)? as f64 / *window.first()? as f64;
    let middle = f64::midpoint(baseline.share(tail), share_during);
    let before = exceeded_by(bounds, |tail| baseline.count(tail), middle)?;
    let during = exceeded_by(bounds, |tail| window.get(tail).map_or(0.0, |count| *count as f64), middle)?;
    Some((before, during))
}

/// The time that a share of the requests takes longer than, interpolated on its logarithm: where a bound lies on the flank
/// of a distribution, most requests beyond it are just beyond, and a straight line would see them far off.
fn exceeded_by(bounds: &[f64], tails: impl Fn(usize) -> f64, share: f64) -> Option<f64> {
    let all = tails(0);
    let at = |tail: usize| (tails(tail) / all).max(0.5 / all).min(1.0);
    let bucket = (0..bounds.len()).find(|bucket| at(bucket + 1) <= share).unwrap_or(bounds.len());
    // The first bucket begins somewhere, and the last ends somewhere: a factor of two is as good as any.
    let lower = bucket.checked_sub(1).and_then(|below| bounds.get(below)).copied();
    let upper = bounds.get(bucket).copied();
    let (lower, upper) = match (lower, upper) {
        (Some(lower), Some(upper)) => (lower, upper),
        (Some(lower), None) => (lower, 2.0 * lower),
        (None, Some(upper)) => (upper / 2.0, upper),
        (None, None) => return None,
    };
    let (most, least) = (at(bucket), if bucket < bounds.len() { at(bucket + 1) } else { 0.5 / all });
    let (most, least) = (most.max(share), least.min(share));
    // Requests crowd towards the lower bound on a flank and lie evenly in a body: half of each.
    let way = if most > least {
        f64::midpoint((most / share).ln() / (most / least).ln(), (most - share) / (most - least))
    } else {
        1.0
    };
    let found = if lower > 0.0 { lower * (upper / lower).powf(way) } else { lower + (upper - lower) * way };
    found.is_finite().then_some(found)
}

/// A quantile of tail counts; 0 where there is none.
fn tail_quantile(bounds: &[f64], tails: impl Fn(usize) -> f64, q: f64) -> f64 {
    let counts =
        (0..=bounds.len()).map(|tail| (tails(tail) - if tail < bounds.len() { tails(tail + 1) } else { 0.0 }).max(0.0));
    interpolate(bounds, counts, tails(0), q).unwrap_or(0.0)
}
