//! When something that fills will be full: a pool, descriptors, memory, a disk.

mod outlook;
mod trend;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::trend::{BUCKETS, Bucket, Trend};
use crate::{
    StateError,
    series::{SeriesState, Watch},
};

pub use self::outlook::Outlook;

/// The lengths of the buckets of time, in seconds: with [`BUCKETS`] of them, the last 24 minutes, four hours and two days.
const WIDTHS: [f64; 3] = [60.0, 600.0, 7200.0];

/// How often its own length a trend is carried on into the future, and half of that if it is all that was ever seen.
const REACH: f64 = 2.0;

/// A height was reached before if the past came as near to it as this share of what is left to the limit.
const NEARLY: f64 = 0.1;

/// Values beyond this are no sizes; their differences would leave the range of numbers.
const MAX_VALUE: f64 = 1e100;
/// Times beyond this are no times.
const MAX_AT: f64 = 1e13;

/// A time so far before the latest, in seconds, says that the clock was wrong then; a nearer one came late.
const CLOCK_SET_BACK: f64 = 3600.0;

/// On which side of the value the limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Toward {
    /// The value rises to its limit: memory, descriptors, connections in use.
    #[default]
    Above,
    /// The value falls to its limit: bytes free, days of a certificate.
    Below,
}

/// Says when a value will reach its limit, if it goes on as it did. One forecast watches one value.
///
/// Time is cut into buckets of a minute, ten minutes and two hours, 24 of each; a trend is the median slope between any two
/// buckets' means (Theil 1950, Sen 1968), with the range that Kendall's statistic leaves. It speaks only of a trend that
///
/// - is beyond chance, and large against the values' wobble around it;
/// - has not slowed down of late, as a cache does that is nearly warm;
/// - leads to heights that were not reached before: what a garbage collector or a nightly rotation brings down
///   again and again is no trend;
/// - reaches the limit within twice the time that it was seen for, or once that time while nothing is known from before it.
///
/// What falls and rises as before, and what is flat, is met with silence. The state takes less than 4 KiB; nothing is
/// allocated once it is made.
#[derive(Clone, Debug)]
pub struct Forecast {
    memory: ForecastMemory,
}

/// Everything that a forecast learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ForecastMemory {
    toward: Toward,
    /// By ascending width.
    scales: Vec<Scale>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scale {
    /// Closed buckets and the open one, oldest first.
    buckets: Vec<Bucket>,
    /// What the closed buckets showed, found when the last of them closed.
    trend: Option<Trend>,
}

impl Forecast {
    /// A forecast that knows nothing yet.
    #[must_use]
    pub fn new(toward: Toward) -> Self {
        let scale = || Scale { buckets: Vec::with_capacity(BUCKETS + 1), trend: None };
        Self { memory: ForecastMemory { toward, scales: WIDTHS.iter().map(|_| scale()).collect() } }
    }

    /// Takes up a kept state.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to another kind of detector, looks the other
    /// way, or is damaged.
    pub fn restore(toward: Toward, state: SeriesState) -> Result<Self, StateError> {
        match state.open()? {
            Watch::Forecast(mut memory) if memory.is_sound() && memory.toward == toward => {
                for scale in &mut memory.scales {
                    scale.buckets.reserve_exact((BUCKETS + 1).saturating_sub(scale.buckets.len()));
                }
                Ok(Self { memory: *memory })
            }
            Watch::Forecast(_) => Err(StateError::Damaged { what: "buckets are not in the order of time" }),
            other => Err(other.is_not("forecast")),
        }
    }

    /// What the forecast knows, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> SeriesState {
        SeriesState::new(Watch::Forecast(Box::new(self.memory.clone())))
    }

    /// Takes in a value observed at `at` (UNIX seconds) and answers when it reaches `limit`, if it is on the way there.
    ///
    /// A value or a time that is not a number, and a time before the latest bucket, is left out; but a time more than an
    /// hour back says that the clock had been wrong, and what was seen after it is dropped. A value at its limit already
    /// is no forecast.
    pub fn observe(&mut self, at: f64, value: f64, limit: f64) -> Option<Outlook> {
        let usable = |number: f64| number.abs() < MAX_VALUE;
        let known = usable(value) && at.abs() < MAX_AT;
        let sign = match self.memory.toward {
            Toward::Above => 1.0,
            Toward::Below => -1.0,
        };
        if known {
            self.memory.set_back(at);
            for (scale, width) in self.memory.scales.iter_mut().zip(WIDTHS) {
                scale.observe((at / width).floor() as i64, sign * value);
            }
        }
        if !known || !usable(limit) {
            return None;
        }
        if sign * (limit - value) <= 0.0 {
            return None;
        }
        let mut soonest: Option<Outlook> = None;
        for (index, (scale, width)) in self.memory.scales.iter().zip(WIDTHS).enumerate() {
            let Some(trend) = scale.trend else { continue };
            // From the line, which is calmer than the value.
            let height = trend.height + trend.slope * (at / width - trend.index as f64 - 0.5);
            let headroom = sign * limit - height;
            let seconds = headroom / trend.slope * width;
            let long = trend.span * width;
            let reach = match self.memory.past(index, height.min(sign * value) - NEARLY * headroom, at) {
                Past::Unknown => REACH / 2.0,
                Past::Lower => REACH,
                Past::AsHigh => continue,
            };
            if headroom > 0.0 && seconds <= reach * long && soonest.is_none_or(|other| seconds < other.seconds) {
                soonest = Some(Outlook {
                    value,
                    limit,
                    seconds,
                    soonest: headroom / trend.slope_high * width,
                    latest: headroom / trend.slope_low * width,
                    per_hour: sign * trend.slope / width * 3600.0,
                    seen_seconds: long,
                });
            }
        }
        soonest
    }
}

/// How a height compares with the time before a trend.
enum Past {
    /// There was no such time.
    Unknown,
    Lower,
    AsHigh,
}

impl ForecastMemory {
    /// Drops what was seen at times that the clock has been set back from.
    fn set_back(&mut self, at: f64) {
        let latest = self.scales.first().and_then(|scale| scale.buckets.last());
        let Some(latest) = latest.map(|bucket| bucket.index as f64 * WIDTHS[0]) else { return };
        if at >= latest - CLOCK_SET_BACK {
            return;
        }
        for (scale, width) in self.scales.iter_mut().zip(WIDTHS) {
            let now = (at / width).floor() as i64;
            scale.buckets.retain(|bucket| bucket.index < now);
            scale.trend = None;
        }
    }

    /// What was before the trend of this scale began, as far as the longer scales remember.
    fn past(&self, index: usize, height: f64, at: f64) -> Past {
        let Some(width) = WIDTHS.get(index) else { return Past::Unknown };
        let begin = at - width * BUCKETS as f64;
        let mut past = Past::Unknown;
        for (scale, width) in self.scales.iter().zip(WIDTHS).skip(index + 1) {
            // A bucket that the trend has begun in holds heights of the trend itself.
            let before = |bucket: &&Bucket| (bucket.index + 1) as f64 * width <= begin;
            for bucket in scale.buckets.iter().take_while(before) {
                if bucket.highest >= height {
                    return Past::AsHigh;
                }
                past = Past::Lower;
            }
        }
        past
    }

    fn is_sound(&self) -> bool {
        self.scales.len() == WIDTHS.len()
            && self.scales.iter().all(|scale| {
                scale.buckets.len() <= BUCKETS + 1
                    && scale.buckets.iter().all(Bucket::is_sound)
                    && scale.buckets.is_sorted_by(|a, b| a.index < b.index)
                    && scale.trend.is_none_or(Trend::is_sound)
            })
    }
}

impl Scale {
    fn observe(&mut self, index: i64, value: f64) {
        match self.buckets.last_mut() {
            Some(open) if index < open.index => {}
            Some(open) if index == open.index => open.add(value),
            _ => {
                self.buckets.retain(|bucket| index.saturating_sub(bucket.index).unsigned_abs() <= BUCKETS as u64);
                self.trend = Trend::of(&self.buckets);
                self.buckets.push(Bucket::new(index, value));
            }
        }
    }
}
