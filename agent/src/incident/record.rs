//! One incident: what is kept of it, and how verdicts change it.

use std::time::{Duration, SystemTime};

use outrigger_detect::{Distribution, Ending, Phase, Quantiles, Shift, Verdict};
use serde::{Deserialize, Serialize};

use super::moved::Moved;
use super::{AddedTime, Cause, Finding, Trouble};
use crate::derive::RouteKey;
use crate::profile::Note;
use crate::tell::Told;
use crate::time;
use crate::watch::{Sign, Signal, Spent, Subject, Watch};

/// What a failed request weighs beside a slow one, in seconds: its caller has to come again.
const FAILURE_SECONDS: f64 = 1.0;

/// One incident, as it is kept in memory and on disk. A field that is added needs `#[serde(default)]`, so that older files
/// can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(super) target: String,
    #[serde(with = "time")]
    pub(super) started_at: SystemTime,
    #[serde(with = "time")]
    pub(super) detected_at: SystemTime,
    #[serde(with = "time::maybe", default)]
    pub(super) resolved_at: Option<SystemTime>,
    #[serde(with = "time::maybe", default)]
    pub(super) silent_since: Option<SystemTime>,
    pub(super) routes: Vec<Affected>,
    /// What else moved, what opened it first.
    #[serde(default)]
    pub(super) moved: Vec<Moved>,
    /// What it is about.
    #[serde(default)]
    pub(super) scope: Scope,
    /// What it spent of the service's error budgets so far.
    #[serde(default)]
    pub(super) spent: Vec<Spent>,
    /// How often its state changed: 1 once it is open, one more with each end and each new beginning; a false alarm's mark
    /// is an end too. With the id it names what is to be told, across restarts.
    #[serde(default)]
    pub(crate) sequence: u32,
    /// What may be the cause, the likeliest first; none while it is unknown.
    #[serde(default)]
    pub(super) causes: Vec<Cause>,
    /// How the time that requests lost is made up.
    #[serde(default)]
    pub(super) added_time: Vec<AddedTime>,
    #[serde(default)]
    pub(super) mark: Option<Mark>,
    /// What the CPU was used for, once that was looked at.
    #[serde(default)]
    pub(crate) profile: Option<Note>,
    /// Who was told what of it.
    #[serde(default)]
    pub(crate) told: Told,
    /// Something changed since it was last written to disk.
    #[serde(skip)]
    pub(crate) unsaved: bool,
}

/// What an incident is about. Of each scope at most one is open on a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Requests that are slow, fail or stay away.
    #[default]
    Requests,
    /// Error budgets that are spent too fast.
    Budget,
    /// A resource that runs full.
    Resource(Subject),
}

impl Scope {
    /// The scope of a sign's own incident.
    pub(super) fn of(sign: &Sign) -> Self {
        match sign.signal {
            Signal::Burn => Self::Budget,
            Signal::Saturation => Self::Resource(sign.subject.clone()),
            Signal::Latency | Signal::Errors | Signal::Traffic | Signal::Level => Self::Requests,
        }
    }

    /// An incident that was resolved no longer ago than this is opened again by the same trouble.
    pub(super) fn reopens_within(&self) -> Duration {
        if *self == Self::Requests { super::REOPEN_WITHIN } else { Duration::from_secs(3600) }
    }

    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Budget => "budget",
            Self::Resource(_) => "resource",
        }
    }
}

/// What a person said of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// It was none.
    pub(crate) false_alarm: bool,
    /// Why, in the person's words.
    pub(crate) note: String,
    /// When that was said.
    #[serde(with = "time")]
    pub(crate) at: SystemTime,
    /// When something else came, of which it was not said.
    #[serde(with = "time::maybe", default)]
    pub(super) outgrown_at: Option<SystemTime>,
}

impl Mark {
    pub(crate) fn new(false_alarm: bool, note: String, at: SystemTime) -> Self {
        Self { false_alarm, note, at, outgrown_at: None }
    }

    /// Whether it says that nothing is the matter, and still says so of everything.
    pub(super) fn silences(&self) -> bool {
        self.false_alarm && self.outgrown_at.is_none()
    }
}

/// One signal of one route in an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Affected {
    pub(super) key: RouteKey,
    pub(super) signal: Signal,
    /// Why it is no longer anomalous, and when that was found.
    pub(super) ended: Option<End>,
    #[serde(with = "time")]
    pub(super) started_at: SystemTime,
    /// When the current or last flare began; absent in older files.
    #[serde(with = "time::maybe", default)]
    pub(super) flared_at: Option<SystemTime>,
    pub(super) score: f64,
    pub(super) before: Level,
    pub(super) during: Level,
    /// What moved, in a sentence.
    pub(super) words: String,
    /// What earlier flares in the same incident added up to.
    pub(super) earlier: Toll,
    /// What the current or last flare adds up to.
    pub(super) latest: Toll,
    /// How requests spread over the buckets before and during it.
    #[serde(default)]
    pub(super) distribution: Option<Distribution>,
}

/// Where a route stood; what its signal does not speak of is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) error_ratio: Option<f64>,
    /// Before: the usual number of requests per second. During: since the onset.
    #[serde(default)]
    pub(super) requests_per_second: Option<f64>,
}

/// Why a route is no longer anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) how: How,
    /// When that was found.
    #[serde(with = "time")]
    pub(super) at: SystemTime,
    /// The last request, of a route that ended without.
    #[serde(with = "time::maybe", default)]
    pub(super) idle_since: Option<SystemTime>,
}

/// How a route ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// It is as it was before.
    Recovered,
    /// It is taken as the new normal.
    Adopted,
    /// It has no more requests.
    Idle,
    /// Its target is no longer one of the agent's.
    Unwatched,
}

/// What an anomaly cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Toll {
    pub(super) requests: u64,
    pub(super) affected: u64,
    pub(super) seconds: f64,
}

impl Incident {
    pub(super) fn note(&mut self, finding: &Finding<'_>, at: SystemTime) {
        let Some(shift) = finding.verdict.shift else { return };
        let ago = Duration::try_from_secs_f64(shift.onset_seconds_ago()).unwrap_or_default();
        let started_at = at.checked_sub(ago).unwrap_or(at);
        let latest = toll(&shift);
        let (before, during) = levels(&shift);
        let words = shift.to_string();
        match self.routes.iter_mut().find(|route| route.is(finding)) {
            Some(route) => {
                if route.ended.is_some() {
                    // It flares up again.
                    route.earlier = route.total();
                    route.flared_at = Some(started_at);
                    route.tell(before, during, words, latest);
                } else if latest.affected > route.latest.affected {
                    // What comes after the last affected request is recovery, and would only thin the figures.
                    route.tell(before, during, words, latest);
                    // The onset becomes clearer with time.
                    route.flared_at = Some(started_at);
                    if route.earlier.requests == 0 {
                        route.started_at = started_at;
                    }
                }
                route.ended = None;
                route.score = finding.verdict.score;
            }
            None => {
                self.routes.push(Affected {
                    key: finding.key.clone(),
                    signal: finding.signal,
                    ended: None,
                    started_at,
                    flared_at: Some(started_at),
                    score: finding.verdict.score,
                    before,
                    during,
                    words,
                    earlier: Toll::default(),
                    latest,
                    distribution: None,
                });
                self.outgrow(at);
            }
        }
    }

    /// Adds what the detectors of an anomalous route know beside their verdicts, unless the figures of an earlier interval
    /// stand: what comes after the last affected request would only thin them.
    pub(super) fn detail(&mut self, key: &RouteKey, watch: &Watch) {
        for (signal, verdict) in watch.verdicts() {
            let Some(shift) = verdict.shift else { continue };
            let is_it = |route: &&mut Affected| route.key == *key && route.signal == *signal && route.ended.is_none();
            let Some(route) = self.routes.iter_mut().find(is_it) else { continue };
            if route.latest != toll(&shift) {
                continue;
            }
            let seconds = shift.onset_seconds_ago();
            let rate = shift.requests() as f64 / seconds;
            route.before.requests_per_second = watch.usual_rate();
            route.during.requests_per_second = Some(rate).filter(|rate| rate.is_finite());
            if *signal == Signal::Latency {
                route.distribution = watch.distribution();
            }
        }
    }

    /// Notes that something is the matter of which nobody said that it is none. What a person said stays, but the incident
    /// is told again.
    pub(super) fn outgrow(&mut self, at: SystemTime) {
        if let Some(mark) = self.mark.as_mut().filter(|mark| mark.silences()) {
            mark.outgrown_at = Some(at);
            self.sequence = self.sequence.saturating_add(u32::from(self.is_firing()));
        }
    }

    /// What the routes that are anomalous now amount to since they became so; nothing once all have recovered.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let anomalous = || self.routes.iter().filter(|route| route.ended.is_none());
        let of = |signal| anomalous().filter(move |route| route.signal == signal).map(|route| route.latest);
        Some(Trouble {
            onset: anomalous().map(|route| route.flared_at.unwrap_or(route.started_at)).min()?,
            added_seconds: of(Signal::Latency).map(|toll| toll.seconds).sum(),
            failed: of(Signal::Errors).map(|toll| toll.affected as f64).sum(),
        })
    }

    /// Requests that were slower or failed beyond the usual. One that was both counts once.
    pub(super) fn requests_affected(&self) -> u64 {
        if self.routes.is_empty() {
            return self.moved.first().map_or(0, |moved| moved.toll.affected);
        }
        let of = |route: &Affected| route.total().affected;
        let same = |a: &Affected, b: &Affected| a.key == b.key;
        self.routes
            .iter()
            .enumerate()
            .filter(|(index, route)| !self.routes.iter().take(*index).any(|earlier| same(earlier, route)))
            .map(|(_, route)| self.routes.iter().filter(|other| same(other, route)).map(of).max().unwrap_or(0))
            .sum()
    }
}

impl Affected {
    pub(super) fn is(&self, finding: &Finding<'_>) -> bool {
        self.key == *finding.key && self.signal == finding.signal
    }

    fn tell(&mut self, before: Level, during: Level, words: String, latest: Toll) {
        (self.before, self.during, self.words, self.latest) = (before, during, words, latest);
    }

    /// Notes that the route is no longer anomalous, by its verdict if it still has one.
    pub(super) fn settle(&mut self, verdict: Option<&Verdict>, at: SystemTime) {
        let end = |how| End { how, at, idle_since: None };
        let idle = |seconds| {
            let ago = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            End { idle_since: Some(at.checked_sub(ago).unwrap_or(at)), ..end(How::Idle) }
        };
        let end = match verdict {
            Some(Verdict { ended: Some(Ending::Idle { seconds }), .. }) => idle(*seconds),
            Some(Verdict { ended: Some(Ending::Adopted), .. }) => end(How::Adopted),
            Some(Verdict { ended: Some(Ending::Recovered), .. }) => end(How::Recovered),
            // The route is watched anew: what it is now is learnt as its normal.
            Some(Verdict { phase: Phase::WarmingUp, .. }) => end(How::Adopted),
            Some(_) => end(How::Recovered),
            // The route is gone from the target's page.
            None => idle(0.0),
        };
        self.ended.get_or_insert(end);
    }

    pub(super) fn total(&self) -> Toll {
        let (earlier, latest) = (self.earlier, self.latest);
        Toll {
            requests: earlier.requests.saturating_add(latest.requests),
            affected: earlier.affected.saturating_add(latest.affected),
            seconds: earlier.seconds + latest.seconds,
        }
    }

    /// What the route cost its callers, in seconds: the primary suspect is the one with the most.
    pub(super) fn weight(&self) -> f64 {
        self.total().seconds
    }
}

fn toll(shift: &Shift) -> Toll {
    let seconds = match shift {
        Shift::Latency(shift) => shift.added_seconds,
        Shift::Errors(shift) => shift.affected as f64 * FAILURE_SECONDS,
    };
    Toll { requests: shift.requests(), affected: shift.affected(), seconds }
}

fn levels(shift: &Shift) -> (Level, Level) {
    match shift {
        Shift::Latency(shift) => {
            let level =
                |q: Quantiles| Level { p50: Some(q.p50), p95: Some(q.p95), p99: Some(q.p99), ..Level::default() };
            (level(shift.before), level(shift.during))
        }
        Shift::Errors(shift) => {
            let level = |ratio| Level { error_ratio: Some(ratio), ..Level::default() };
            (level(shift.ratio_before), level(shift.ratio_during))
        }
    }
}
