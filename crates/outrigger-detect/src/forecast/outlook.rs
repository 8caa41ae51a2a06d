//! What a forecast answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::{Lasting, Number};

/// A limit that is going to be reached. `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The latest value.
    pub value: f64,
    /// What it must not reach.
    pub limit: f64,
    /// Seconds until then, if the value goes on as it did: above 0.
    pub seconds: f64,
    /// Seconds until then at the fastest pace that the past allows for.
    pub soonest: f64,
    /// Seconds until then at the slowest pace that the past allows for.
    pub latest: f64,
    /// What the value gains in an hour, negative if it falls.
    pub per_hour: f64,
    /// Seconds for which the trend was seen.
    pub seen_seconds: f64,
}

impl Outlook {
    /// Every number is one that JSON can say.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let Self { value, limit, seconds, soonest, latest, per_hour, seen_seconds } = *self;
        [value, limit, seconds, soonest, latest, per_hour, seen_seconds].into_iter().all(f64::is_finite)
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, limit, seconds, soonest, latest, per_hour, seen_seconds } = *self;
        write!(f, "{} in {} ({} to {}): ", Number(limit), Lasting(seconds), Lasting(soonest), Lasting(latest))?;
        let sign = if per_hour > 0.0 { "+" } else { "" };
        write!(f, "{} now, {sign}{} per hour for {}", Number(value), Number(per_hour), Lasting(seen_seconds))
    }
}
