//! What a request of the service usually needs of everything that is measured.

use outrigger_detect::{Part, PartKind};

use serde::{Deserialize, Serialize};

use super::machine;
use super::meter::{Amount, Key, Measure};
use super::reading::{Reading, Sums};

/// After this long a calm second counts half.
const HALF_LIFE_SECONDS: f64 = 600.0;
/// How a part swings is seen over pieces of this length.
const BLOCK_SECONDS: f64 = 5.0;
/// What a new piece weighs in the swings.
const BLOCK_WEIGHT: f64 = 0.1;
/// As many pieces must have been seen before anything is said.
const MIN_BLOCKS: u32 = 4;
/// The mean of several pieces swings less than one of them; of more than so many it does not, since neighbours are alike.
const MAX_PIECES: f64 = 6.0;
/// No part is steadier than this share of its mean.
const LEAST_SWING: f64 = 0.05;

/// Everything that is usual, forgetting slowly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Usual {
    seconds: f64,
    requests: f64,
    spent: f64,
    of: Vec<OfKey>,
    /// The piece at hand.
    block_seconds: f64,
    block_requests: f64,
    blocks: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct OfKey {
    sums: Amount,
    /// The piece at hand.
    block: f64,
    /// Of the seconds per request, around their mean.
    variance: f64,
}

/// Before and during: calls per request, seconds per call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contrast {
    pub(super) calls: (f64, f64),
    pub(super) seconds: (f64, f64),
}

impl Usual {
    pub(super) fn learn(&mut self, reading: &Reading) {
        let fade = 0.5_f64.powf(reading.seconds / HALF_LIFE_SECONDS);
        self.seconds = self.seconds * fade + reading.seconds;
        self.requests = self.requests * fade + reading.requests;
        self.spent = self.spent * fade + reading.spent;
        for of in &mut self.of {
            of.sums.calls *= fade;
            of.sums.seconds *= fade;
            of.sums.failed *= fade;
        }
        for (id, amount) in &reading.amounts {
            if self.of.len() <= *id {
                self.of.resize(id + 1, OfKey::default());
            }
            if let Some(of) = self.of.get_mut(*id) {
                of.sums.add(amount);
                of.block += amount.seconds;
            }
        }
        self.block_seconds += reading.seconds;
        self.block_requests += reading.requests;
        if self.block_seconds >= BLOCK_SECONDS && self.block_requests > 0.0 {
            let weight = BLOCK_WEIGHT.max(1.0 / f64::from(self.blocks + 1));
            for of in &mut self.of {
                let away = of.block / self.block_requests - of.sums.seconds / self.requests;
                of.variance += weight * (away * away - of.variance);
                of.block = 0.0;
            }
            (self.block_seconds, self.block_requests) = (0.0, 0.0);
            self.blocks = self.blocks.saturating_add(1);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.blocks >= MIN_BLOCKS && self.requests > 0.0 && self.seconds > 0.0
    }

    /// Requests per second.
    pub(super) fn rate(&self) -> f64 {
        self.requests / self.seconds
    }

    /// Seconds that a request takes.
    pub(super) fn spent_each(&self) -> f64 {
        self.spent / self.requests
    }

    /// Requests per second, in units of the usual; at most 1 where they are few enough more to be chance.
    pub(super) fn traffic(&self, during: &Sums) -> f64 {
        let expected = self.rate() * during.seconds;
        let ratio = during.requests / expected;
        if during.requests > expected + 3.0 * expected.sqrt() { ratio } else { ratio.min(1.0) }
    }

    /// Seconds that the requests take beyond the usual only because more of them are of routes that always take long.
    pub(super) fn by_mix(&self, keys: &[(usize, &Key)], during: &Sums) -> f64 {
        let routes = keys.iter().filter(|(_, key)| key.measure == Measure::Route);
        let more = routes.map(|(id, _)| {
            let (then, now) = (self.of(*id).sums, during.amount(*id));
            // Of one that is new it is not known what it takes.
            if then.calls > 0.0 { now.calls * (then.seconds / then.calls - self.spent_each()) } else { 0.0 }
        });
        more.sum::<f64>().max(0.0)
    }

    fn of(&self, id: usize) -> OfKey {
        self.of.get(id).copied().unwrap_or_default()
    }

    pub(super) fn contrast(&self, id: usize, during: &Sums) -> Contrast {
        let (then, now) = (self.of(id).sums, during.amount(id));
        let each = |amount: Amount| if amount.calls > 0.0 { amount.seconds / amount.calls } else { 0.0 };
        Contrast { calls: (then.calls / self.requests, now.calls / during.requests), seconds: (each(then), each(now)) }
    }

    /// Which part of the time it was so, before and during.
    pub(super) fn share(&self, id: usize, during: &Sums) -> (f64, f64) {
        (self.of(id).sums.seconds / self.seconds, during.amount(id).seconds / during.seconds)
    }

    /// Calls beyond those that as many requests usually make; 0 where they are few enough to be chance.
    pub(super) fn more_calls(&self, id: usize, during: &Sums) -> f64 {
        let expected = (self.of(id).sums.calls / self.requests * during.requests).max(0.0);
        let more = during.amount(id).calls - expected;
        if more > 3.0 * expected.sqrt() && more >= 1.0 { more } else { 0.0 }
    }

    /// Whether all of it can be kept, and its pieces belong to so many keys.
    pub(super) fn is_sound(&self, keys: usize) -> bool {
        let own = [self.seconds, self.requests, self.spent, self.block_seconds, self.block_requests];
        let of = |of: &OfKey| [of.sums.calls, of.sums.seconds, of.sums.failed, of.block, of.variance];
        let all = own.into_iter().chain(self.of.iter().flat_map(of));
        self.of.len() <= keys && all.into_iter().all(f64::is_finite)
    }

    /// How long a statement of the database usually takes, whichever it is.
    pub(super) fn statement(&self, keys: &[Key]) -> f64 {
        let mut all = Amount::default();
        let of = keys.iter().zip(&self.of).filter(|(key, _)| key.measure == Measure::Part(PartKind::Database));
        of.for_each(|(_, of)| all.add(&of.sums));
        if all.calls > 0.0 { all.seconds / all.calls } else { 0.0 }
    }

    /// What a part added beyond what as many requests usually need. `statement` is what a statement usually takes.
    pub(super) fn part(&self, key: &Key, id: usize, during: &Sums, statement: f64) -> Option<Part> {
        let Measure::Part(kind) = key.measure else { return None };
        if kind.is_of_machine() {
            let share = self.share(id, during);
            let swing = self.of(id).variance.sqrt() * self.rate();
            return Some(machine::part(kind, share, swing, during.spent));
        }
        let (of, now) = (self.of(id), during.amount(id));
        let requests = during.requests;
        let mean = of.sums.seconds / self.requests;
        let contrast = self.contrast(id, during);
        // What fails anyway swings by about the root of its number.
        let expected = (of.sums.failed / self.requests * requests).max(0.0);
        let failed = Some(now.failed - expected).filter(|failed| *failed > 3.0 * expected.sqrt()).unwrap_or(0.0);
        let (by_calls, by_duration) = match kind {
            // Samples of how late it runs: each request waits about so long at least once.
            PartKind::Runtime => (0.0, requests * (contrast.seconds.1 - contrast.seconds.0)),
            // Not all that takes it is a call, and what is held for nothing is none.
            PartKind::Cpu => (now.seconds - mean * requests, 0.0),
            PartKind::Pool => (0.0, now.seconds - mean * requests),
            PartKind::Throttle | PartKind::Crowd | PartKind::Memory | PartKind::Disk | PartKind::Unaccounted => {
                (0.0, 0.0)
            }
            PartKind::Database | PartKind::CacheLoad | PartKind::Downstream => {
                // Without the additional calls none of their time would be spent, however slow they are for being many.
                // But a few additional statements that are slow are no flood of them.
                let each = match kind {
                    _ if contrast.calls.1 < contrast.calls.0 => contrast.seconds.0,
                    PartKind::Database => contrast.seconds.1.min(statement.max(contrast.seconds.0)),
                    _ => contrast.seconds.1,
                };
                let by_calls = (contrast.calls.1 - contrast.calls.0) * requests * each;
                (by_calls, now.seconds - mean * requests - by_calls)
            }
        };
        let swing = match kind {
            PartKind::Runtime => contrast.seconds.0,
            _ => of.variance.sqrt().max(LEAST_SWING * mean.abs()),
        };
        let pieces = (during.seconds / BLOCK_SECONDS).clamp(1.0, MAX_PIECES);
        let deviation = (by_calls + by_duration) / (swing / pieces.sqrt() * requests).max(1e-9);
        // A statement that is new is held against the usual one.
        let before = if contrast.calls.0 > 0.0 { contrast.seconds.0 } else { statement };
        let each = (before, contrast.seconds.1);
        Some(Part { kind, by_calls, by_duration, failed, deviation, each }).filter(|part| part.deviation.is_finite())
    }
}
