//! How much the share of slow requests swings by itself, beyond the chance of independent requests.
//!
//! Requests of one window have their pace in common (one machine, one cache, one minute), so their number above a bound
//! swings more than a binomial one: the variance is that of independent requests times `1 + requests × correlation`. What
//! is learnt is kept together with the requests it was learnt at, so that it holds in a burst and at night.

use serde::{Deserialize, Serialize};

use crate::history::WINDOWS;

/// Blocks after which the estimate rolls on rather than averages.
const MEMORY: u32 = 900;
/// Correlation of the requests of a window that is assumed of every route, for a bound that one half exceed.
const ASSUMED: f64 = 0.02;
/// The assumption counts for as many blocks, and as many times the window's own, for windows that overlap teach little.
const ASSUMED_BLOCKS: f64 = 10.0;
const ASSUMED_WINDOWS: f64 = 3.0;
/// Noise learnt in the latest blocks, this many, is not relied on yet: they may turn out to begin an anomaly.
const DELAY: u32 = 12;
/// A suspicious end delays it further, up to this many blocks.
const DELAY_MOST: u32 = 36;
/// A single window may say at most this many times the noise known so far, so that an anomaly in its first seconds does
/// not pass for noise.
const CLIP: f64 = 9.0;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    /// Variance beyond that of independent requests, relative to it, per window and tail.
    learnt: Vec<f32>,
    /// The part of it that is relied on, as [`halve`] writes it.
    settled: Vec<u16>,
    /// Requests per window that it was learnt at.
    requests: [f32; WINDOWS.len()],
    /// Blocks that it was learnt from, at most [`MEMORY`].
    blocks: u32,
    /// Blocks since noise was settled.
    unsettled: u32,
}

impl Noise {
    pub(crate) fn new(width: usize) -> Self {
        Self { learnt: vec![0.0; WINDOWS.len() * width], settled: vec![0; WINDOWS.len() * width], ..Self::default() }
    }

    /// How many times the variance of `requests` independent ones the share above a bound swings by; at least 1.
    pub(crate) fn factor(&self, window: usize, tail: usize, requests: f64, usual: f64) -> f64 {
        let learnt_at = f64::from(self.requests.get(window).copied().unwrap_or(0.0));
        let ratio = if learnt_at > 0.0 { requests / learnt_at } else { 1.0 };
        let learnt = self.settled.get(self.index(window, tail)).copied().map_or(0.0, unhalve) * ratio;
        let assumed = ASSUMED * usual * (1.0 - usual) * requests;
        let (blocks, prior) = (f64::from(self.blocks), prior(window));
        1.0 + ((learnt * blocks + assumed * prior) / (blocks + prior)).max(0.0)
    }

    /// Takes note of the requests in a window.
    pub(crate) fn absorb_requests(&mut self, window: usize, requests: f64) {
        let memory = self.memory();
        if let Some(mean) = self.requests.get_mut(window) {
            *mean += (requests as f32 - *mean) / memory;
        }
    }

    /// Learns how far a share was from the usual, squared, in variances of independent requests; `factor` is the noise
    /// known so far.
    pub(crate) fn absorb(&mut self, window: usize, tail: usize, squared: f64, factor: f64) {
        let (index, memory) = (self.index(window, tail), self.memory());
        if let Some(learnt) = self.learnt.get_mut(index) {
            *learnt += ((squared - 1.0).min(CLIP * factor) as f32 - *learnt) / memory;
        }
    }

    /// One more block was learnt from. From time to time what was learnt is relied on.
    pub(crate) fn end_block(&mut self, suspicious: bool) {
        self.blocks = (self.blocks + 1).min(MEMORY);
        self.unsettled += 1;
        if self.unsettled >= if suspicious { DELAY_MOST } else { DELAY } {
            for (settled, learnt) in self.settled.iter_mut().zip(&self.learnt) {
                *settled = halve(*learnt);
            }
            self.unsettled = 0;
        }
    }

    /// The latest blocks were the beginning of an anomaly, not noise.
    pub(crate) fn forget_recent(&mut self) {
        for (learnt, settled) in self.learnt.iter_mut().zip(&self.settled) {
            *learnt = unhalve(*settled) as f32;
        }
        self.unsettled = 0;
    }

    /// Raises the noise of a tail by a factor, in all windows.
    pub(crate) fn raise(&mut self, tail: usize, times: f64, usual: f64) {
        for window in 0..WINDOWS.len() {
            let requests = f64::from(self.requests.get(window).copied().unwrap_or(0.0));
            let missing = self.factor(window, tail, requests, usual) * (times - 1.0);
            let blocks = f64::from(self.blocks.max(1));
            let index = self.index(window, tail);
            if let (Some(learnt), Some(settled)) = (self.learnt.get_mut(index), self.settled.get_mut(index)) {
                *learnt += (missing * (blocks + prior(window)) / blocks) as f32;
                *settled = halve(*learnt);
            }
        }
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.learnt.len() == WINDOWS.len() * width
            && self.settled.len() == self.learnt.len()
            && self.learnt.iter().all(|learnt| learnt.is_finite())
            && self.settled.iter().all(|settled| unhalve(*settled).is_finite())
            && self.requests.iter().all(|requests| requests.is_finite() && *requests >= 0.0)
            && self.blocks <= MEMORY
            && self.unsettled <= DELAY_MOST
    }

    /// The weight of one more block is one of so many.
    fn memory(&self) -> f32 {
        self.blocks as f32 + 1.0
    }

    fn index(&self, window: usize, tail: usize) -> usize {
        window * (self.learnt.len() / WINDOWS.len()) + tail
    }
}

/// Blocks that the assumption counts for.
fn prior(window: usize) -> f64 {
    ASSUMED_BLOCKS + ASSUMED_WINDOWS * WINDOWS.get(window).copied().unwrap_or(1) as f64
}

/// The upper half of a number: two to three digits are enough for noise, and take half of the memory.
fn halve(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

fn unhalve(half: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(half) << 16))
}
