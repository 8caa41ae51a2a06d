//! A day in little: the rate swings, crowds come and go, and what customers do shifts. All of it is healthy.

use crate::options::Weights;
use fastrand::Rng;
use std::f64::consts::TAU;
use std::time::Duration;

/// How far the rate goes up and down from its mean.
const SWING: f64 = 0.4;
/// How many times as many come while there is a crowd.
const CROWD: f64 = 3.0;
/// Crowds in a day.
const CROWDS: u32 = 8;
/// What part of a day each crowd lasts: 20 s of an hour.
const CROWD_LASTS: f64 = 1.0 / 180.0;

/// A day that begins at the mean, has its height after a quarter and its depth after three.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    lasts: Duration,
    /// When each crowd begins, as a part of the day.
    crowds: Vec<f64>,
}

impl Day {
    /// No moment has more than so many times the rate.
    pub(crate) const HIGHEST: f64 = (1.0 + SWING) * CROWD;

    /// The same seed brings the same crowds, one in each eighth of the day.
    pub(crate) fn new(lasts: Duration, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let crowds = (0..CROWDS).map(|eighth| (f64::from(eighth) + 0.1 + 0.8 * random.f64()) / f64::from(CROWDS));
        Self { lasts, crowds: crowds.collect() }
    }

    /// How many times the mean rate comes at this moment.
    pub(crate) fn factor(&self, at: Duration) -> f64 {
        let moment = self.moment(at);
        let is_crowded = self.crowds.iter().any(|begins| (*begins..begins + CROWD_LASTS).contains(&moment));
        (1.0 + SWING * (TAU * moment).sin()) * if is_crowded { CROWD } else { 1.0 }
    }

    /// What customers do at this moment: towards the middle of the day they search, buy and log in more.
    pub(crate) fn weights(&self, usual: Weights, at: Duration) -> Weights {
        let keen = (1.0 - (TAU * self.moment(at)).cos()) / 2.0;
        Weights {
            search: usual.search * (1.0 + keen),
            checkout: usual.checkout * (1.0 + 0.5 * keen),
            login: usual.login * (1.0 + keen),
            ..usual
        }
    }

    /// Which part of the day has gone by.
    fn moment(&self, at: Duration) -> f64 {
        let days = at.as_secs_f64() / self.lasts.as_secs_f64().max(f64::MIN_POSITIVE);
        days.fract()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_swings_has_crowds_and_stays_below_its_highest() {
        let day = Day::new(Duration::from_secs(3600), 7);
        let factors: Vec<f64> = (0..3600).map(|second| day.factor(Duration::from_secs(second))).collect();
        assert!(factors.iter().all(|factor| (0.5..=Day::HIGHEST).contains(factor)));
        let crowded = factors.iter().filter(|factor| **factor > 1.5).count();
        assert!((150..=170).contains(&crowded), "{crowded} seconds with a crowd, of eight times twenty");
        let mean = factors.iter().sum::<f64>() / 3600.0;
        assert!((1.0..1.2).contains(&mean), "{mean}");
        // The next day is the same.
        assert_eq!(day.factor(Duration::from_secs(900)), day.factor(Duration::from_secs(4500)));
    }

    #[test]
    fn customers_shift_and_come_back() {
        let day = Day::new(Duration::from_secs(100), 7);
        let usual = Weights::default();
        assert_eq!(day.weights(usual, Duration::ZERO), usual);
        let noon = day.weights(usual, Duration::from_secs(50));
        assert!(noon.search > 1.9 * usual.search && noon.browse == usual.browse, "{noon:?}");
    }
}
