//! How fast an error budget burns: multi-window, multi-burn-rate alerts after Google's SRE workbook ("Alerting on SLOs").

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    StateError,
    series::{SeriesState, Watch},
    words::{Lasting, Number, Share},
};

/// The rings of buckets, by the width of a bucket in seconds and their number: an hour, six hours, three days.
const RINGS: [(f64, usize); 3] = [(60.0, 60), (300.0, 72), (3600.0, 72)];

/// The time that a budget is for, in seconds.
const PERIOD: f64 = 30.0 * 86_400.0;

/// Less than one request in a billion is no budget.
const LEAST_BUDGET: f64 = 1e-9;

/// Times beyond this are no times.
const MAX_AT: f64 = 1e13;

/// A time so far before the latest, in seconds, says that the clock was wrong then; a nearer one came late.
const CLOCK_SET_BACK: f64 = 3600.0;

/// Two observations that lie so far apart at most, in seconds, are the ends of one interval; more is a gap.
const LONGEST_INTERVAL: f64 = 300.0;

/// A span of time, as so many buckets of a ring.
struct Span {
    ring: usize,
    buckets: usize,
}

impl Span {
    fn seconds(&self) -> f64 {
        RINGS.get(self.ring).map_or(0.0, |(width, _)| width * self.buckets as f64)
    }
}

/// A pace that is told: the budget of 30 days gone in `30 / pace` days.
struct Rule {
    pace: f64,
    /// Says that it matters.
    long: Span,
    /// Says that it still goes on.
    short: Span,
    urgency: Urgency,
}

/// Fastest first.
const RULES: [Rule; 4] = [
    Rule {
        pace: 14.4,
        long: Span { ring: 0, buckets: 60 },
        short: Span { ring: 0, buckets: 5 },
        urgency: Urgency::Critical,
    },
    Rule {
        pace: 6.0,
        long: Span { ring: 1, buckets: 72 },
        short: Span { ring: 0, buckets: 30 },
        urgency: Urgency::Critical,
    },
    Rule {
        pace: 3.0,
        long: Span { ring: 2, buckets: 24 },
        short: Span { ring: 1, buckets: 24 },
        urgency: Urgency::Warning,
    },
    Rule {
        pace: 1.0,
        long: Span { ring: 2, buckets: 72 },
        short: Span { ring: 1, buckets: 72 },
        urgency: Urgency::Warning,
    },
];

/// Which objective a [`BurnRate`] watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnSettings {
    /// The share of requests that may be bad, above 0 (else nothing is ever told). Defaults to 0.001, an availability of 99.9 %; 0.05 for requests that
    /// 95 % of must be fast.
    pub budget: f64,
    /// Bad requests that the long window must hold. Defaults to 5: of one failure among ten requests, a share says nothing.
    pub min_bad: u64,
}

impl Default for BurnSettings {
    fn default() -> Self {
        Self { budget: 0.001, min_bad: 5 }
    }
}

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Within days: a ticket.
    Warning,
    /// Now: a page.
    Critical,
}

/// Says when the error budget of an objective is spent too fast. One counts for one objective.
///
/// The pace is the share of bad requests over the budget: at 1 the budget of 30 days lasts exactly 30 days. Told are the
/// paces of 14.4 over 1 h and 5 min, 6 over 6 h and 30 min (both critical), 3 over a day and 2 h, and 1 over 3 days
/// and 6 h (both warnings). The long window says that it matters, the short one that it still goes on, so that it
/// ends soon after the failures do.
///
/// Counts are kept in 60 buckets of a minute, 72 of five minutes and 72 of an hour; a window ends with the bucket that is
/// open. The time before the first observation counts as if all had been good in it, as does what lies between two that are
/// more than five minutes apart. The state takes less than 6 KiB; nothing is allocated once it
/// is made.
#[derive(Clone, Debug)]
pub struct BurnRate {
    settings: BurnSettings,
    memory: BurnMemory,
}

/// Everything that is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BurnMemory {
    /// The times of the first observation and the latest.
    since: Option<f64>,
    at: Option<f64>,
    rings: Vec<Vec<Bucket>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// The number of the piece of time: its start in units of its width.
    index: i64,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    bad: u64,
    total: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.bad = self.bad.saturating_add(other.bad);
        self.total = self.total.saturating_add(other.total);
    }

    fn share(self) -> f64 {
        if self.total > 0 { self.bad as f64 / self.total as f64 } else { 0.0 }
    }
}

/// A budget that is spent too fast. `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Burn {
    /// How soon somebody should look.
    pub urgency: Urgency,
    /// The pace that was exceeded.
    pub limit: f64,
    /// The pace in the long window. The time before the first observation counts as good.
    pub pace: f64,
    /// The pace in the short window.
    pub pace_now: f64,
    /// The length of the long window, in seconds.
    pub long_seconds: f64,
    /// The length of the short window, in seconds.
    pub short_seconds: f64,
    /// Bad requests in the long window.
    pub bad: u64,
    /// All requests in the long window.
    pub total: u64,
}

impl Burn {
    /// The share of 30 days' budget that the long window has spent, if traffic is as it was in it.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.pace * self.long_seconds / PERIOD
    }

    /// Seconds until a full budget is gone at the pace of the long window.
    #[must_use]
    pub fn lasts_seconds(&self) -> f64 {
        PERIOD / self.pace
    }
}

impl fmt::Display for Burn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pace, pace_now, long_seconds, short_seconds, bad, total, .. } = *self;
        write!(f, "the error budget is spent {} times too fast over {}", Number(pace), Lasting(long_seconds))?;
        write!(f, " ({} times over {}): ", Number(pace_now), Lasting(short_seconds))?;
        write!(f, "{bad} of {total} requests were bad, ")?;
        write!(f, "{} of 30 days' budget; it lasts {}", Share(self.spent()), Lasting(self.lasts_seconds()))
    }
}

impl BurnRate {
    /// Counts from nothing.
    #[must_use]
    pub fn new(settings: BurnSettings) -> Self {
        let ring = |(_, buckets): &(f64, usize)| vec![Bucket::default(); *buckets];
        Self { settings, memory: BurnMemory { since: None, at: None, rings: RINGS.iter().map(ring).collect() } }
    }

    /// Takes up a kept state under the given settings: it holds counts, so that the budget may be another one.
    ///
    /// # Errors
    ///
    /// When the state has a version that this release does not know, belongs to another kind of detector, or is damaged.
    pub fn restore(settings: BurnSettings, state: SeriesState) -> Result<Self, StateError> {
        match state.open()? {
            Watch::Burn(memory) if memory.is_sound() => Ok(Self { settings, memory: *memory }),
            Watch::Burn(_) => Err(StateError::Damaged { what: "counts and buckets do not agree" }),
            other => Err(other.is_not("burn rate")),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &BurnSettings {
        &self.settings
    }

    /// The counts, to be kept across restarts of its host.
    #[must_use]
    pub fn state(&self) -> SeriesState {
        SeriesState::new(Watch::Burn(Box::new(self.memory.clone())))
    }

    /// Takes in the requests of an interval that ended at `at` (UNIX seconds; what is no time, or up to an hour before the
    /// latest one, counts as that; what is further back sets the clock back), and answers the fastest pace that is told. More bad requests than there were are as many as there were.
    pub fn observe(&mut self, at: f64, bad: u64, total: u64) -> Option<Burn> {
        let before = self.memory.at;
        let at = self.memory.advance(at)?;
        let since = *self.memory.since.get_or_insert(at);
        let counts = Counts { bad: bad.min(total), total };
        let begun = before.filter(|before| at - before <= LONGEST_INTERVAL).unwrap_or(at);
        for (ring, (width, _)) in self.memory.rings.iter_mut().zip(RINGS) {
            let piece = |at: f64| (at / width).floor() as i64;
            let last = piece(at);
            // A piece of time between two observations was seen, though what came in it is counted in the last.
            for index in piece(begun).min(last)..=last {
                let place = index.rem_euclid(i64::try_from(ring.len()).unwrap_or(1).max(1));
                let Some(bucket) = usize::try_from(place).ok().and_then(|place| ring.get_mut(place)) else { continue };
                if bucket.index != index {
                    *bucket = Bucket { index, counts: Counts::default() };
                }
                if index == last {
                    bucket.counts.add(counts);
                }
            }
        }
        RULES.iter().find_map(|rule| self.judge(rule, at, at - since))
    }

    /// The paces over the last five minutes, hour, six hours and three days, each with the length of its window in seconds;
    /// 0 where there were no requests. As in [`Burn::pace`], the time before the first observation counts as good.
    #[must_use]
    pub fn paces(&self) -> [(f64, f64); 4] {
        let spans = [(0, 5), (0, 60), (1, 72), (2, 72)].map(|(ring, buckets)| Span { ring, buckets });
        let (at, since) = (self.memory.at.unwrap_or(0.0), self.memory.since.unwrap_or(0.0));
        spans.map(|span| {
            let covered = self.memory.covered(&span, at, at - since);
            let pace = self.memory.counts(&span, at).share() / self.settings.budget.max(LEAST_BUDGET) * covered;
            (span.seconds(), if pace.is_finite() { pace } else { 0.0 })
        })
    }

    fn judge(&self, rule: &Rule, at: f64, age: f64) -> Option<Burn> {
        let BurnSettings { budget, min_bad } = self.settings;
        if budget.is_nan() || budget <= 0.0 {
            return None;
        }
        let budget = budget.max(LEAST_BUDGET);
        let (long, short) = (self.memory.counts(&rule.long, at), self.memory.counts(&rule.short, at));
        // A minute of traffic is no three days: what was before the first is taken for good.
        let covered = self.memory.covered(&rule.long, at, age);
        let (pace, pace_now) = (long.share() / budget * covered, short.share() / budget);
        let told = long.bad >= min_bad && pace >= rule.pace && pace_now >= rule.pace && pace.is_finite();
        told.then(|| Burn {
            urgency: rule.urgency,
            limit: rule.pace,
            pace,
            pace_now,
            long_seconds: rule.long.seconds(),
            short_seconds: rule.short.seconds(),
            bad: long.bad,
            total: long.total,
        })
    }
}

impl BurnMemory {
    /// Moves on to a time and answers it: the latest one where it is none, or lies a little before.
    fn advance(&mut self, at: f64) -> Option<f64> {
        let is_time = at.is_finite() && at.abs() < MAX_AT;
        let at = match self.at {
            Some(latest) if is_time && at < latest - CLOCK_SET_BACK => {
                self.set_back(at);
                at
            }
            Some(latest) if is_time => at.max(latest),
            None if is_time => at,
            latest => latest?,
        };
        self.at = Some(at);
        Some(at)
    }

    /// The clock was ahead and is set right: what was counted beyond the time that it says now is dropped.
    fn set_back(&mut self, at: f64) {
        self.since = self.since.map(|since| since.min(at));
        for (ring, (width, _)) in self.rings.iter_mut().zip(RINGS) {
            let now = (at / width).floor() as i64;
            for bucket in ring.iter_mut().filter(|bucket| bucket.index > now) {
                *bucket = Bucket::default();
            }
        }
    }

    /// The share of a span that was seen, of what has been watched for `age` seconds. The first interval has a length too,
    /// which is no more than what has been seen since.
    fn covered(&self, span: &Span, at: f64, age: f64) -> f64 {
        let Some((width, _)) = RINGS.get(span.ring) else { return 0.0 };
        let seen = self.within(span, at).count() as f64 * width;
        ((age + age.min(RINGS[0].0)).min(seen) / span.seconds()).clamp(0.0, 1.0)
    }

    /// The pieces of a span that ends now in which something was observed.
    fn within(&self, span: &Span, at: f64) -> impl Iterator<Item = &Bucket> {
        let width = RINGS.get(span.ring).map_or(f64::NAN, |(width, _)| *width);
        let (now, buckets) = ((at / width).floor() as i64, span.buckets as u64);
        let ring = self.rings.get(span.ring).into_iter().flatten();
        ring.filter(move |bucket| bucket.index <= now && now.saturating_sub(bucket.index).unsigned_abs() < buckets)
    }

    /// The requests in a span that ends now.
    fn counts(&self, span: &Span, at: f64) -> Counts {
        let mut sum = Counts::default();
        self.within(span, at).for_each(|bucket| sum.add(bucket.counts));
        sum
    }

    fn is_sound(&self) -> bool {
        let is_time = |at: f64| at.is_finite() && at.abs() < MAX_AT;
        self.at.is_none_or(is_time)
            && self.since.is_none_or(is_time)
            && self.since <= self.at
            && self.rings.len() == RINGS.len()
            && self.rings.iter().zip(RINGS).all(|(ring, (_, buckets))| {
                ring.len() == buckets
                    && ring
                        .iter()
                        .all(|Bucket { index, counts }| index.unsigned_abs() < 1 << 52 && counts.bad <= counts.total)
            })
    }
}
