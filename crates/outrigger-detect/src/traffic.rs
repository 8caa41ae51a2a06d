//! The request rate of a route: drops and surges.

mod recent;
mod verdict;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::recent::Recent;
use crate::{
    Phase, StateError,
    hours::{Band, Hours, Usual},
    series::{SeriesState, Watch},
};

pub use self::verdict::{TrafficChange, TrafficVerdict};

/// What a [`TrafficDetector`] holds for a drop or a surge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrafficSettings {
    /// The score that opens an anomaly, in standard deviations. Defaults to 5.
    pub min_score: f64,
    /// How many times less or more than usual a rate must be, besides being beyond what earlier days have shown. Defaults to
    /// 2. While no earlier day is known, twice as many: a route may well rest at night.
    pub min_factor: f64,
    /// Seconds of traffic before anything is judged. Defaults to half an hour.
    pub warm_up_seconds: f64,
    /// Seconds after which a drop or surge that stays is the new normal; silence where three days of requests are known is
    /// none for three days. Defaults to an hour.
    pub adopt_seconds: f64,
}

impl Default for TrafficSettings {
    fn default() -> Self {
        Self { min_score: 5.0, min_factor: 2.0, warm_up_seconds: 1800.0, adopt_seconds: 3600.0 }
    }
}

/// Finds routes that get far fewer requests than usual, or far more. One detector watches one route.
///
/// What is usual comes from two memories: the rates of earlier days at this hour, working days, Saturdays and Sundays apart,
/// and the rate of the last hour or so. With three days of a kind known, a rate is held against their range; what they have
/// shown, however suddenly, is calm, and a route that should have woken up by now has dropped. Until then a rate is held
/// against the recent one.
///
/// What has become the new normal is what further changes are held against, twice as wide, until the rate is usual again. It
/// changes what is known of the hours only if it lasts a day, or comes again on the next.
///
/// The last minute, five and twenty minutes are judged by the requests in them: the deviance of a count that is Poisson but
/// for the swing that this route's rate has by itself (negative binomial). A silent minute of a busy route is a drop; a route with
/// fewer than a dozen requests in twenty minutes is never judged.
///
/// The state takes less than 6 KiB; nothing is allocated once it is made.
#[derive(Clone, Debug)]
pub struct TrafficDetector {
    settings: TrafficSettings,
    memory: TrafficMemory,
}

/// Everything that a traffic detector learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrafficMemory {
    recent: Recent,
    hours: Hours,
    open: Option<Open>,
    /// When an anomaly at a time that earlier days are known of last became the new normal.
    #[serde(default)]
    adopted_at: Option<f64>,
}

/// An anomaly, or one that became the new normal and waits for the rate to be usual again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Open {
    /// Since it was found.
    seconds: f64,
    low: f64,
    high: f64,
    before: f64,
    adopted: bool,
    /// Seconds that it has lasted without silence.
    #[serde(default)]
    settled: f64,
    /// Below this rate it is silent; 0 where too few days are known to say so.
    #[serde(default)]
    silence: f64,
    /// The rate before the change that was adopted when this one came on top of it.
    #[serde(default)]
    outer: Option<f64>,
    /// It was adopted on an earlier day too: earlier days are held against it no longer.
    #[serde(default)]
    is_known: bool,
}

impl Open {
    fn new(usual: Usual, recent: f64) -> Self {
        let Band { low, high } = usual_band(usual, recent);
        let silence = if usual.days >= DAYS_KNOWN { SILENT_SHARE * low } else { 0.0 };
        Self { low, high, before: recent, silence, ..Self::default() }
    }

    fn is_silent(&self, recent: &Recent) -> bool {
        recent.rate_now() < self.silence && self.seconds < LONGEST_SILENCE
    }

    /// Whether the last minutes are as usual, or as before if that was no more unusual.
    fn is_over(&self, recent: &Recent, expected: &Expected, score: f64) -> bool {
        let may_return = self.outer.is_some() || expected.band.outside(self.before) <= 0.0;
        let usual = Band { low: self.low, high: self.high };
        recent.is_back(usual, Some(self.before).filter(|_| may_return))
            || (expected.seen && score <= 0.0 && !self.is_silent(recent))
    }

    /// What is an anomaly is not learnt as usual: not before it was adopted, and not from a holiday either.
    fn is_learnt(&self) -> bool {
        self.adopted && (self.is_known || self.seconds >= DAY)
    }
}

impl TrafficDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: TrafficSettings) -> Self {
        Self {
            settings,
            memory: TrafficMemory { recent: Recent::new(), hours: Hours::of_a_week(), open: None, adopted_at: None },
        }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to another kind of detector, or is damaged.
    pub fn restore(settings: TrafficSettings, state: SeriesState) -> Result<Self, StateError> {
        match state.open()? {
            Watch::Traffic(memory) if memory.is_sound() => Ok(Self { settings, memory: *memory }),
            Watch::Traffic(_) => Err(StateError::Damaged { what: "hours and minutes do not agree" }),
            other => Err(other.is_not("traffic")),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &TrafficSettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> SeriesState {
        SeriesState::new(Watch::Traffic(Box::new(self.memory.clone())))
    }

    /// Takes in the requests of an interval of `seconds` that ended at `at` (UNIX seconds, NaN if unknown: then only the
    /// last hour is compared with). An interval without a length is left out.
    pub fn observe(&mut self, at: f64, requests: u64, seconds: f64) -> TrafficVerdict {
        let settings = self.settings;
        let TrafficMemory { recent, hours, open, adopted_at } = &mut self.memory;
        let frozen = open.is_some_and(|open| !open.adopted);
        let closed = recent.observe(requests, seconds, frozen);
        if recent.age() < settings.warm_up_seconds {
            if let Some(rate) = closed {
                hours.learn(at, rate);
            }
            return TrafficVerdict::default();
        }
        let usual = hours.usual(at);
        let expected = expected(usual, recent.rate(), settings.min_factor);
        let score = worst(recent, &expected);
        let is_found = |score: f64| score >= settings.min_score && score > 0.0;
        *open = match *open {
            None => is_found(score).then(|| Open::new(usual, recent.rate())),
            // What was adopted may be judged again once it is what is expected.
            Some(open) if open.adopted && score <= 0.0 => None,
            // It is over when the last few minutes are usual, or as before. What had been adopted then goes on.
            Some(open) if open.is_over(recent, &expected, score) => {
                recent.forget();
                open.outer.map(|before| Open { adopted: true, before, outer: None, ..open })
            }
            // What was adopted is what a change is held against meanwhile.
            Some(open) if open.adopted && is_found(worst(recent, &around(recent.rate(), settings.min_factor))) => {
                Some(Open { outer: Some(open.before), is_known: open.is_known, ..Open::new(usual, recent.rate()) })
            }
            Some(open) => {
                let lasted = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
                let settled = if open.is_silent(recent) { 0.0 } else { open.settled + lasted };
                let adopted = open.adopted || settled >= settings.adopt_seconds;
                let mut is_known = open.is_known;
                if adopted && !open.adopted {
                    recent.adopt();
                    // Where no days are known, what is adopted is no exception from them.
                    if open.silence > 0.0 && at.is_finite() {
                        is_known |= adopted_at.is_some_and(|before| AGAIN.contains(&(at - before)));
                        *adopted_at = Some(at);
                    }
                }
                Some(Open { seconds: open.seconds + lasted, settled, adopted, is_known, ..open })
            }
        };
        if let (Some(rate), true) = (closed, open.is_none_or(|open| open.is_learnt())) {
            hours.learn(at, rate);
        }
        match *open {
            Some(open) if !open.adopted => {
                let Open { seconds, low, high, before, .. } = open;
                let rate = recent.rate_now();
                TrafficVerdict {
                    phase: Phase::Anomalous,
                    score,
                    change: Some(TrafficChange { rate, before, usual_low: low, usual_high: high, seconds }),
                }
            }
            _ => TrafficVerdict { phase: Phase::Calm, score, change: None },
        }
    }
}

/// Days of a kind that make a range that can be trusted alone.
const DAYS_KNOWN: u8 = 3;
const DAY: f64 = 86_400.0;
/// Less than this share of the least that is usual is silence. It does not become normal for so many seconds: by then somebody
/// has turned the route off.
const SILENT_SHARE: f64 = 0.01;
const LONGEST_SILENCE: f64 = 3.0 * DAY;
/// What is adopted again so many seconds after the last time is no exception: a holiday is one day, and a weekend may lie
/// between two.
const AGAIN: std::ops::RangeInclusive<f64> = DAY / 2.0..=4.0 * DAY;

/// What rates are held against.
struct Expected {
    /// The rates that are no matter.
    band: Band,
    /// Whether the band holds the route's swing already: then a window's rate need not allow for it once more.
    seen: bool,
}

/// From a fraction of what is usual to a multiple of it, and at least what earlier days have shown.
fn expected(usual: Usual, recent: f64, factor: f64) -> Expected {
    let Some(band) = usual.band else { return around(recent, factor) };
    let factor = factor.max(1.0);
    // One wild day moves the geometric middle little.
    let middle = (band.low * band.high).max(0.0).sqrt();
    if usual.days >= DAYS_KNOWN {
        let band = Band { low: band.low.min(middle / factor), high: band.high.max(middle * factor) };
        return Expected { band, seen: true };
    }
    // Both memories must agree that it is unusual.
    let band = Band { low: band.low.min(recent) / factor, high: band.high.max(recent) * factor };
    Expected { band, seen: false }
}

/// From a smaller fraction of the recent rate to a larger multiple of it, where nothing else is known.
fn around(recent: f64, factor: f64) -> Expected {
    let times = 2.0 * factor.max(1.0);
    Expected { band: Band { low: recent / times, high: recent * times }, seen: false }
}

/// What to say that is usual.
fn usual_band(usual: Usual, recent: f64) -> Band {
    usual.band.unwrap_or(Band { low: recent, high: recent })
}

/// How far the worst window is beyond the band by chance, in standard deviations: 0 if all are within.
fn worst(recent: &Recent, expected: &Expected) -> f64 {
    let Expected { band, seen } = *expected;
    recent.windows(seen).fold(0.0, |worst: f64, (window, swing)| {
        let edge = if window.rate() < band.low { band.low } else { band.high };
        if band.outside(window.rate()) > 0.0 { worst.max(window.deviation(edge, swing)) } else { worst }
    })
}

impl TrafficMemory {
    fn is_sound(&self) -> bool {
        self.recent.is_sound()
            && self.hours.is_of_a_week()
            && self.adopted_at.is_none_or(f64::is_finite)
            && self.open.is_none_or(|open| {
                let Open { seconds, low, high, before, settled, silence, outer, .. } = open;
                [seconds, low, high, before, settled, silence, outer.unwrap_or(0.0)]
                    .iter()
                    .all(|number| number.is_finite() && *number >= 0.0)
            })
    }
}
