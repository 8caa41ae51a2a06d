//! What a point detector answers.

use std::fmt;

use serde::Serialize;

use crate::words::Number;

/// The answer to one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PointVerdict {
    /// How unusual the value is: finite, never negative, 0 during the warm-up. About the logarithm of the number of
    /// observations among which one such is expected.
    pub score: f64,
    /// Whether somebody should be told now: the score is at least [`PointSettings::threshold`](crate::PointSettings), and
    /// nothing like it was told of late.
    pub alert: bool,
    /// What is unusual: present exactly if the score is at least the threshold, told or not.
    pub unusual: Option<Unusual>,
}

impl PointVerdict {
    /// The score of what is to be told: 0 for what is unusual but was told of late. A threshold above that of the settings can
    /// be held against it afterwards.
    #[must_use]
    pub fn news(&self) -> f64 {
        if self.unusual.is_some() && !self.alert { 0.0 } else { self.score }
    }
}

/// What is unusual about a value, in the series' own unit. `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusual {
    /// A value far above.
    Spike {
        /// The value.
        value: f64,
        /// What it is far above: the value before, or the mean.
        from: f64,
    },
    /// A value far below.
    Drop {
        /// The value.
        value: f64,
        /// What it is far below: the value before, or the mean.
        from: f64,
    },
    /// The latest values have another level than those before.
    Level {
        /// The mean of the last fifty or so.
        from: f64,
        /// The mean of the last five or so.
        to: f64,
    },
    /// The level has moved away from the usual one, fast or slowly.
    Drift {
        /// The usual mean.
        from: f64,
        /// The mean of the last fifty or so.
        to: f64,
    },
    /// The latest values vary more.
    Spread {
        /// The usual standard deviation.
        from: f64,
        /// That of the latest values.
        to: f64,
    },
    /// Values of late lie outside what earlier days showed at this time of day; the latest one may be back.
    Hour {
        /// The value.
        value: f64,
        /// The least that earlier days showed.
        low: f64,
        /// The most that earlier days showed.
        high: f64,
    },
}

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Spike { value, from } => write!(f, "spike from {} to {}", Number(from), Number(value)),
            Self::Drop { value, from } => write!(f, "drop from {} to {}", Number(from), Number(value)),
            Self::Level { from, to } => {
                write!(f, "the level {} from {} to {}", went(from, to), Number(from), Number(to))
            }
            Self::Drift { from, to } => {
                write!(f, "the level is {}, the usual one is {}", Number(to), Number(from))
            }
            Self::Spread { from, to } => {
                write!(f, "values vary by {}, usually by {}", Number(to), Number(from))
            }
            Self::Hour { value, low, high } => {
                let of_late = if (low..=high).contains(&value) { " again, but not of late" } else { "" };
                write!(f, "{}{of_late}; usual at this hour: {} to {}", Number(value), Number(low), Number(high))
            }
        }
    }
}

fn went(from: f64, to: f64) -> &'static str {
    if to >= from { "rose" } else { "fell" }
}
