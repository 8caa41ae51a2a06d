//! Sequential tests on successes and failures: betting on a higher ratio, and on the return of the usual one.
//!
//! A bet at a fixed higher ratio multiplies by the likelihood ratio of each interval, and begins anew whenever it has lost
//! (Page's CUSUM, 1954). The mean of such bets is an e-detector (Shin, Ramdas and Rinaldo 2023): under any ratio up to the
//! usual one it takes at least `E` intervals on average to reach the wealth `E`, however often one looks.

use serde::{Deserialize, Serialize};

/// Ratios that are bet on, evenly spaced between the usual one and all on a logarithmic scale.
const BETS: usize = 6;
/// The highest of them: that a single request succeeds should not refute it for good.
const HIGHEST: f64 = 0.98;
/// The wealth at which the usual ratio has returned, as a logarithm.
const RETURNED: f64 = 3.4;
/// What counts as the anomaly's ratio when it ends, as a part of what it was: it may have calmed down a little.
const LESS: f64 = 0.75;
/// The most that the logarithm of a wealth can be: enough to be certain, and little enough to be forgotten.
const MOST: f64 = 1e6;

/// The logarithm of how much likelier an interval is under one ratio than under another, where failures come in bursts: so
/// many tell as much as one.
fn likelier(failed: u64, total: u64, under: f64, than: f64, burst: f64) -> f64 {
    let succeeded = total.saturating_sub(failed);
    (failed as f64 * (under / than).ln() + succeeded as f64 * ((1.0 - under) / (1.0 - than)).ln()) / burst
}

/// One bet on a higher ratio, with what was seen since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bet {
    log: f64,
    failed: u64,
    total: u64,
    seconds: f64,
}

/// All bets on a higher ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    bets: [Bet; BETS],
}

/// What the evidence says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The mean wealth as standard deviations: the root of twice its logarithm, 0 where it is below its stake.
    pub(super) score: f64,
    /// What was seen since the ratio most likely rose.
    pub(super) failed: u64,
    pub(super) total: u64,
    pub(super) seconds: f64,
}

impl Evidence {
    /// Takes in an interval whose ratio should be at most `usual`, which is above 0 and below 1.
    pub(super) fn weigh(&mut self, failed: u64, total: u64, seconds: f64, usual: f64, burst: f64) -> Found {
        for (index, bet) in self.bets.iter_mut().enumerate() {
            if bet.log <= 0.0 {
                *bet = Bet::default();
            }
            let ratio = (usual.ln() * (1.0 - (index + 1) as f64 / BETS as f64)).exp().min(HIGHEST);
            bet.log = (bet.log + likelier(failed, total, ratio, usual, burst)).clamp(-MOST, MOST);
            bet.failed = bet.failed.saturating_add(failed);
            bet.total = bet.total.saturating_add(total);
            bet.seconds += seconds;
        }
        let mut best = self.bets.first().copied().unwrap_or_default();
        for bet in &self.bets {
            if bet.log > best.log {
                best = *bet;
            }
        }
        let sum: f64 = self.bets.iter().map(|bet| (bet.log - best.log).exp()).sum();
        let log = best.log + (sum / BETS as f64).ln();
        Found { score: (2.0 * log.max(0.0)).sqrt(), failed: best.failed, total: best.total, seconds: best.seconds }
    }

    /// Forgets all beyond this score: what was certain for long is refuted as soon as what was hardly so.
    pub(super) fn limit(&mut self, score: f64) {
        for bet in &mut self.bets {
            bet.log = bet.log.min(score * score / 2.0);
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.bets.iter().all(|bet| {
            bet.log.abs() <= MOST && bet.failed <= bet.total && bet.seconds.is_finite() && bet.seconds >= 0.0
        })
    }
}

/// The bet that an anomaly is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Recovery {
    log: f64,
    seconds: f64,
}

impl Recovery {
    /// Takes in an interval of an anomaly with the ratio `during`.
    pub(super) fn weigh(&mut self, failed: u64, total: u64, seconds: f64, usual: f64, during: f64) {
        if self.log <= 0.0 {
            *self = Self::default();
        }
        let during = (during * LESS).clamp(usual, HIGHEST).max(usual * 2.0).min(HIGHEST);
        self.log = (self.log + likelier(failed, total, usual, during, 1.0)).clamp(-MOST, MOST);
        self.seconds += seconds;
    }

    /// Whether a stretch of at least so many seconds says so.
    pub(super) fn is_certain(&self, seconds: f64) -> bool {
        self.log >= RETURNED && self.seconds >= seconds
    }

    pub(super) fn is_sound(&self) -> bool {
        self.log.abs() <= MOST && self.seconds.is_finite() && self.seconds >= 0.0
    }
}
