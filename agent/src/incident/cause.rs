//! Why an incident may be: what the service measures of itself, before it and during it.
//!
//! Each page's database statements, pools, caches, outgoing calls, CPU and runtime are taken per request of the service.
//! What they add while routes are anomalous is held against what these routes' requests lost, by
//! [`outrigger_detect::attribute`]. What is said is an indication with a strength; without one, the cause is unknown.

mod facts;
mod kept;
mod machine;
mod meter;
mod profiled;
mod reading;
#[cfg(test)]
mod tests;
mod usual;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use outrigger_detect::{CauseKind, PartKind, Symptoms, attribute, decompose};
use serde::{Deserialize, Serialize};

use crate::collect::strain::Strain;
use crate::derive::Routes;
use crate::series::SeriesTable;
pub(crate) use kept::KeptEvidence;
use meter::{Amount, Key, Measure, Totals};
use reading::{Reading, Sums};
use usual::Usual;

/// One thing that may be the matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cause {
    /// What it is, in one word.
    pub(crate) cause: CauseKind,
    /// How much speaks for it, 0 to 1.
    pub(crate) strength: f64,
    /// Which of its kind: a statement, a pool, a cache. Absent if it was found by ruling others out.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    /// What speaks for it, in words and numbers.
    pub(crate) evidence: String,
}

/// What one kind of work took of the time that requests lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AddedTime {
    /// What it is; `unaccounted` is what nothing that is measured took.
    pub(crate) part: PartKind,
    /// Which of its kind, if one took most of it.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) seconds: f64,
    /// The same as a share of all the time that was lost, 0 to 1.
    pub(crate) share: f64,
}

/// What is said of why an incident is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Explanation {
    /// What may be the cause, the likeliest first.
    pub(crate) causes: Vec<Cause>,
    /// How the time that requests lost is made up, the most first.
    pub(crate) added_time: Vec<AddedTime>,
}

/// What an incident amounts to so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trouble {
    /// When it began.
    pub(crate) onset: SystemTime,
    /// Seconds that requests took beyond the usual.
    pub(crate) added_seconds: f64,
    /// Requests that failed beyond the usual.
    pub(crate) failed: f64,
}

/// What speaks for the causes of one target's incidents.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// The series by what they stand for.
    keys: Vec<Key>,
    index: HashMap<Key, usize>,
    /// What each series held at the page before.
    last: BTreeMap<u64, Totals>,
    /// What held the service up until now, and what of it is in the readings.
    strain: Option<Strain>,
    last_strain: Option<Strain>,
    /// The most connections that each pool may have.
    limits: BTreeMap<Box<str>, f64>,
    /// The latest intervals. They become part of the usual once it is clear that no incident had begun in them.
    recent: VecDeque<Reading>,
    usual: Usual,
    /// The end of the last interval that became part of it.
    learnt_until: Option<SystemTime>,
    /// When the incident began that is open; what came in since is no normal.
    held_since: Option<SystemTime>,
    /// Set while an incident is explained.
    during: Option<Sums>,
    /// What the incident had cost when it was explained last.
    cost: f64,
    restarted_at: Option<SystemTime>,
    /// When the last page was read.
    seen_at: Option<SystemTime>,
}

/// How long an interval waits before it is believed to be calm: incidents are noticed later than they begin.
const GUARD: Duration = Duration::from_secs(600);
/// Shorter intervals are kept together up to this length.
const PIECE_SECONDS: f64 = 5.0;
/// A bound on the pieces that wait, whatever the clock does.
const MAX_RECENT: usize = 240;
/// Of less than this share of the time since the onset nothing is said, unless it is long by itself.
const MIN_COVERAGE: f64 = 0.5;
const LONG_SECONDS: f64 = 10.0;
/// Trouble whose onset is later by more than this is another one than that which was explained.
const ANEW: Duration = Duration::from_secs(10);
/// The most things that are told apart. Further ones of a kind are taken together.
const MAX_KEYS: usize = 256;
/// While fewer are known, routes are: what requests do shall have room beside them.
const MAX_ROUTES: usize = MAX_KEYS / 2;
/// The most series whose stand is remembered.
const MAX_LAST: usize = 20_000;
/// A restart counts for an incident that begins no later than this.
const RESTART_WITHIN: Duration = Duration::from_secs(300);
/// The most causes that an incident carries.
const MAX_CAUSES: usize = 4;

impl Evidence {
    /// Notes what has held the service up until now, as the machine tells it; nothing where it does not.
    pub(crate) fn strained(&mut self, strain: Option<Strain>) {
        self.strain = strain;
    }

    /// Takes in the page that was just read.
    pub(crate) fn observe(&mut self, series: &SeriesTable, routes: &Routes, at: SystemTime) {
        let is_first = self.seen_at.replace(at).is_none();
        // Without a start time on the page, falling counters tell a restart.
        let fell = || routes.iter().any(|(_, route)| route.last().is_some_and(|interval| interval.reset));
        let restarted = series.restarted() || (series.interval().is_some() && fell());
        if restarted {
            self.restarted_at = Some(at);
        }
        let seconds = series.interval().map_or(0.0, |interval| interval.as_secs_f64());
        let mut reading = Reading { at: Some(at), seconds, ..Reading::default() };
        let mut amounts: BTreeMap<usize, Amount> = BTreeMap::new();
        for (route, timed) in routes.iter() {
            let Some(interval) = timed.last() else { continue };
            // A page may say anything, such as a sum that fell.
            let seconds = if interval.sum.is_finite() { interval.sum.max(0.0) } else { 0.0 };
            let amount = Amount { calls: interval.requests() as f64, seconds, failed: 0.0 };
            reading.requests += amount.calls;
            reading.spent += amount.seconds;
            if amount.calls > 0.0 && !is_first {
                let key = Key { measure: Measure::Route, name: route.to_string().into() };
                let id = intern(&mut self.keys, &mut self.index, key);
                amounts.entry(id).or_default().add(&amount);
            }
        }
        let mut seen = BTreeMap::new();
        // What a limit kept off the page before comes back with all that it has ever counted.
        let was_hidden = !restarted && meter::families().any(|name| series.was_hidden(name));
        meter::read(series, |identity, key, totals| {
            let known = self.last.get(&identity).copied();
            let before = known.filter(|before| !restarted && !totals.fell_below(before));
            let change = match known {
                None if was_hidden => Amount::default(),
                _ => totals.since(before.unwrap_or_default()),
            };
            seen.insert(identity, totals);
            if !is_first {
                let id = intern(&mut self.keys, &mut self.index, key);
                amounts.entry(id).or_default().add(&change);
            }
        });
        // One that is away for a page counts from where it stood, unless its process is another one by now.
        if !restarted {
            for (identity, totals) in std::mem::take(&mut self.last) {
                if seen.len() >= MAX_LAST {
                    break;
                }
                seen.entry(identity).or_insert(totals);
            }
        }
        self.last = seen;
        self.limits = meter::limits(series).take(MAX_KEYS).collect();
        let strain_before = std::mem::replace(&mut self.last_strain, self.strain);
        if is_first || reading.seconds <= 0.0 {
            return;
        }
        if let (Some(before), Some(now)) = (strain_before, self.strain) {
            for (key, seconds) in machine::since(&before, &now) {
                let id = intern(&mut self.keys, &mut self.index, key);
                amounts.entry(id).or_default().seconds += seconds;
            }
        }
        meter::hold(&self.keys, &mut amounts);
        reading.amounts = amounts.into_iter().collect();
        if let Some(during) = &mut self.during {
            during.add(&reading);
        }
        match self.recent.back_mut() {
            Some(last) if last.seconds + reading.seconds <= PIECE_SECONDS => last.add(reading),
            _ => self.recent.push_back(reading),
        }
        let is_due =
            |oldest: &Reading| oldest.at.is_none_or(|then| at.duration_since(then).is_ok_and(|age| age > GUARD));
        while self.recent.front().is_some_and(|oldest| self.recent.len() > MAX_RECENT || is_due(oldest)) {
            self.learn_oldest();
        }
    }

    /// Makes the oldest interval part of the usual, unless it is of the open incident.
    fn learn_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else { return };
        if self.held_since.is_none_or(|since| oldest.at.is_some_and(|at| at <= since)) {
            self.learnt_until = oldest.at.or(self.learnt_until);
            self.usual.learn(&oldest);
        }
    }

    /// The target has an open incident that began then. Until it is over, nothing that came in since is learnt.
    pub(crate) fn hold(&mut self, began: SystemTime) {
        self.held_since = Some(self.held_since.map_or(began, |since| since.min(began)));
    }

    /// The target has no open incident.
    pub(crate) fn calm(&mut self) {
        self.cost = 0.0;
        self.during = None;
        if self.held_since.take().is_some() {
            // What came in during the incident is no normal.
            self.recent.clear();
        }
    }

    /// Sums up what came in since an onset.
    fn gather(&mut self, onset: SystemTime) -> Sums {
        while self.recent.front().is_some_and(|oldest| {
            oldest.at.is_some_and(|at| at <= onset && self.held_since.is_some_and(|since| at <= since))
        }) {
            self.learn_oldest();
        }
        // What was noticed later than it is held back has become part of the usual, and cannot be told from it.
        let is_too_late = self.learnt_until.is_some_and(|until| until > onset);
        let mut during = Sums { since: Some(onset), is_too_late, ..Sums::default() };
        let later = |reading: &&Reading| reading.at.is_none_or(|at| at > onset);
        self.recent.iter().filter(later).for_each(|reading| during.add(reading));
        during
    }

    /// What speaks for which cause, the likeliest first. Nothing if too little is known of what is usual, or if the incident
    /// costs no more than before: then what was said before still holds.
    pub(crate) fn explain(&mut self, trouble: &Trouble) -> Option<Explanation> {
        self.hold(trouble.onset);
        let since_onset = self.seen_at.and_then(|now| now.duration_since(trouble.onset).ok()).unwrap_or_default();
        let cost = trouble.added_seconds + trouble.failed;
        let later = |since: SystemTime| trouble.onset.duration_since(since).is_ok_and(|later| later > ANEW);
        if self.during.as_ref().and_then(|during| during.since).is_some_and(later) {
            // What went before has recovered. What is left may have been explained with it, until it costs more.
            self.during = None;
            self.cost = cost;
        }
        if self.during.is_none() {
            self.during = Some(self.gather(trouble.onset));
        }
        let during = self.during.as_ref()?;
        // The cost is counted from the onset on, and may have been seen in part: after a restart, or of what began slowly.
        let coverage = (during.seconds / since_onset.as_secs_f64().max(during.seconds)).clamp(0.0, 1.0);
        if during.is_too_late || (coverage < MIN_COVERAGE && during.seconds < LONG_SECONDS) {
            return None;
        }
        // While it costs no more, it recovers, and what is measured then would only thin what was measured before.
        if !self.usual.is_known() || during.requests <= 0.0 || cost <= self.cost {
            return None;
        }
        self.cost = cost;
        let statement = self.usual.statement(&self.keys);
        // In the order of their names: that in which a page tells them says nothing.
        let mut keys: Vec<_> = self.keys.iter().enumerate().collect();
        keys.sort_by_key(|(_, key)| *key);
        let parts: Vec<_> = keys
            .iter()
            .filter_map(|(id, key)| Some((*id, *key, self.usual.part(key, *id, during, statement)?)))
            .collect();
        let since_restart = self.restarted_at.and_then(|restart| trouble.onset.duration_since(restart).ok());
        // What is measured is measured for all routes together, so it is held against what all of them lost.
        let by_mix = self.usual.by_mix(&keys, during);
        let lost = during.spent - self.usual.spent_each() * during.requests - by_mix;
        let added_seconds = if trouble.added_seconds > 0.0 { lost.max(trouble.added_seconds * coverage) } else { 0.0 };
        let symptoms = Symptoms {
            added_seconds,
            by_mix,
            failed: trouble.failed * coverage,
            traffic: self.usual.traffic(during),
            retried: keys
                .iter()
                .filter(|(_, key)| key.measure == Measure::Retries)
                .map(|(id, _)| self.usual.more_calls(*id, during))
                .sum(),
            restarted: since_restart.is_some_and(|since| since <= RESTART_WITHIN),
            crowded_by_others: machine::is_crowded(&keys, &self.usual, during),
            parts: parts.iter().map(|(.., part)| *part).collect(),
        };
        let facts = facts::Facts::new(&keys, &self.usual, during, &self.limits, self.strain.as_ref());
        let cause = |attribution: &outrigger_detect::Attribution| {
            let told = attribution.part.and_then(|part| {
                let (id, key, part) = parts.get(part)?;
                Some(words::Told { key, part: *part, contrast: self.usual.contrast(*id, during) })
            });
            // Who has seen the plan knows more than that it is slow, if it would be slow anyway.
            let unserved = told.as_ref().is_some_and(|told| facts.lacks_index(&told.key.name));
            let kind = match attribution.kind {
                CauseKind::SlowQuery if unserved && !attribution.may_suffer => CauseKind::MissingIndex,
                kind => kind,
            };
            Cause {
                cause: kind,
                strength: attribution.strength,
                subject: told.as_ref().map(|told| told.key.name.to_string()).filter(|name| !name.is_empty()),
                evidence: words::evidence(kind, attribution, told.as_ref(), &symptoms, &facts),
            }
        };
        let subject = |kind: PartKind, part: Option<usize>| {
            let (_, key, _) = parts.get(part?)?;
            // Of these there is one.
            let is_alone = kind == PartKind::Cpu || kind.is_of_machine() || key.name.is_empty();
            (!is_alone).then(|| key.name.to_string())
        };
        let added_time = decompose(&symptoms).into_iter().map(|portion| AddedTime {
            part: portion.kind,
            subject: subject(portion.kind, portion.part),
            seconds: portion.seconds,
            share: portion.share,
        });
        Some(Explanation {
            causes: attribute(&symptoms).iter().take(MAX_CAUSES).map(cause).collect(),
            added_time: added_time.collect(),
        })
    }
}

/// The number of a key; that of its kind's rest when there are too many.
fn intern(keys: &mut Vec<Key>, index: &mut HashMap<Key, usize>, key: Key) -> usize {
    if let Some(id) = index.get(&key) {
        return *id;
    }
    let most = if key.measure == Measure::Route { MAX_ROUTES } else { MAX_KEYS };
    let key = if keys.len() < most { key } else { Key { name: "others".into(), ..key } };
    *index.entry(key.clone()).or_insert_with(|| {
        keys.push(key);
        keys.len() - 1
    })
}
