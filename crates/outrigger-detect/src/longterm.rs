//! What a route was like half a day ago, and at this hour of earlier days: the reference for changes so slow that the
//! baseline follows them.

use serde::{Deserialize, Serialize};

use crate::{history::Block, interval::MAX_WIDTH};

/// Half-life of the latest behaviour, in seconds.
const RECENT_HALF_LIFE: f64 = 900.0;
/// Half-life of the slow reference, in seconds.
const SLOW_HALF_LIFE: f64 = 43_200.0;
/// Nothing is said before the slow reference is so old, in seconds.
const SLOW_AGE: f64 = 3.0 * 3600.0;
/// Requests that the latest behaviour and the references must hold.
const RECENT_REQUESTS: f64 = 60.0;
const REFERENCE_REQUESTS: f64 = 200.0;
/// The rise of the mean logarithm of latency that is a drift, where no day has been seen, and where one has.
const RISE: f64 = 0.25;
const RISE_WITH_HOURS: f64 = 0.17;
/// And the rise in standard errors.
const CERTAINTY: f64 = 5.0;
/// Parts of a day, each with its own memory, and their length in seconds.
const HOURS: usize = 12;
const HOUR_SECONDS: f64 = 7200.0;
/// A new day counts this much against all days before.
const NEW_DAY: f32 = 0.5;

/// Latency over days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LongTerm {
    /// Decayed tail counts, as in [`Block::tails`].
    recent: Vec<f32>,
    slow: Vec<f32>,
    /// Time that the slow reference was learnt in.
    seconds: f64,
    hours: Hours,
}

impl LongTerm {
    pub(crate) fn new(width: usize) -> Self {
        Self { recent: vec![0.0; width], slow: vec![0.0; width], seconds: 0.0, hours: Hours::new(width) }
    }

    /// Takes a block into the latest behaviour.
    pub(crate) fn follow(&mut self, block: Block<'_>) {
        let half_life = half_life_for(&self.recent, RECENT_HALF_LIFE, RECENT_REQUESTS * 4.0);
        decay(&mut self.recent, block, half_life);
    }

    /// Takes a block into the references. `haste` above 1 forgets faster.
    pub(crate) fn learn(&mut self, block: Block<'_>, at: f64, haste: f64) {
        let half_life = SLOW_HALF_LIFE.min(self.seconds.max(3600.0)) / haste;
        decay(&mut self.slow, block, half_life);
        self.seconds += block.seconds;
        self.hours.learn(block, at);
    }

    /// Whether the latest behaviour is so far above the references that it matters; if so, whether the hour of day is the
    /// one that it was measured by.
    pub(crate) fn drift(&self, at: f64, steps: &[f32]) -> Option<bool> {
        if self.seconds < SLOW_AGE {
            return None;
        }
        let (now, deviation) = moments(&self.recent, steps, RECENT_REQUESTS)?;
        let (slow, _) = moments(&self.slow, steps, REFERENCE_REQUESTS)?;
        let mut tails = [0.0; MAX_WIDTH];
        let hour = self.hours.read(at, &mut tails).and_then(|tails| moments(tails, steps, REFERENCE_REQUESTS));
        let (reference, rise, by_hour) = match hour {
            Some((hour, _)) => (slow.max(hour), RISE_WITH_HOURS, hour > slow),
            None => (slow, RISE, false),
        };
        let error = deviation / f64::from(self.recent.first().copied().unwrap_or(0.0)).sqrt();
        (now - reference > rise.max(CERTAINTY * error)).then_some(by_hour)
    }

    /// The rise of the latest behaviour over some tail counts; negative if it is faster, 0 if that is not certain.
    pub(crate) fn rise_over(&self, tails: &[f64], steps: &[f32]) -> f64 {
        let mut narrow = [0.0_f32; MAX_WIDTH];
        for (narrow, wide) in narrow.iter_mut().zip(tails) {
            *narrow = *wide as f32;
        }
        let (Some((now, deviation)), Some((then, _))) =
            (moments(&self.recent, steps, RECENT_REQUESTS), moments(&narrow, steps, RECENT_REQUESTS))
        else {
            return 0.0;
        };
        let error = deviation / f64::from(self.recent.first().copied().unwrap_or(0.0)).sqrt();
        if (now - then).abs() > CERTAINTY * error { now - then } else { 0.0 }
    }

    /// The latest behaviour as tail counts, and the time that it is of, in seconds.
    pub(crate) fn recent(&self) -> (&[f32], f64) {
        // What decays by a half-life weighs as much as this time of the same traffic.
        (&self.recent, half_life_for(&self.recent, RECENT_HALF_LIFE, RECENT_REQUESTS * 4.0) / std::f64::consts::LN_2)
    }

    /// As [`level`], of the latest behaviour.
    pub(crate) fn recent_level(&self, steps: &[f32]) -> f64 {
        moments(&self.recent, steps, f64::MIN_POSITIVE).map_or(0.0, |(mean, _)| mean)
    }

    /// The share of the latest requests above a bound.
    pub(crate) fn recent_share(&self, tail: usize) -> f64 {
        let all = self.recent.first().copied().unwrap_or(0.0);
        if all > 0.0 { f64::from(self.recent.get(tail).copied().unwrap_or(0.0) / all).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The reference of a drift as tail counts.
    pub(crate) fn reference(&self, at: f64, by_hour: bool, into: &mut [f64]) {
        let mut tails = [0.0; MAX_WIDTH];
        let from = if by_hour { self.hours.read(at, &mut tails) } else { None }.unwrap_or(&self.slow);
        for (into, from) in into.iter_mut().zip(from) {
            *into = f64::from(*from);
        }
    }

    /// The anomaly is over: what it left in the latest behaviour must not be taken for a drift.
    pub(crate) fn forget_recent(&mut self) {
        self.recent.fill(0.0);
    }

    pub(crate) fn is_sound(&self, width: usize) -> bool {
        let counts =
            |tails: &[f32]| tails.len() == width && tails.iter().all(|count| count.is_finite() && *count >= 0.0);
        counts(&self.recent)
            && counts(&self.slow)
            && self.seconds.is_finite()
            && self.seconds >= 0.0
            && self.hours.is_sound(width)
    }
}

/// Tail counts by hour of day (UTC), each hour of earlier days folded into one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hours {
    /// Requests of each hour.
    requests: [f32; HOURS],
    /// Shares above each bound, of 65535, hour by hour.
    shares: Vec<u16>,
    /// The hour at hand.
    hour: Option<u8>,
    filling: Vec<f32>,
}

impl Hours {
    fn new(width: usize) -> Self {
        Self {
            requests: [0.0; HOURS],
            shares: vec![0; HOURS * width.saturating_sub(1)],
            hour: None,
            filling: vec![0.0; width],
        }
    }

    fn learn(&mut self, block: Block<'_>, at: f64) {
        let Some(hour) = hour_of(at) else { return };
        if self.hour != Some(hour) {
            self.fold();
            self.hour = Some(hour);
        }
        for (sum, count) in self.filling.iter_mut().zip(block.tails) {
            *sum += *count as f32;
        }
    }

    /// Puts the hour at hand to its kind.
    fn fold(&mut self) {
        let bounds = self.filling.len().saturating_sub(1);
        let all = self.filling.first().copied().unwrap_or(0.0);
        if let (Some(hour), true) = (self.hour, all > 0.0) {
            let hour = usize::from(hour);
            let known = self.requests.get(hour).copied().unwrap_or(0.0) * (1.0 - NEW_DAY);
            let from = hour * bounds;
            if let Some(shares) = self.shares.get_mut(from..from + bounds) {
                for (share, count) in shares.iter_mut().zip(self.filling.iter().skip(1)) {
                    let sum = f32::from(*share) / f32::from(u16::MAX) * known + count;
                    *share = (sum / (known + all) * f32::from(u16::MAX)).round() as u16;
                }
            }
            if let Some(requests) = self.requests.get_mut(hour) {
                *requests = known + all;
            }
        }
        self.filling.fill(0.0);
    }

    /// Tail counts usual at this time of day: the hour and its neighbours. `None` if the hour was never seen.
    fn read<'a>(&self, at: f64, into: &'a mut [f32; MAX_WIDTH]) -> Option<&'a [f32]> {
        let hour = usize::from(hour_of(at)?);
        if self.requests.get(hour).is_none_or(|requests| *requests <= 0.0) {
            return None;
        }
        let width = self.filling.len();
        let bounds = width.saturating_sub(1);
        for (neighbour, weight) in [(HOURS - 1, 0.3), (0, 1.0), (1, 0.3)] {
            let slot = (hour + neighbour) % HOURS;
            let requests = self.requests.get(slot).copied().unwrap_or(0.0) * weight;
            let (all, tails) = into.split_first_mut()?;
            *all += requests;
            for (tail, share) in tails.iter_mut().zip(self.shares.get(slot * bounds..(slot + 1) * bounds)?) {
                *tail += f32::from(*share) / f32::from(u16::MAX) * requests;
            }
        }
        into.get(..width)
    }

    fn is_sound(&self, width: usize) -> bool {
        self.shares.len() == HOURS * width.saturating_sub(1)
            && self.filling.len() == width
            && self.hour.is_none_or(|hour| usize::from(hour) < HOURS)
            && self.requests.iter().chain(&self.filling).all(|count| count.is_finite() && *count >= 0.0)
    }
}

fn hour_of(at: f64) -> Option<u8> {
    at.is_finite().then(|| (at.rem_euclid(86_400.0) / HOUR_SECONDS) as u8 % HOURS as u8)
}

/// The half-life in which a route of little traffic has as many requests as needed.
fn half_life_for(tails: &[f32], seconds: f64, requests: f64) -> f64 {
    let all = f64::from(tails.first().copied().unwrap_or(0.0));
    seconds * (requests / all.max(1.0)).clamp(1.0, 4.0)
}

fn decay(tails: &mut [f32], block: Block<'_>, half_life: f64) {
    // Silence teaches nothing, so one long block halves the past at most.
    let keep = (-block.seconds / half_life).max(-1.0).exp2();
    for (sum, count) in tails.iter_mut().zip(block.tails) {
        *sum = (f64::from(*sum) * keep + f64::from(*count)) as f32;
    }
}

/// Mean and standard deviation of the logarithm of latency, less that of the first bucket. `steps` are the differences of
/// the logarithms of the buckets' middles.
fn moments(tails: &[f32], steps: &[f32], at_least: f64) -> Option<(f64, f64)> {
    let all = f64::from(*tails.first()?);
    if all < at_least {
        return None;
    }
    // Summation by parts: E x is the sum of P(x > bound) × step, and E x² that of P × (level² - level before²).
    let (mut mean, mut square, mut level) = (0.0, 0.0, 0.0_f64);
    for (tail, step) in tails.iter().skip(1).zip(steps) {
        let (share, step) = (f64::from(*tail) / all, f64::from(*step));
        let next = level + step;
        mean += share * step;
        square += share * (next * next - level * level);
        level = next;
    }
    Some((mean, (square - mean * mean).max(0.0).sqrt()))
}

/// The mean logarithm of latency that tail counts show, less that of the first bucket; 0 without requests.
pub(crate) fn level(tails: &[f64], steps: &[f32]) -> f64 {
    let all = tails.first().copied().unwrap_or(0.0);
    if all <= 0.0 {
        return 0.0;
    }
    tails.iter().skip(1).zip(steps).map(|(tail, step)| tail / all * f64::from(*step)).sum()
}

/// The differences of the logarithms of the middles of neighbouring buckets.
pub(crate) fn log_steps(bounds: &[f64], into: &mut [f32]) {
    let middle = |bucket: usize| {
        let upper = bounds.get(bucket).copied();
        let lower = bucket.checked_sub(1).and_then(|before| bounds.get(before)).copied();
        let log = |bound: f64| bound.max(1e-6).ln();
        match (lower, upper) {
            (None, Some(upper)) => log(upper * 0.6),
            (Some(lower), Some(upper)) => f64::midpoint(log(lower), log(upper)),
            (Some(lower), None) => log(lower * 1.5),
            (None, None) => 0.0,
        }
    };
    for (bucket, step) in into.iter_mut().enumerate().take(bounds.len()) {
        *step = (middle(bucket + 1) - middle(bucket)) as f32;
    }
}
