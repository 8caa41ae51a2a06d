//! Something that is told only once it has been so for a while, and until it has not been for a while.

use serde::{Deserialize, Serialize};

/// From this share of the recent time on it is told, and down to the other one it still is.
const ON: f64 = 0.9;
const OFF: f64 = 0.3;
/// One observation counts for no more than this, in seconds: after a gap nothing is certain.
const LONGEST_STEP: f64 = 60.0;

/// The share of the recent time in which something was so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Steady {
    share: f64,
    is_told: bool,
    /// When it was first so, in seconds since the epoch.
    since: f64,
}

impl Steady {
    /// Takes in an interval of `seconds` that ended at `at`. What has been so for the whole of `after` seconds is told.
    pub(super) fn observe(&mut self, is_so: bool, at: f64, seconds: f64, after: f64) -> Option<f64> {
        // The share reaches its mark after `after` seconds, but never at one look, however long ago the last one was.
        let weight = 1.0 - (1.0 - ON).powf(seconds.clamp(0.0, LONGEST_STEP.min(after / 2.0)) / after);
        if is_so && self.share < OFF / 3.0 && !self.is_told && at.is_finite() {
            self.since = at;
        }
        self.share += weight * (f64::from(u8::from(is_so)) - self.share);
        // The share comes near its mark from below.
        self.is_told = if self.is_told { self.share > OFF } else { self.share >= ON - 1e-9 };
        self.is_told.then_some(self.since)
    }

    /// Since when it is told, if it is.
    pub(super) fn told_since(&self) -> Option<f64> {
        self.is_told.then_some(self.since)
    }

    pub(super) fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.share) && self.since.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these observations, a second each, tell it.
    fn told(so: impl Fn(u32) -> bool, seconds: u32) -> Vec<u32> {
        let mut steady = Steady::default();
        (1..=seconds).filter(|now| steady.observe(so(*now), f64::from(*now), 1.0, 60.0).is_some()).collect()
    }

    #[test]
    fn one_look_alone_tells_nothing() {
        let mut steady = Steady::default();
        assert_eq!(steady.observe(true, 1000.0, 3600.0, 60.0), None);
        assert_eq!(steady.observe(true, 1060.0, 60.0, 60.0), Some(1000.0));
    }

    #[test]
    fn it_is_told_after_its_time_and_until_it_is_over() {
        let times = told(|now| now <= 100, 300);
        assert_eq!((times[0], *times.last().unwrap()), (60, 130));
        assert!(told(|now| now % 2 == 0, 1000).is_empty(), "what comes and goes is not steady");
        assert!(told(|now| now % 50 != 0, 1000).contains(&1000), "a single lapse ends nothing");
    }
}
