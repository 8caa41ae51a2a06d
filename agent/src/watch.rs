//! The detectors of each route of a target.
//!
//! Every route is watched for errors and for latency, except that requests without a route (`_unmatched`) are not judged
//! by their latency: what strangers ask for changes that mix at will, and says nothing of a route of the service. They
//! still count in rates and error ratios.

mod budget;
mod dependencies;
mod figures;
mod fill;
mod settings;
mod sign;
mod signals;
mod steady;
mod traffic;

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use outrigger_detect::{
    Distribution, ErrorDetector, ErrorInterval, ErrorSettings, Interval, LatencyDetector, LatencySettings, Phase,
    StateError, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::derive::{Key, RouteKey, Timed};
pub(crate) use budget::Spent;
pub(crate) use fill::{Fills, Gauge, KeptFill, Kind};
pub use settings::{SloSettings, WatchSettings};
pub(crate) use sign::{Role, Sign, Signal, Subject};
pub(crate) use signals::{HostSignals, KeptSignals, Signals};

/// The detectors of one route, and what they said last.
#[derive(Debug)]
pub(crate) struct Watch {
    latency: Option<LatencyDetector>,
    errors: ErrorDetector,
    verdicts: Vec<(Signal, Verdict)>,
    rate: Rate,
}

/// The usual number of requests per second: the mean of the last half hour or so without anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rate {
    per_second: f64,
    seconds: f64,
}

/// How long the usual rate remembers, in seconds.
const RATE_SECONDS: f64 = 1800.0;

impl Rate {
    fn learn(&mut self, requests: u64, seconds: f64) {
        if seconds > 0.0 && seconds.is_finite() {
            self.seconds = (self.seconds + seconds).min(RATE_SECONDS);
            let weight = (seconds / self.seconds).min(1.0);
            self.per_second += weight * (requests as f64 / seconds - self.per_second);
        }
    }
}

impl Watch {
    fn new(is_one: bool) -> Self {
        Self {
            latency: is_one.then(|| LatencyDetector::new(LatencySettings::default())),
            errors: ErrorDetector::new(ErrorSettings::default()),
            verdicts: Vec::new(),
            rate: Rate::default(),
        }
    }

    /// The verdicts on the last interval, one for each signal that is watched.
    pub(crate) fn verdicts(&self) -> &[(Signal, Verdict)] {
        &self.verdicts
    }

    /// How requests spread over the buckets before the anomaly of latency and in it, if there is one.
    pub(crate) fn distribution(&self) -> Option<Distribution> {
        self.latency.as_ref()?.distribution()
    }

    /// The usual number of requests per second.
    pub(crate) fn usual_rate(&self) -> Option<f64> {
        (self.rate.seconds > 0.0).then_some(self.rate.per_second)
    }

    /// The route as a whole: anomalous if any signal is, warming up while any still learns.
    pub(crate) fn phase(&self) -> Phase {
        let any = |phase| self.verdicts.iter().any(|(_, verdict)| verdict.phase == phase);
        if any(Phase::Anomalous) {
            Phase::Anomalous
        } else if any(Phase::WarmingUp) || self.verdicts.is_empty() {
            Phase::WarmingUp
        } else {
            Phase::Calm
        }
    }

    fn keep<K: Key>(&self, key: &K) -> KeptWatch<K> {
        KeptWatch {
            key: key.clone(),
            phases: self.verdicts.iter().map(|(signal, verdict)| (*signal, verdict.phase)).collect(),
            latency: self.latency.as_ref().map(LatencyDetector::state),
            errors: Some(self.errors.state()),
            rate: self.rate,
        }
    }

    fn restore<K: Key>(kept: KeptWatch<K>, refused: &mut Option<StateError>) -> Self {
        let mut watch = Self::new(kept.key.is_one());
        let mut is_whole = true;
        let mut check = |error| {
            is_whole = false;
            refused.get_or_insert(error);
        };
        if let (Some(latency), Some(state)) = (&mut watch.latency, kept.latency) {
            match LatencyDetector::restore(LatencySettings::default(), state) {
                Ok(restored) => *latency = restored,
                Err(error) => check(error),
            }
        }
        if let Some(state) = kept.errors {
            match ErrorDetector::restore(ErrorSettings::default(), state) {
                Ok(restored) => watch.errors = restored,
                Err(error) => check(error),
            }
        }
        watch.rate = kept.rate;
        if is_whole {
            // Until the first interval speaks: what was calm is not shown as warming up.
            let verdict = |phase| Verdict { phase, score: 0.0, shift: None, ended: None };
            watch.verdicts = kept.phases.into_iter().take(2).map(|(signal, phase)| (signal, verdict(phase))).collect();
        }
        watch
    }

    /// Answers whether an anomaly begins that comes by the clock, and so is not told.
    fn observe(&mut self, at: f64, bounds: &[f64], interval: &crate::derive::Interval) -> bool {
        let is_expected =
            |latency: &Option<LatencyDetector>| latency.as_ref().is_some_and(LatencyDetector::is_expected);
        let was_expected = is_expected(&self.latency);
        self.verdicts.clear();
        let (seconds, reset) = (interval.seconds, interval.reset);
        if let Some(latency) = &mut self.latency {
            let input = Interval { at, bounds, delta: &interval.delta, sum: interval.sum, seconds, reset };
            self.verdicts.push((Signal::Latency, latency.observe(&input)));
        }
        let input = ErrorInterval { failed: interval.failed, total: interval.requests(), seconds, reset };
        self.verdicts.push((Signal::Errors, self.errors.observe(input)));
        if self.phase() != Phase::Anomalous {
            self.rate.learn(interval.requests(), seconds);
        }
        is_expected(&self.latency) && !was_expected
    }
}

/// What is kept of a route's detectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptWatch<K = RouteKey> {
    key: K,
    /// Where each signal stood.
    phases: Vec<(Signal, Phase)>,
    latency: Option<outrigger_detect::State>,
    errors: Option<outrigger_detect::State>,
    #[serde(default)]
    rate: Rate,
}

/// The watches of one target, a route (or a dependency) each.
#[derive(Debug)]
pub(crate) struct Watches<K = RouteKey> {
    /// In an order of their own, so that equal pages give equal findings.
    by_route: BTreeMap<K, Watch>,
}

impl<K> Default for Watches<K> {
    fn default() -> Self {
        Self { by_route: BTreeMap::new() }
    }
}

impl<K: Key> Watches<K> {
    /// Feeds every route's latest interval, which ended at the given time, to its detectors. Routes that are gone are forgotten.
    /// Answers how many anomalies began that come by the clock.
    pub(crate) fn observe(&mut self, routes: &Timed<K>, at: SystemTime) -> u64 {
        let mut expected = 0;
        let at = at.duration_since(UNIX_EPOCH).map_or(f64::NAN, |since| since.as_secs_f64());
        self.by_route.retain(|key, _| routes.get(key).is_some());
        for (key, route) in routes.iter() {
            let Some(interval) = route.last() else { continue };
            let watch = match self.by_route.get_mut(key) {
                Some(watch) => watch,
                None => self.by_route.entry(key.clone()).or_insert_with(|| Watch::new(key.is_one())),
            };
            expected += u64::from(watch.observe(at, &route.bounds, interval));
        }
        expected
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Watch> {
        self.by_route.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &Watch)> {
        self.by_route.iter()
    }

    /// What another agent needs to go on from here.
    pub(crate) fn keep(&self) -> Vec<KeptWatch<K>> {
        let mut kept: Vec<_> = self.by_route.iter().map(|(key, watch)| watch.keep(key)).collect();
        kept.sort_by(|a, b| a.key.cmp(&b.key));
        kept
    }

    /// Goes on from what was kept of the routes that there are. Detectors whose state is of another version or damaged
    /// learn anew; answers why, for one of them.
    pub(crate) fn restore(kept: Vec<KeptWatch<K>>, routes: &Timed<K>) -> (Self, Option<StateError>) {
        let (mut watches, mut refused) = (Self::default(), None);
        for kept in kept {
            if routes.get(&kept.key).is_some() {
                let key = kept.key.clone();
                watches.by_route.insert(key, Watch::restore(kept, &mut refused));
            }
        }
        (watches, refused)
    }
}

#[cfg(test)]
mod tests;
