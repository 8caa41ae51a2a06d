//! What a time of day usually shows.

use serde::{Deserialize, Serialize};

/// Half hours of a day. A value is compared with its own and the two beside it: people and cron jobs are not punctual.
const SLOTS: usize = 48;
const SLOT_SECONDS: f64 = DAY / SLOTS as f64;
const DAY: f64 = 86_400.0;
/// What a day takes of the distance between an old extreme and its own: extremes last about a week, so that a weekend still
/// knows the one before.
const FORGET: f64 = 0.15;
/// Times beyond this are no times: the days could not be counted exactly.
const MAX_AT: f64 = 1e13;

/// The range between two values, both included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Band {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Band {
    fn with(self, value: f64) -> Self {
        Self { low: self.low.min(value), high: self.high.max(value) }
    }

    fn union(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.with(b.low).with(b.high)),
            (a, b) => a.or(b),
        }
    }

    /// How far the value lies outside, 0 inside.
    pub(super) fn outside(self, value: f64) -> f64 {
        (value - self.high).max(self.low - value).max(0.0)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    day: i64,
    /// What `day` has shown.
    today: Option<Band>,
    /// What the days before have shown.
    before: Option<Band>,
}

/// The ranges of values by time of day (UTC: local clocks move the whole pattern twice a year, and one day of that is in
/// the extremes soon).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hours {
    slots: Vec<Slot>,
}

impl Default for Hours {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); SLOTS] }
    }
}

impl Hours {
    /// Takes in a value and answers what earlier days showed at its time, if any was seen.
    pub(super) fn observe(&mut self, at: f64, value: f64) -> Option<Band> {
        if !at.is_finite() || at.abs() >= MAX_AT {
            return None;
        }
        let day = (at / DAY).floor();
        let index = ((at - day * DAY) / SLOT_SECONDS) as usize % SLOTS;
        let day = day as i64;
        let mut band = None;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.turn(day);
        }
        for beside in [index + SLOTS - 1, index, index + 1] {
            if let Some(slot) = self.slots.get(beside % SLOTS) {
                band = Band::union(band, slot.before);
                // The one ahead has not turned to this day yet.
                if slot.day < day {
                    band = Band::union(band, slot.today);
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.today = Band::union(slot.today, Some(Band { low: value, high: value }));
        }
        band
    }

    pub(super) fn is_sound(&self) -> bool {
        let sound = |band: Option<Band>| {
            band.is_none_or(|band| band.low.is_finite() && band.high.is_finite() && band.low <= band.high)
        };
        self.slots.len() == SLOTS && self.slots.iter().all(|slot| sound(slot.today) && sound(slot.before))
    }
}

impl Slot {
    /// Begins a day: the one that ends joins those before.
    fn turn(&mut self, day: i64) {
        if self.day == day {
            return;
        }
        self.day = day;
        self.before = match (self.before, self.today.take()) {
            (Some(Band { low, high }), Some(ended)) => Some(Band {
                low: if ended.low <= low { ended.low } else { low + FORGET * (ended.low - low) },
                high: if ended.high >= high { ended.high } else { high + FORGET * (ended.high - high) },
            }),
            (before, ended) => before.or(ended),
        };
    }
}
