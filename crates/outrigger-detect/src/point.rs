//! Any series of values that is no histogram: a rate, a saturation, a hit ratio, a queue, CPU, memory.

mod features;
mod peaks;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;

use serde::{Deserialize, Serialize};

use self::{
    features::{FEATURES, Features, Looks},
    peaks::Peaks,
};
use crate::{
    StateError,
    hours::Hours,
    series::{SeriesState, Watch},
};

pub use self::{
    settings::PointSettings,
    verdict::{PointVerdict, Unusual},
};

/// Beyond this a value's square would leave the range of numbers.
const MAX_VALUE: f64 = 1e100;

/// What an observation without a usable time counts for, and the most that one observation can count for, in seconds: a
/// clock that jumps by a year ends a hold but breaks nothing.
const UNKNOWN_STEP: f64 = 60.0;
const MAX_STEP: f64 = 7.0 * 86_400.0;

/// Finds values that this series has not shown before. One detector watches one series.
///
/// Each value is looked at in seven ways: its step from the value before, its distance from the long mean and (relatively)
/// from the recent one, the recent level against the one before, that level against the long mean, the spread of the latest
/// values, and how far it lies outside what the same time of day showed on earlier days. Each way remembers its own largest
/// peaks, so that its size has a rank: the fewer peaks of its size in the memory, the more unusual. The score is that of the
/// most unusual way, and a share of the second's, so that two that agree weigh more than one.
///
/// Nothing is assumed of the values' distribution, and there is no period to be found: a series that leaps every ten minutes
/// has leaps in its memory. What was told is not told again for a while unless it becomes much worse.
///
/// The score counts observations, not seconds: feed it values of about one minute. With a value a minute the memory of peaks
/// lasts four days; the memory of hours, which counts days, a week or two.
///
/// A detector takes less than 5 KiB, whatever it is fed, and allocates nothing once it is made.
#[derive(Clone, Debug)]
pub struct PointDetector {
    settings: PointSettings,
    memory: PointMemory,
}

/// Everything that a detector learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointMemory {
    rows: u64,
    /// Seconds since the first observation, never backwards whatever the times say.
    clock: f64,
    at: Option<f64>,
    told: Option<Told>,
    features: Features,
    hours: Hours,
    peaks: [Peaks; FEATURES],
}

/// The latest alert.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    clock: f64,
    score: f64,
}

impl PointDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: PointSettings) -> Self {
        let memory = PointMemory {
            rows: 0,
            clock: 0.0,
            at: None,
            told: None,
            features: Features::default(),
            hours: Hours::of_a_day(),
            peaks: [Peaks::default(); FEATURES],
        };
        Self { settings, memory }
    }

    /// Takes up a kept state under the given settings.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to another kind of detector, or is damaged.
    pub fn restore(settings: PointSettings, state: SeriesState) -> Result<Self, StateError> {
        match state.open()? {
            Watch::Point(memory) if memory.is_sound() => Ok(Self { settings, memory: *memory }),
            Watch::Point(_) => Err(StateError::Damaged { what: "means, hours and peaks do not agree" }),
            other => Err(other.is_not("point")),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &PointSettings {
        &self.settings
    }

    /// What the detector knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> SeriesState {
        SeriesState::new(Watch::Point(Box::new(self.memory.clone())))
    }

    /// Takes in one value, observed at `at` (UNIX seconds, from which comes the time of day; NaN if unknown), and answers
    /// how unusual it is. A value that is not a number is left out.
    pub fn observe(&mut self, at: f64, value: f64) -> PointVerdict {
        let PointSettings { threshold, hold_seconds, margin, warm_up, memory: rows_kept } = self.settings;
        let memory = &mut self.memory;
        memory.advance(at);
        if !value.is_finite() {
            return PointVerdict::default();
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let band = memory.hours.observe(at, value);
        let Looks { sizes, floors } = memory.features.observe(value, band);
        let row = memory.rows;
        memory.rows += 1;

        let (mut first, mut second, mut look) = (0.0, 0.0, 0);
        for (index, peaks) in memory.peaks.iter_mut().enumerate() {
            let (size, floor) = (sizes[index], floors[index]);
            peaks.forget(row, rows_kept);
            let surprise = if row >= warm_up { peaks.surprise(size, floor, row) } else { 0.0 };
            peaks.remember(size, row);
            if surprise > first {
                (second, first, look) = (first, surprise, index);
            } else if surprise > second {
                second = surprise;
            }
        }
        let score = first + SECOND * second;
        let held =
            memory.told.is_some_and(|told| memory.clock - told.clock <= hold_seconds && score <= told.score + margin);
        let unusual = (score >= threshold).then(|| memory.features.explain(look, value, band));
        let alert = unusual.is_some() && !held;
        if alert {
            memory.told = Some(Told { clock: memory.clock, score });
        }
        PointVerdict { score, alert, unusual }
    }
}

/// The weight of the second most unusual look. With all of it, two looks at one spike would count twice; without, agreement
/// would count for nothing.
const SECOND: f64 = 0.3;

impl PointMemory {
    fn advance(&mut self, at: f64) {
        let step = match self.at {
            Some(before) if at.is_finite() => (at - before).clamp(0.0, MAX_STEP),
            None if at.is_finite() => 0.0,
            _ => UNKNOWN_STEP,
        };
        self.clock += step;
        if at.is_finite() {
            self.at = Some(at);
        }
    }

    fn is_sound(&self) -> bool {
        self.clock.is_finite()
            && self.at.is_none_or(f64::is_finite)
            && self.told.is_none_or(|told| told.clock <= self.clock && told.score.is_finite())
            && self.features.is_sound()
            && self.hours.is_of_a_day()
            && self.peaks.iter().all(|peaks| peaks.is_sound(self.rows))
    }
}
