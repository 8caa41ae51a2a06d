//! Traffic that stays away, or comes in floods: of the service as a whole, and of routes that are busy.
//!
//! Only a drop opens an incident: more requests than usual are no harm by themselves, and what they do harm to shows
//! elsewhere. A route's drop opens one if the same time of day is known from earlier days, since a route may well rest at
//! night; the service's also if a busy service falls all but silent.

use std::collections::BTreeMap;
use std::time::SystemTime;

use outrigger_detect::{Phase, SeriesState, StateError, TrafficChange, TrafficDetector, TrafficSettings};
use serde::{Deserialize, Serialize};

use super::sign::{before, unix};
use super::{Role, Sign, Signal, Subject};
use crate::derive::{Key, RouteKey, Routes};
use crate::incident::Severity;

/// The most routes whose traffic is watched one by one: the first ones that are busy.
const MAX_ROUTES: usize = 20;
/// A route is busy from so many requests per second on, over some minutes.
const BUSY: f64 = 0.5;
/// How fast a route is found to be busy, in seconds.
const BUSY_SECONDS: f64 = 300.0;
/// After a restart callers come back one by one. What restarts again and again is excused for so long in all.
const GRACE_SECONDS: f64 = 120.0;
const MAX_GRACE_SECONDS: f64 = 300.0;
/// What falls below this share of a rate of at least so many requests per second has fallen silent.
const SILENT_SHARE: f64 = 0.01;
const SILENT_FROM: f64 = 1.0;
/// What falls below this share of the last hour's rate does so suddenly.
const SUDDEN_SHARE: f64 = 0.5;

/// The traffic of one target.
#[derive(Debug)]
pub(super) struct Traffic {
    service: Watched,
    routes: BTreeMap<RouteKey, Watched>,
    /// How busy the other routes are, in requests per second.
    rates: BTreeMap<RouteKey, f64>,
    grace: Grace,
}

/// The time after restarts in which nothing is judged.
#[derive(Debug, Default)]
struct Grace {
    /// Seconds of it that are left.
    left: f64,
    /// Seconds that were excused since it last was calm for as long as one restart is excused for.
    excused: f64,
    /// Seconds without one.
    calm: f64,
}

impl Grace {
    /// Whether an interval is excused.
    fn observe(&mut self, seconds: f64, reset: bool) -> bool {
        let is_grace = reset || self.left > 0.0;
        // When in its interval a restart was, or for how long nothing ran, nobody knows.
        self.left = if reset { GRACE_SECONDS } else { (self.left - seconds).max(0.0) };
        if is_grace {
            self.calm = 0.0;
            self.excused += seconds.min(GRACE_SECONDS);
            return self.excused <= MAX_GRACE_SECONDS;
        }
        self.calm += seconds;
        if self.calm >= GRACE_SECONDS {
            self.excused = 0.0;
        }
        false
    }
}

#[derive(Debug)]
struct Watched {
    detector: TrafficDetector,
    change: Option<TrafficChange>,
    score: f64,
}

impl Watched {
    fn new(detector: TrafficDetector) -> Self {
        Self { detector, change: None, score: 0.0 }
    }

    fn observe(&mut self, at: f64, requests: u64, seconds: f64) {
        let verdict = self.detector.observe(at, requests, seconds);
        self.change = verdict.change.filter(|_| verdict.phase == Phase::Anomalous);
        self.score = verdict.score;
    }

    fn sign(&self, subject: Subject, at: SystemTime) -> Option<Sign> {
        let change = self.change?;
        let is_drop = change.is_drop();
        // Without earlier days there is no range, only the last hour.
        let is_known = change.usual_low < change.usual_high;
        // A service that should have woken up is held against what is usual now, not against its night.
        let usual = if is_drop { change.before.max(change.usual_low) } else { change.before };
        let is_silent = usual >= SILENT_FROM && change.rate <= SILENT_SHARE * usual;
        let is_service = subject == Subject::Service;
        // A route that few ask for on a holiday has not dropped.
        let is_sudden = change.rate <= SUDDEN_SHARE * change.before;
        let opens = is_drop && if is_service { is_known || is_silent } else { is_known && is_sudden };
        Some(Sign {
            subject,
            signal: Signal::Traffic,
            role: if opens { Role::Opens } else { Role::Supports },
            severity: if is_service && is_drop && is_silent { Severity::Critical } else { Severity::Warning },
            score: self.score,
            since: before(at, change.seconds),
            words: change.to_string(),
            before: Some(usual),
            now: Some(change.rate),
            requests: 0,
            affected: 0,
            seconds: 0.0,
            aftermath_seconds: 0.0,
        })
    }
}

/// What is kept of a target's traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptTraffic {
    /// None is the service as a whole.
    route: Option<RouteKey>,
    state: SeriesState,
}

fn detector() -> TrafficDetector {
    TrafficDetector::new(TrafficSettings::default())
}

impl Traffic {
    pub(super) fn new() -> Self {
        let service = Watched::new(detector());
        Self { service, routes: BTreeMap::new(), rates: BTreeMap::new(), grace: Grace::default() }
    }

    /// Takes in the latest interval of all routes.
    pub(super) fn observe(&mut self, routes: &Routes, at: SystemTime) {
        let at = unix(at);
        let last = |route: &crate::derive::Route| route.last().map(|last| (last.requests(), last.seconds, last.reset));
        let Some((_, seconds, reset)) = routes.iter().find_map(|(_, route)| last(route)) else { return };
        if self.grace.observe(seconds, reset) {
            return;
        }
        let mut all: u64 = 0;
        self.routes.retain(|key, _| routes.get(key).is_some());
        self.rates.retain(|key, _| routes.get(key).is_some());
        for (key, route) in routes.iter().filter(|(key, _)| key.is_one()) {
            let Some((requests, seconds, _)) = last(route) else { continue };
            all = all.saturating_add(requests);
            if let Some(watched) = self.routes.get_mut(key) {
                watched.observe(at, requests, seconds);
            } else if self.routes.len() < MAX_ROUTES && seconds > 0.0 {
                let weight = 1.0 - (-seconds / BUSY_SECONDS).exp();
                let now = requests as f64 / seconds;
                match self.rates.get_mut(key) {
                    Some(rate) => *rate += weight * (now - *rate),
                    None => _ = self.rates.insert(key.clone(), weight * now),
                }
                if self.rates.get(key).is_some_and(|rate| *rate >= BUSY) {
                    self.rates.remove(key);
                    self.routes.insert(key.clone(), Watched::new(detector()));
                }
            }
        }
        if self.routes.len() >= MAX_ROUTES {
            self.rates.clear();
        }
        self.service.observe(at, all, seconds);
    }

    pub(super) fn signs(&self, at: SystemTime, signs: &mut Vec<Sign>) {
        signs.extend(self.service.sign(Subject::Service, at));
        signs.extend(self.routes.iter().filter_map(|(key, watched)| watched.sign(Subject::Route(key.clone()), at)));
    }

    /// How far traffic is from usual: of the service as a whole, and of the routes that are watched one by one.
    pub(super) fn scores(&self) -> impl Iterator<Item = (Subject, f64)> {
        let routes = self.routes.iter().map(|(key, watched)| (Subject::Route(key.clone()), watched.score));
        std::iter::once((Subject::Service, self.service.score)).chain(routes)
    }

    pub(super) fn keep(&self) -> Vec<KeptTraffic> {
        let routes = self.routes.iter().map(|(key, watched)| (Some(key.clone()), watched));
        let all = std::iter::once((None, &self.service)).chain(routes);
        let mut kept: Vec<_> =
            all.map(|(route, watched)| KeptTraffic { route, state: watched.detector.state() }).collect();
        kept.sort_by(|a, b| a.route.cmp(&b.route));
        kept
    }

    pub(super) fn restore(kept: Vec<KeptTraffic>, refused: &mut Option<StateError>) -> Self {
        let mut traffic = Self::new();
        for KeptTraffic { route, state } in kept {
            match (TrafficDetector::restore(TrafficSettings::default(), state), route) {
                (Ok(detector), None) => traffic.service = Watched::new(detector),
                (Ok(detector), Some(route)) if traffic.routes.len() < MAX_ROUTES => {
                    traffic.routes.insert(route, Watched::new(detector));
                }
                (Ok(_), Some(_)) => {}
                (Err(error), _) => _ = refused.get_or_insert(error),
            }
        }
        traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_excused_and_a_loop_of_them_is_not() {
        // Seconds of an interval, intervals from one restart to the next, and how many of forty are judged.
        for (seconds, every, judged) in [(30.0, 1, 34), (30.0, 2, 34), (60.0, 3, 37), (30.0, 100, 36)] {
            let mut grace = Grace::default();
            assert!(grace.observe(8.0 * 3600.0, true), "the night");
            let fed = (1..=40).filter(|interval| !grace.observe(seconds, interval % every == 0)).count();
            assert_eq!(fed, judged, "a restart in every {every} intervals of {seconds} s");
        }
        // Two releases in a row are no loop.
        let mut grace = Grace::default();
        assert!((0..8).all(|interval| grace.observe(30.0, interval == 0 || interval == 3)));
        assert!(!grace.observe(30.0, false));
    }
}
