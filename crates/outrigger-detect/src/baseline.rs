//! What is normal for a route: the share of requests above each bound, and how much these shares swing by themselves.

use serde::{Deserialize, Serialize};

use crate::history::{Block, WINDOWS};

/// A baseline forgets no faster than this, in seconds, however young it is.
const SHORTEST_HALF_LIFE: f64 = 60.0;
/// Blocks after which the estimate of the noise rolls on rather than averages.
const NOISE_MEMORY: u32 = 900;
/// Blocks that the assumption of no extra noise counts for.
const NOISE_PRIOR: u32 = 20;
/// Noise learnt in the latest blocks, this many, is not relied on yet: they may turn out to begin an anomaly.
const NOISE_DELAY: u32 = 12;
/// A suspicious end delays it further, up to this many blocks.
const NOISE_DELAY_MOST: u32 = 36;
/// A single block may say at most this many times the noise known so far, so that an anomaly in its first seconds does
/// not pass for noise.
const NOISE_CLIP: f32 = 9.0;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Decayed tail counts, as in [`Block::tails`].
    tails: Vec<f64>,
    /// Decayed time spent by these requests, in seconds.
    spent: f64,
    /// Time learnt from, not decayed.
    seconds: f64,
    /// Requests learnt from, not decayed.
    requests: u64,
    /// Variance of the shares relative to independent requests, per window and tail: 1 where requests are independent.
    noise: Vec<f32>,
    /// The part of it that is relied on.
    settled_noise: Vec<f32>,
    /// Blocks since noise was settled.
    unsettled_blocks: u32,
    /// Blocks that `noise` was learnt from.
    noise_blocks: u32,
}

impl Baseline {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            tails: vec![0.0; width],
            noise: vec![1.0; WINDOWS.len() * width],
            settled_noise: vec![1.0; WINDOWS.len() * width],
            ..Self::default()
        }
    }

    /// Learns from a block, with a weight between 0 and 1.
    pub(crate) fn absorb(&mut self, block: Block<'_>, weight: f64, half_life: f64) {
        let half_life = half_life.min(self.seconds.max(SHORTEST_HALF_LIFE)).max(1.0);
        // Silence teaches nothing, so one long block halves the past at most.
        let keep = (-block.seconds * weight / half_life).max(-1.0).exp2();
        for (sum, count) in self.tails.iter_mut().zip(block.tails) {
            *sum = *sum * keep + f64::from(*count) * weight;
        }
        self.spent = self.spent * keep + block.spent * weight;
        self.seconds += block.seconds * weight;
        self.requests = self.requests.saturating_add(block.tails.first().copied().unwrap_or(0).into());
    }

    /// Learns how far the share of a window was from the baseline, as a squared standard deviation.
    pub(crate) fn absorb_noise(&mut self, window: usize, tail: usize, squared: f64) {
        let index = self.noise_index(window, tail);
        if let Some(noise) = self.noise.get_mut(index) {
            let memory = self.noise_blocks.min(NOISE_MEMORY) + NOISE_PRIOR;
            *noise += ((squared as f32).min(NOISE_CLIP * noise.max(1.0)) - *noise) / memory as f32;
        }
    }

    /// One more block went into the noise. From time to time what was learnt is relied on.
    pub(crate) fn end_noise_block(&mut self, suspicious: bool) {
        self.noise_blocks = self.noise_blocks.saturating_add(1);
        self.unsettled_blocks = self.unsettled_blocks.saturating_add(1);
        if self.unsettled_blocks >= if suspicious { NOISE_DELAY_MOST } else { NOISE_DELAY } {
            self.settled_noise.clone_from(&self.noise);
            self.unsettled_blocks = 0;
        }
    }

    /// The latest blocks were the beginning of an anomaly, not noise.
    pub(crate) fn forget_recent_noise(&mut self) {
        self.noise.clone_from(&self.settled_noise);
        self.unsettled_blocks = 0;
    }

    /// How many times wider than independent requests would make it the share above a bound swings; at least 1.
    pub(crate) fn noise(&self, window: usize, tail: usize) -> f64 {
        self.settled_noise.get(self.noise_index(window, tail)).copied().unwrap_or(1.0).max(1.0).into()
    }

    /// Decayed requests above a bound; tail 0 is all of them.
    pub(crate) fn count(&self, tail: usize) -> f64 {
        self.tails.get(tail).copied().unwrap_or(0.0)
    }

    /// Share of requests above a bound.
    pub(crate) fn share(&self, tail: usize) -> f64 {
        if self.count(0) > 0.0 { (self.count(tail) / self.count(0)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Mean time of a request, in seconds.
    pub(crate) fn mean(&self) -> f64 {
        if self.count(0) > 0.0 { self.spent / self.count(0) } else { 0.0 }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn width(&self) -> usize {
        self.tails.len()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.noise.len() == WINDOWS.len() * self.tails.len()
            && self.settled_noise.len() == self.noise.len()
            && self.tails.is_sorted_by(|wide, narrow| wide >= narrow)
            && self.noise.iter().chain(&self.settled_noise).all(|value| value.is_finite() && *value >= 0.0)
            && self.tails.iter().all(|value| value.is_finite() && *value >= 0.0)
            && [self.spent, self.seconds].iter().all(|value| value.is_finite() && *value >= 0.0)
    }

    fn noise_index(&self, window: usize, tail: usize) -> usize {
        window * self.tails.len() + tail
    }
}
