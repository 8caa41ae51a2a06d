//! What a time of day usually shows.

use serde::{Deserialize, Serialize};

const DAY: f64 = 86_400.0;
/// What a day takes of the distance between an old extreme and its own: extremes last about a week, so that a weekend still
/// knows the one before.
const FORGET: f64 = 0.15;
/// Times beyond this are no times: the days could not be counted exactly.
const MAX_AT: f64 = 1e13;
/// Half hours of a day, every day alike.
const HALF_HOURS: usize = 48;
/// Hours of a day, and the kinds of days: people work from Monday to Friday.
const HOURS: usize = 24;
const KINDS: usize = 3;

/// The range between two values, both included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Band {
    pub(crate) low: f64,
    pub(crate) high: f64,
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
    pub(crate) fn outside(self, value: f64) -> f64 {
        (value - self.high).max(self.low - value).max(0.0)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    day: i64,
    /// Days that ended, up to a few.
    days: u8,
    /// What `day` has shown.
    today: Option<Band>,
    /// What the days before have shown.
    before: Option<Band>,
}

/// The ranges of values by time of day (UTC: local clocks move the whole pattern twice a year, and one day of that is in
/// the extremes soon), either of all days alike or of working days, Saturdays and Sundays apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hours {
    /// By kind of day, then by time.
    slots: Vec<Slot>,
}

/// What is usual at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usual {
    /// What days before showed at this time and just beside it, if any was seen.
    pub(crate) band: Option<Band>,
    /// Days of this kind that the band is made of, up to 255. No matter without a band.
    pub(crate) days: u8,
}

impl Hours {
    /// Half hours of any day.
    pub(crate) fn of_a_day() -> Self {
        Self { slots: vec![Slot::default(); HALF_HOURS] }
    }

    /// Hours of a working day, a Saturday and a Sunday.
    pub(crate) fn of_a_week() -> Self {
        Self { slots: vec![Slot::default(); KINDS * HOURS] }
    }

    pub(crate) fn is_of_a_day(&self) -> bool {
        self.slots.len() == HALF_HOURS && self.is_sound()
    }

    pub(crate) fn is_of_a_week(&self) -> bool {
        self.slots.len() == KINDS * HOURS && self.is_sound()
    }

    /// Takes in a value, and answers what days before showed at its time.
    pub(crate) fn observe(&mut self, at: f64, value: f64) -> Option<Band> {
        let usual = self.usual(at);
        self.learn(at, value);
        usual.band
    }

    /// What days before showed at a time and just beside it: people and cron jobs are not punctual.
    pub(crate) fn usual(&self, at: f64) -> Usual {
        let mut usual = Usual { band: None, days: u8::MAX };
        for beside in [-1.0, 0.0, 1.0] {
            let Some(Place { day, index }) = self.place(at + beside * self.slot_seconds()) else { continue };
            let Some(slot) = self.slots.get(index) else { continue };
            usual.band = Band::union(usual.band, slot.before);
            let mut days = slot.days;
            // It has not turned to this day yet.
            if slot.day < day && slot.today.is_some() {
                usual.band = Band::union(usual.band, slot.today);
                days = days.saturating_add(1);
            }
            usual.days = usual.days.min(days);
        }
        usual
    }

    /// Takes in a value.
    pub(crate) fn learn(&mut self, at: f64, value: f64) {
        let Some(Place { day, index }) = self.place(at) else { return };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.turn(day);
            slot.today = Band::union(slot.today, Some(Band { low: value, high: value }));
        }
    }

    fn slots_of_a_day(&self) -> usize {
        if self.slots.len() == HALF_HOURS { HALF_HOURS } else { HOURS }
    }

    fn slot_seconds(&self) -> f64 {
        DAY / self.slots_of_a_day() as f64
    }

    fn place(&self, at: f64) -> Option<Place> {
        if !at.is_finite() || at.abs() >= MAX_AT {
            return None;
        }
        let slots = self.slots_of_a_day();
        let day = (at / DAY).floor();
        let slot = ((at - day * DAY) / self.slot_seconds()) as usize % slots;
        let day = day as i64;
        let kind = match (day + 3).rem_euclid(7) {
            // The first day of UNIX time was a Thursday.
            5 => 1,
            6 => 2,
            _ => 0,
        };
        let first = if slots == HOURS { kind * HOURS } else { 0 };
        Some(Place { day, index: first + slot })
    }

    fn is_sound(&self) -> bool {
        let sound = |band: Option<Band>| {
            band.is_none_or(|band| band.low.is_finite() && band.high.is_finite() && band.low <= band.high)
        };
        self.slots.iter().all(|slot| sound(slot.today) && sound(slot.before))
    }
}

struct Place {
    day: i64,
    /// Where its slot is.
    index: usize,
}

impl Slot {
    /// Begins a day: the one that ends joins those before.
    fn turn(&mut self, day: i64) {
        if self.day == day {
            return;
        }
        self.day = day;
        let ended = self.today.take();
        if ended.is_some() {
            self.days = self.days.saturating_add(1);
        }
        self.before = match (self.before, ended) {
            (Some(Band { low, high }), Some(ended)) => Some(Band {
                low: if ended.low <= low { ended.low } else { low + FORGET * (ended.low - low) },
                high: if ended.high >= high { ended.high } else { high + FORGET * (ended.high - high) },
            }),
            (before, ended) => before.or(ended),
        };
    }
}
