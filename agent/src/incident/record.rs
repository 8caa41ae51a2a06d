//! One incident: what is kept of it, and how verdicts change it.

use std::time::{Duration, SystemTime};

use outrigger_detect::{Ending, Phase, Shift, Verdict};

use super::Finding;
use crate::derive::RouteKey;
use crate::watch::Signal;

/// What a failed request weighs beside a slow one, in seconds: its caller has to come again.
const FAILURE_SECONDS: f64 = 1.0;

/// One incident.
#[derive(Debug)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(super) target: String,
    pub(super) started_at: SystemTime,
    pub(super) detected_at: SystemTime,
    pub(super) resolved_at: Option<SystemTime>,
    pub(super) silent_since: Option<SystemTime>,
    pub(super) routes: Vec<Affected>,
}

/// One signal of one route in an incident.
#[derive(Debug)]
pub(super) struct Affected {
    pub(super) key: RouteKey,
    pub(super) signal: Signal,
    /// Why it is no longer anomalous, and when that was found.
    pub(super) ended: Option<(Ending, SystemTime)>,
    pub(super) started_at: SystemTime,
    pub(super) score: f64,
    pub(super) shift: Shift,
    /// What earlier flares in the same incident added up to.
    pub(super) earlier: Toll,
    /// What the current or last flare adds up to.
    pub(super) latest: Toll,
}

/// What an anomaly cost.
#[derive(Clone, Copy, Debug, Default)]
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
        match self.routes.iter_mut().find(|route| route.is(finding)) {
            Some(route) => {
                if route.ended.is_some() {
                    // It flares up again.
                    route.earlier = route.total();
                    (route.shift, route.latest) = (shift, latest);
                } else if latest.affected > route.latest.affected {
                    // What comes after the last affected request is recovery, and would only thin the figures.
                    (route.shift, route.latest) = (shift, latest);
                    if route.earlier.requests == 0 {
                        // The onset becomes clearer with time.
                        route.started_at = started_at;
                    }
                }
                route.ended = None;
                route.score = finding.verdict.score;
            }
            None => self.routes.push(Affected {
                key: finding.key.clone(),
                signal: finding.signal,
                ended: None,
                started_at,
                score: finding.verdict.score,
                shift,
                earlier: Toll::default(),
                latest,
            }),
        }
    }

    /// Requests that were slower or failed beyond the usual. One that was both counts once.
    pub(super) fn requests_affected(&self) -> u64 {
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

    /// Notes that the route is no longer anomalous, by its verdict if it still has one.
    pub(super) fn settle(&mut self, verdict: Option<&Verdict>, at: SystemTime) {
        let ending = match verdict {
            Some(Verdict { ended: Some(ending), .. }) => *ending,
            // The route is watched anew: what it is now is learnt as its normal.
            Some(Verdict { phase: Phase::WarmingUp, .. }) => Ending::Adopted,
            Some(_) => Ending::Recovered,
            // The route is gone from the target's page.
            None => Ending::Idle { seconds: 0.0 },
        };
        self.ended.get_or_insert((ending, at));
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
