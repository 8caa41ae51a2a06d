//! Incidents: what went wrong on a target, from the first anomalous route to the last one's recovery.
//!
//! At most one incident is open per target. It gathers the anomalous routes while it is open, the primary suspect (the
//! one that cost its callers most time) first, and is resolved when none of them is anomalous any more; a route that did not
//! recover, but was taken as the new normal or had no more requests, is told as such. An incident that flares up again on
//! the same route soon afterwards is opened again instead of being told twice. While a target is down nothing is known, so its
//! incident stays as it is and says so. How many are kept, and for how long, is a setting; open ones are always kept.

mod cause;
mod kept;
mod opening;
mod record;
mod summary;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_detect::{Phase, Verdict};

use crate::derive::RouteKey;
use crate::tell::Told;
use crate::watch::Signal;
pub(crate) use cause::{Cause, Evidence, Trouble};
pub(crate) use kept::is_id;
pub(crate) use opening::Opening;
pub use opening::Severity;
pub(crate) use record::{Incident, Mark};
pub(crate) use view::{IncidentView, IncidentsView};

/// How incidents are kept.
#[derive(Clone, Debug)]
pub struct IncidentSettings {
    /// The most incidents that are kept; the oldest resolved one goes first. Default: 200.
    pub keep: usize,
    /// How long a resolved incident is kept. Default: 90 days.
    pub keep_for: Duration,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self { keep: 200, keep_for: Duration::from_secs(90 * 86_400) }
    }
}

/// An incident that was resolved no longer ago than this is opened again by the same route and signal.
const REOPEN_WITHIN: Duration = Duration::from_secs(120);

/// All incidents, newest first.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    settings: IncidentSettings,
    list: VecDeque<Incident>,
    opened: u64,
    /// Those that were dropped and are still on disk.
    dropped: Vec<String>,
    /// Destinations that still waited for word of those, once for each of them.
    untold: Vec<String>,
}

/// What a verdict says of one route, as incidents take it in.
pub(crate) struct Finding<'a> {
    pub(crate) key: &'a RouteKey,
    pub(crate) signal: Signal,
    pub(crate) verdict: &'a Verdict,
}

/// What became of a target's incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Opened,
    Reopened,
    Resolved,
}

impl Incidents {
    /// Takes in all verdicts on a target's latest page, which was scraped at `at`.
    pub(crate) fn update(&mut self, target: &str, at: SystemTime, findings: &[Finding<'_>]) -> Option<Change> {
        let anomalous = |finding: &&Finding<'_>| finding.verdict.phase == Phase::Anomalous;
        let mut change = None;
        if self.open(target).is_none() {
            findings.iter().find(anomalous)?;
            change = Some(self.begin(target, at, findings));
        }
        let incident = self.open_mut(target)?;
        incident.silent_since = None;
        incident.unsaved = true;
        for route in &mut incident.routes {
            let verdict = findings.iter().find(|finding| route.is(finding)).map(|finding| finding.verdict);
            if verdict.is_none_or(|verdict| verdict.phase != Phase::Anomalous) {
                route.settle(verdict, at);
            }
        }
        for finding in findings.iter().filter(anomalous) {
            incident.note(finding, at);
        }
        incident.routes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        incident.started_at = incident.routes.iter().map(|route| route.started_at).min().unwrap_or(at);
        if incident.routes.iter().all(|route| route.ended.is_some()) {
            incident.end(at);
            change = Some(Change::Resolved);
        }
        change
    }

    /// Notes what may be the cause of a target's open incident.
    pub(crate) fn explain(&mut self, target: &str, causes: Vec<Cause>) {
        if let Some(incident) = self.open_mut(target) {
            incident.causes = causes;
        }
    }

    /// Notes that a target does not answer since `since`.
    pub(crate) fn target_is_silent(&mut self, target: &str, since: SystemTime) {
        if let Some(incident) = self.open_mut(target) {
            incident.silent_since.get_or_insert_with(|| {
                incident.unsaved = true;
                since
            });
        }
    }

    /// The open incident of a target.
    pub(crate) fn open(&self, target: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.target == target && incident.resolved_at.is_none())
    }

    /// The newest incident of a target, open or not.
    pub(crate) fn newest(&self, target: &str) -> Option<&Incident> {
        self.list.iter().find(|incident| incident.target == target)
    }

    fn open_mut(&mut self, target: &str) -> Option<&mut Incident> {
        self.list.iter_mut().find(|incident| incident.target == target && incident.resolved_at.is_none())
    }

    /// Opens a target's incident: its last one if it is the same trouble again, else a new one.
    fn begin(&mut self, target: &str, at: SystemTime, findings: &[Finding<'_>]) -> Change {
        let newest = self.list.iter_mut().find(|incident| incident.target == target);
        if let Some(newest) = newest
            && let Some(resolved_at) = newest.resolved_at
            && at.duration_since(resolved_at).unwrap_or_default() <= REOPEN_WITHIN
            && findings.iter().any(|finding| {
                finding.verdict.phase == Phase::Anomalous && newest.routes.iter().any(|route| route.is(finding))
            })
        {
            newest.resolved_at = None;
            newest.sequence = newest.sequence.saturating_add(u32::from(newest.is_firing()));
            return Change::Reopened;
        }
        self.opened += 1;
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.list.push_front(Incident {
            // Unique across restarts of the agent, and sorted by time.
            id: format!("{millis:x}-{}", self.opened),
            target: target.to_owned(),
            started_at: at,
            detected_at: at,
            resolved_at: None,
            silent_since: None,
            routes: Vec::new(),
            sequence: 1,
            causes: Vec::new(),
            mark: None,
            profile: None,
            told: Told::default(),
            unsaved: true,
        });
        self.forget(at);
        Change::Opened
    }
}
