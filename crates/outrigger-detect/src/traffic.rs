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
    /// Seconds after which a drop or surge that stays is the new normal. Defaults to an hour.
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
}

/// An anomaly, or one that became the new normal and waits for the rate to be usual again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    seconds: f64,
    low: f64,
    high: f64,
    before: f64,
    adopted: bool,
}

impl TrafficDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: TrafficSettings) -> Self {
        Self { settings, memory: TrafficMemory { recent: Recent::new(), hours: Hours::of_a_week(), open: None } }
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
        let TrafficMemory { recent, hours, open } = &mut self.memory;
        let frozen = open.is_some_and(|open| !open.adopted);
        let closed = recent.observe(requests, seconds, frozen);
        if recent.age() < self.settings.warm_up_seconds {
            if let Some(rate) = closed {
                hours.learn(at, rate);
            }
            return TrafficVerdict::default();
        }
        let usual = hours.usual(at);
        let score = worst(recent, &expected(usual, recent.rate(), self.settings.min_factor));
        *open = match *open {
            None if score >= self.settings.min_score && score > 0.0 => {
                let Band { low, high } = usual_band(usual, recent.rate());
                Some(Open { seconds: 0.0, low, high, before: recent.rate(), adopted: false })
            }
            // What was adopted may be judged again once it is what is expected.
            Some(open) if open.adopted && score <= 0.0 => None,
            // It is over when the last few minutes are usual, or as before.
            Some(open) if recent.is_back(Band { low: open.low, high: open.high }, open.before) => {
                recent.forget();
                None
            }
            Some(open) => {
                let lasted = open.seconds + if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
                let adopted = lasted >= self.settings.adopt_seconds;
                if adopted && !open.adopted {
                    recent.adopt();
                }
                Some(Open { seconds: lasted, adopted, ..open })
            }
            None => None,
        };
        // What is an anomaly is not learnt as usual until it is adopted.
        if let (Some(rate), false) = (closed, open.is_some_and(|open| !open.adopted)) {
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

/// What rates are held against.
struct Expected {
    /// The rates that are no matter.
    band: Band,
    /// Whether the band holds the route's swing already: then a window's rate need not allow for it once more.
    seen: bool,
}

/// From a fraction of what is usual to a multiple of it, and at least what earlier days have shown.
fn expected(usual: Usual, recent: f64, factor: f64) -> Expected {
    let factor = factor.max(1.0);
    let Some(band) = usual.band else {
        return Expected { band: Band { low: recent / factor / 2.0, high: recent * factor * 2.0 }, seen: false };
    };
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
            && self.open.is_none_or(|open| {
                open.seconds >= 0.0
                    && open.seconds.is_finite()
                    && [open.low, open.high, open.before].iter().all(|rate| rate.is_finite() && *rate >= 0.0)
            })
    }
}
