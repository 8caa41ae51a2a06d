//! What a request of the service usually needs of everything that is measured.

use outrigger_detect::{Part, PartKind};

use super::meter::{Amount, Key};
use super::{Reading, Sums};

/// After this long a calm second counts half.
const HALF_LIFE_SECONDS: f64 = 600.0;
/// How a part swings is seen over pieces of this length.
const BLOCK_SECONDS: f64 = 5.0;
/// What a new piece weighs in the swings.
const BLOCK_WEIGHT: f64 = 0.1;
/// As many pieces must have been seen before anything is said.
const MIN_BLOCKS: u32 = 4;
/// No part is steadier than this share of its mean.
const LEAST_SWING: f64 = 0.05;

/// Everything that is usual, forgetting slowly.
#[derive(Debug, Default)]
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

#[derive(Clone, Copy, Debug, Default)]
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

    fn of(&self, id: usize) -> OfKey {
        self.of.get(id).copied().unwrap_or_default()
    }

    pub(super) fn contrast(&self, id: usize, during: &Sums) -> Contrast {
        let (then, now) = (self.of(id).sums, during.amount(id));
        let each = |amount: Amount| if amount.calls > 0.0 { amount.seconds / amount.calls } else { 0.0 };
        Contrast { calls: (then.calls / self.requests, now.calls / during.requests), seconds: (each(then), each(now)) }
    }

    /// How long a statement of the database usually takes, whichever it is.
    pub(super) fn statement(&self, keys: &[Key]) -> f64 {
        let mut all = Amount::default();
        let of = keys.iter().zip(&self.of).filter(|(key, _)| key.kind == PartKind::Database);
        of.for_each(|(_, of)| all.add(&of.sums));
        if all.calls > 0.0 { all.seconds / all.calls } else { 0.0 }
    }

    /// What a part added beyond what as many requests usually need. `statement` is what a statement usually takes.
    pub(super) fn part(&self, key: &Key, id: usize, during: &Sums, statement: f64) -> Option<Part> {
        let (of, now) = (self.of(id), during.amount(id));
        let requests = during.requests;
        let mean = of.sums.seconds / self.requests;
        let contrast = self.contrast(id, during);
        // What fails anyway swings by about the root of its number.
        let expected = (of.sums.failed / self.requests * requests).max(0.0);
        let failed = Some(now.failed - expected).filter(|failed| *failed > 3.0 * expected.sqrt()).unwrap_or(0.0);
        let (by_calls, by_duration) = match key.kind {
            // Samples of how late it runs: each request waits about so long at least once.
            PartKind::Runtime => (0.0, requests * (contrast.seconds.1 - contrast.seconds.0)),
            // Not all that takes it is a call, and what is held for nothing is none.
            PartKind::Cpu => (now.seconds - mean * requests, 0.0),
            PartKind::Pool => (0.0, now.seconds - mean * requests),
            PartKind::Database | PartKind::CacheLoad | PartKind::Downstream => {
                // Without the additional calls none of their time would be spent, however slow they are for being many.
                // But a few additional statements that are slow are no flood of them.
                let each = match key.kind {
                    PartKind::Database => contrast.seconds.1.min(statement.max(contrast.seconds.0)),
                    _ => contrast.seconds.1,
                };
                let by_calls = (contrast.calls.1 - contrast.calls.0) * requests * each;
                (by_calls, now.seconds - mean * requests - by_calls)
            }
        };
        let swing = match key.kind {
            PartKind::Runtime => contrast.seconds.0,
            _ => of.variance.sqrt().max(LEAST_SWING * mean.abs()),
        };
        let deviation = (by_calls + by_duration) / (swing * requests).max(1e-9);
        Some(Part { kind: key.kind, by_calls, by_duration, failed, deviation })
            .filter(|part| part.deviation.is_finite())
    }
}
