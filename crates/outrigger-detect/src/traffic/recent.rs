//! The last hour of a request rate.

use serde::{Deserialize, Serialize};

use crate::hours::Band;

/// Requests that a window must let expect. Whoever calls a sleeping route wakes it: that is no surge.
const LEAST_EXPECTED: f64 = 5.0;
/// A block is made of intervals until they make a minute.
const BLOCK_SECONDS: f64 = 60.0;
/// Blocks that are kept: twenty minutes of them.
const BLOCKS: usize = 20;
/// The windows that are judged, in blocks.
const WINDOWS: [usize; 3] = [1, 5, BLOCKS];
/// The window that what is usual is learnt in, and by which an anomaly ends.
const STEADY: usize = 5;
/// Half of the recent rate is made of blocks younger than this, in seconds.
const HALF_LIFE: f64 = 1200.0;
/// Half of the swing likewise.
const SWING_HALF_LIFE: f64 = 3600.0;
/// The least swing: a tenth.
const LEAST_SWING: f64 = 0.1;
/// More requests than this in an interval are a broken counter.
const MAX_REQUESTS: f64 = 1e15;
/// An interval longer than a day counts as a day.
const MAX_SECONDS: f64 = 86_400.0;
/// An anomaly has ended at a rate that differs from the one before by less than this factor.
const BACK: f64 = 1.5;

/// Requests in a piece of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    requests: f64,
    seconds: f64,
}

impl Window {
    pub(super) fn rate(self) -> f64 {
        if self.seconds > 0.0 { self.requests / self.seconds } else { 0.0 }
    }

    fn with(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, seconds: self.seconds + other.seconds }
    }

    /// How far the requests are from those at a rate, in standard deviations: the root of the deviance of a count whose rate
    /// has a swing (relative standard deviation, above 0) by itself. Never negative.
    pub(super) fn deviation(self, rate: f64, swing: f64) -> f64 {
        let (n, expected) = (self.requests, rate * self.seconds);
        if expected < LEAST_EXPECTED {
            return 0.0;
        }
        // Gamma-distributed rates of this shape swing so; their counts are negative binomial (Poisson for no swing).
        let shape = 1.0 / (swing * swing);
        let log = if n > 0.0 { n * (n / expected).ln() } else { 0.0 };
        let deviance = 2.0 * (log - (n + shape) * ((n + shape) / (expected + shape)).ln());
        deviance.max(0.0).sqrt()
    }
}

/// Rates of the last minutes and the last hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    open: Window,
    /// Latest first.
    blocks: [Window; BLOCKS],
    age: f64,
    /// Requests per second of late, the latest five minutes left out.
    rate: f64,
    weight: f64,
    /// The variance of a block's rate beyond Poisson's, over the rate's square.
    swing: f64,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            open: Window::default(),
            blocks: [Window::default(); BLOCKS],
            age: 0.0,
            rate: 0.0,
            weight: 0.0,
            swing: 0.0,
        }
    }

    /// Takes in an interval. When a minute has closed, answers the rate of the last five, to be learnt as usual.
    pub(super) fn observe(&mut self, requests: u64, seconds: f64, frozen: bool) -> Option<f64> {
        if !seconds.is_finite() || seconds <= 0.0 {
            return None;
        }
        let seconds = seconds.min(MAX_SECONDS);
        self.age = (self.age + seconds).min(f64::MAX / 2.0);
        self.open = self.open.with(Window { requests: (requests as f64).min(MAX_REQUESTS), seconds });
        if self.open.seconds < BLOCK_SECONDS {
            return None;
        }
        // What leaves the steady window becomes the past: nothing is compared with itself.
        if let (Some(past), false) = (self.blocks.get(STEADY - 1).copied(), frozen)
            && past.seconds > 0.0
        {
            self.learn(past);
        }
        self.blocks.rotate_right(1);
        if let Some(first) = self.blocks.first_mut() {
            *first = std::mem::take(&mut self.open);
        }
        let steady = self.last(STEADY)?;
        Some(steady.rate())
    }

    fn learn(&mut self, block: Window) {
        let keep = 0.5_f64.powf(block.seconds / HALF_LIFE);
        self.weight = keep * self.weight + (1.0 - keep);
        // The first blocks count alike.
        let share = if self.weight > 0.0 { (1.0 - keep) / self.weight } else { 1.0 };
        let expected = self.rate * block.seconds;
        if self.weight > 0.3 && expected > 0.0 {
            let beyond = ((block.requests - expected).powi(2) - expected) / (expected * expected);
            // One wild block is no swing.
            let beyond = beyond.clamp(-1.0, 1.0);
            self.swing += (1.0 - 0.5_f64.powf(block.seconds / SWING_HALF_LIFE)) * (beyond - self.swing);
        }
        self.rate += share * (block.rate() - self.rate);
    }

    /// Seconds that were fed.
    pub(super) fn age(&self) -> f64 {
        self.age
    }

    /// The rate of late, without the latest minutes.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// The rate of the latest minute.
    pub(super) fn rate_now(&self) -> f64 {
        self.last(1).map_or(0.0, Window::rate)
    }

    /// The windows that are complete, each with the swing to allow for. What a range of steady windows has seen already
    /// holds their swing, but not that of shorter ones.
    pub(super) fn windows(&self, seen: bool) -> impl Iterator<Item = (Window, f64)> {
        let swing = self.swing.max(0.0).sqrt().max(LEAST_SWING);
        WINDOWS.iter().filter_map(move |blocks| {
            let swing = if seen && *blocks >= STEADY { LEAST_SWING } else { swing };
            Some((self.last(*blocks)?, swing))
        })
    }

    /// Forgets all but the last minutes: an anomaly that has ended is not found again.
    pub(super) fn forget(&mut self) {
        for block in self.blocks.iter_mut().skip(STEADY) {
            *block = Window::default();
        }
    }

    /// Makes the last minutes what is compared with.
    pub(super) fn adopt(&mut self) {
        self.rate = self.last(STEADY).map_or(self.rate, Window::rate);
    }

    /// Whether the last minutes are as usual, or at a rate of before.
    pub(super) fn is_back(&self, usual: Band, before: Option<f64>) -> bool {
        [1, STEADY].iter().all(|blocks| {
            self.last(*blocks).is_some_and(|window| {
                let rate = window.rate();
                let is_near = |before: f64| rate <= before * BACK && rate * BACK >= before;
                usual.outside(rate) <= 0.0 || before.is_some_and(is_near)
            })
        })
    }

    fn last(&self, blocks: usize) -> Option<Window> {
        let blocks = self.blocks.get(..blocks)?;
        let complete = blocks.iter().all(|block| block.seconds > 0.0);
        complete.then(|| blocks.iter().fold(Window::default(), |sum, block| sum.with(*block)))
    }

    pub(super) fn is_sound(&self) -> bool {
        let sound = |window: &Window| {
            (0.0..=1e18).contains(&window.requests) && (0.0..=2.0 * MAX_SECONDS).contains(&window.seconds)
        };
        sound(&self.open)
            && self.blocks.iter().all(sound)
            && [self.age, self.rate, self.weight].iter().all(|number| number.is_finite() && *number >= 0.0)
            && (-1.0..=1.0).contains(&self.swing)
    }
}
