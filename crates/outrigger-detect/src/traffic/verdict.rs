//! What a traffic detector answers.

use std::fmt;

use serde::Serialize;

use crate::{
    Phase,
    words::{Lasting, Number},
};

/// The answer to one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TrafficVerdict {
    /// Where the detector stands after the interval.
    pub phase: Phase,
    /// How far the worst recent window is beyond what could be usual, in standard deviations: finite, never negative.
    pub score: f64,
    /// How the rate changed: present exactly while the phase is [`Phase::Anomalous`].
    pub change: Option<TrafficChange>,
}

/// How a request rate differs from the usual one, in requests per second. `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrafficChange {
    /// The rate of the latest minute.
    pub rate: f64,
    /// The rate of the last hour or so before the change.
    pub before: f64,
    /// The least that was usual at this hour.
    pub usual_low: f64,
    /// The most that was usual at this hour.
    pub usual_high: f64,
    /// Seconds since the change was found.
    pub seconds: f64,
}

impl TrafficChange {
    /// Whether there are too few requests; otherwise there are too many.
    #[must_use]
    pub fn is_drop(&self) -> bool {
        self.rate < self.usual_low || (self.rate <= self.usual_high && self.rate < self.before)
    }
}

impl fmt::Display for TrafficChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, before, usual_low, usual_high, seconds } = *self;
        let went = if rate < before { "fell" } else { "rose" };
        let same = rate < before * 1.5 && rate * 1.5 > before;
        let both_silent = rate.max(before) < 0.1 * usual_low;
        if same || both_silent {
            write!(f, "requests are at {}/s", Number(rate))?;
        } else {
            write!(f, "requests {went} from {}/s to {}/s", Number(before), Number(rate))?;
        }
        if usual_low < usual_high {
            write!(f, "; usual at this hour: {} to {}/s", Number(usual_low), Number(usual_high))?;
        }
        if seconds >= 60.0 {
            write!(f, "; for {}", Lasting(seconds))?;
        }
        Ok(())
    }
}
