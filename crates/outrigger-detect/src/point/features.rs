//! The ways to look at a value, each a size that is never negative.

use serde::{Deserialize, Serialize};

use super::verdict::Unusual;
use crate::hours::Band;

/// The ways to look at a value: [`STEP`] and those below it.
pub(super) const FEATURES: usize = 7;

const STEP: usize = 0;
const FAR: usize = 1;
const LEVEL: usize = 2;
const DRIFT: usize = 3;
const HOUR: usize = 4;
const RELATIVE: usize = 5;
const SPREAD: usize = 6;

/// Rows after which half of a mean is made of newer values: the latest, those of late, and the usual.
const LATEST: f64 = 5.0;
const LATE: f64 = 50.0;
const USUAL: f64 = 2000.0;
/// The same for what lies outside the band of its hour: one value may, a row of them matters.
const OUTSIDE: f64 = 8.0;

/// Sizes below this share of the usual size of values are rounding.
const ROUNDING: f64 = 1e-6;

/// The running means that looks are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Features {
    rows: u64,
    previous: f64,
    latest: f64,
    late: f64,
    usual: f64,
    /// The mean size of the values, their sign left out.
    size: f64,
    /// Variance of the latest values, and the usual one.
    variance: f64,
    usual_variance: f64,
    outside: f64,
    /// The value before the current one, for the words.
    step_from: f64,
    /// The mean of late values on the logarithmic scale.
    late_log: f64,
}

/// One value, looked at in all ways.
pub(super) struct Looks {
    pub(super) sizes: [f64; FEATURES],
    /// What is rounding, by look.
    pub(super) floors: [f64; FEATURES],
}

/// The weight of a new value in a mean of this half-life.
fn weight(half_life: f64) -> f64 {
    1.0 - 0.5_f64.powf(1.0 / half_life)
}

impl Features {
    pub(super) fn observe(&mut self, value: f64, band: Option<Band>) -> Looks {
        if self.rows == 0 {
            (self.previous, self.latest, self.late, self.usual) = (value, value, value, value);
        }
        self.rows = self.rows.saturating_add(1);
        // The longest mean begins as the plain one.
        let first = 1.0 / self.rows as f64;
        self.size += first.max(1.0 / USUAL) * (value.abs() - self.size);
        // Linear near zero, logarithmic from a tenth of the usual size on.
        let log = (1.0 + value.abs() / (0.1 * self.size + f64::MIN_POSITIVE)).ln().copysign(value);
        if self.rows == 1 {
            self.late_log = log;
        }
        let (latest, late, usual) = (weight(LATEST), weight(LATE), weight(USUAL));
        let deviation = (value - self.latest).powi(2);
        self.variance += latest * (deviation - self.variance);
        self.usual_variance += first.max(usual) * (deviation - self.usual_variance);
        self.outside += weight(OUTSIDE) * (band.map_or(0.0, |band| band.outside(value)) - self.outside);

        let mut sizes = [0.0; FEATURES];
        sizes[STEP] = (value - self.previous).abs();
        sizes[FAR] = (value - self.usual).abs();
        sizes[LEVEL] = (self.latest - self.late).abs();
        sizes[DRIFT] = (self.late - self.usual).abs();
        sizes[HOUR] = self.outside;
        sizes[RELATIVE] = (log - self.late_log).abs();
        sizes[SPREAD] = self.variance.sqrt();
        let mut floors = [ROUNDING * self.size; FEATURES];
        floors[RELATIVE] = ROUNDING;

        self.step_from = self.previous;
        self.previous = value;
        self.latest += latest * (value - self.latest);
        self.late += late * (value - self.late);
        self.late_log += late * (log - self.late_log);
        self.usual += first.max(usual) * (value - self.usual);
        Looks { sizes, floors }
    }

    /// What the given look at the latest value found.
    pub(super) fn explain(&self, look: usize, value: f64, band: Option<Band>) -> Unusual {
        let peak =
            |from: f64| if value >= from { Unusual::Spike { value, from } } else { Unusual::Drop { value, from } };
        match (look, band) {
            (LEVEL, _) => Unusual::Level { from: self.late, to: self.latest },
            (DRIFT, _) => Unusual::Drift { from: self.usual, to: self.late },
            (HOUR, Some(Band { low, high })) => Unusual::Hour { value, low, high },
            (SPREAD, _) => Unusual::Spread { from: self.usual_variance.sqrt(), to: self.variance.sqrt() },
            (STEP, _) => peak(self.step_from),
            (FAR, _) => peak(self.usual),
            _ => peak(self.late),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        let Self {
            previous, latest, late, usual, size, variance, usual_variance, outside, step_from, late_log, ..
        } = *self;
        [previous, latest, late, usual, step_from, late_log].iter().all(|mean| mean.is_finite())
            && [size, variance, usual_variance, outside].iter().all(|size| size.is_finite() && *size >= 0.0)
    }
}
